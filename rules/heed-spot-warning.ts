import { ec2SpotWarning } from '../events/aws/ec2-spot-warning.ts';
import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { defineRule } from './rule.ts';

export const heedSpotWarning = defineRule({
  name: 'heed-spot-warning',
  summary: 'Lets the run of a worker that is about to be taken back save its work.',
  on: [ec2SpotWarning],
  emits: [runStarted, runExited, runEnded, runStopRequested, taskCompleted, taskFailed],
  uses: ['tasks', 'ec2'],
  kind: 'state',
  delivery: 'queue',
});
