import { runEnded } from '../events/run-ended.ts';
import { runLost } from '../events/run-lost.ts';
import { runOrphaned } from '../events/run-orphaned.ts';
import { taskCancelled } from '../events/task-cancelled.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskTimedOut } from '../events/task-timed-out.ts';
import { defineRule } from './rule.ts';

export const closeStop = defineRule({
  name: 'close-stop',
  summary: 'Closes a stop when the run has ended: to its end, or to the next attempt.',
  on: [runEnded],
  where: { data: { status: ['STOPPING'] } },
  emits: [runLost, taskCompleted, taskFailed, taskCancelled, taskTimedOut, runOrphaned],
  uses: ['tasks'],
  kind: 'state',
});
