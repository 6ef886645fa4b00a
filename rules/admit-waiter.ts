import { slotGranted } from '../events/slot-granted.ts';
import { taskAdmitted } from '../events/task-admitted.ts';
import { defineRule } from './rule.ts';

export const admitWaiter = defineRule({
  name: 'admit-waiter',
  summary: 'Admits the waiting task that a slot was granted to.',
  on: [slotGranted],
  emits: [taskAdmitted, slotGranted],
  uses: ['tasks', 'slots'],
  kind: 'state',
});
