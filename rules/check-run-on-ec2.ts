import { runCheckRequested } from '../events/run-check-requested.ts';
import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { workerQuarantined } from '../events/worker-quarantined.ts';
import { defineRule } from './rule.ts';

export const checkRunOnEc2 = defineRule({
  name: 'check-run-on-ec2',
  summary: 'Asks Systems Manager once about an overdue run, and judges the answer.',
  on: [runCheckRequested],
  where: { data: { compute: ['ec2'] } },
  emits: [runStarted, runExited, runEnded, runStopRequested, taskCompleted, taskFailed, workerQuarantined],
  uses: ['tasks', 'workers', 'ec2'],
  kind: 'effect',
});
