import { attemptDue } from '../events/attempt-due.ts';
import { slotGranted } from '../events/slot-granted.ts';
import { taskAdmitted } from '../events/task-admitted.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskQueued } from '../events/task-queued.ts';
import { taskScreened } from '../events/task-screened.ts';
import { taskSubmitted } from '../events/task-submitted.ts';
import { defineRule } from './rule.ts';

export const admitTask = defineRule({
  name: 'admit-task',
  summary: 'Asks for a slot for a new task or a due attempt.',
  on: [taskSubmitted, taskScreened, attemptDue],
  // What must pass screening comes back as screened.
  where: { data: { screening: [{ exists: false }], of: [{ exists: false }, 'request'] } },
  emits: [taskAdmitted, taskQueued, taskFailed, slotGranted],
  uses: ['tasks', 'slots'],
  kind: 'state',
});
