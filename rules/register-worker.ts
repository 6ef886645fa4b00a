import { slotGranted } from '../events/slot-granted.ts';
import { workerRegistered } from '../events/worker-registered.ts';
import { defineRule } from './rule.ts';

export const registerWorker = defineRule({
  name: 'register-worker',
  summary: 'Takes a machine that is ready into its fleet, and lets the line move up.',
  on: [workerRegistered],
  emits: [slotGranted],
  uses: ['workers', 'machines', 'slots'],
  kind: 'state',
  delivery: 'queue',
});
