import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopAnswered } from '../events/run-stop-answered.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { workerQuarantined } from '../events/worker-quarantined.ts';
import { defineRule } from './rule.ts';

export const stopRunOnEc2 = defineRule({
  name: 'stop-run-on-ec2',
  summary: 'Stops a run on a worker, and asks the host to prove its end.',
  on: [runStopRequested],
  where: { data: { compute: ['ec2'] } },
  emits: [
    runStopAnswered,
    runEnded,
    runStopRequested,
    runStarted,
    runExited,
    taskCompleted,
    taskFailed,
    workerQuarantined,
  ],
  uses: ['tasks', 'runs', 'workers', 'ec2'],
  kind: 'effect',
});
