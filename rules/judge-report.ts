import { runEnded } from '../events/run-ended.ts';
import { runReported } from '../events/run-reported.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { defineRule } from './rule.ts';

export const judgeReport = defineRule({
  name: 'judge-report',
  summary: 'Ends the task as the stored report says.',
  on: [runReported],
  emits: [runStopRequested, runEnded, taskCompleted, taskFailed],
  uses: ['tasks'],
  kind: 'state',
});
