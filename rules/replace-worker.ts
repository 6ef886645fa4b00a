import { slotGranted } from '../events/slot-granted.ts';
import { workerQuarantined } from '../events/worker-quarantined.ts';
import { defineRule } from './rule.ts';

export const replaceWorker = defineRule({
  name: 'replace-worker',
  summary: 'Has the machine of a worker that nobody can prove clean replaced, and takes its place out of the fleet.',
  on: [workerQuarantined],
  emits: [slotGranted],
  uses: ['machines', 'slots'],
  kind: 'effect',
  delivery: 'queue',
});
