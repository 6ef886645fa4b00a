import { runEnded } from '../events/run-ended.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskCancelRequested } from '../events/task-cancel-requested.ts';
import { taskCancelled } from '../events/task-cancelled.ts';
import { defineRule } from './rule.ts';

export const cancelTask = defineRule({
  name: 'cancel-task',
  summary: 'Ends a task on request.',
  on: [taskCancelRequested],
  emits: [taskCancelled, runStopRequested, runEnded],
  uses: ['tasks'],
  // What a person asked for once is not asked again by a replay: the task may not have been there then.
  kind: 'effect',
  delivery: 'queue',
});
