import { asgTerminateLifecycle } from '../events/aws/asg-lifecycle.ts';
import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { slotGranted } from '../events/slot-granted.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { defineRule } from './rule.ts';

export const heedTermination = defineRule({
  name: 'heed-termination',
  summary: 'Lets a machine go that its group takes away, once the run on it has saved its work.',
  on: [asgTerminateLifecycle],
  where: { AutoScalingGroupName: [{ prefix: 'baton-' }] },
  emits: [runStarted, runExited, runEnded, runStopRequested, taskCompleted, taskFailed, slotGranted],
  uses: ['tasks', 'workers', 'slots', 'ec2', 'machines', 'settings'],
  kind: 'state',
  delivery: 'queue',
});
