import { ec2InstanceState } from '../events/aws/ec2-instance-state.ts';
import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { slotGranted } from '../events/slot-granted.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { defineRule } from './rule.ts';

export const observeInstance = defineRule({
  name: 'observe-instance',
  summary: 'Ends the run of a worker whose machine is gone, and takes its place out of the fleet.',
  on: [ec2InstanceState],
  where: { state: ['shutting-down', 'terminated', 'stopping', 'stopped'] },
  emits: [runStarted, runExited, runEnded, runStopRequested, taskCompleted, taskFailed, slotGranted],
  uses: ['tasks', 'workers', 'slots', 'ec2'],
  kind: 'state',
  delivery: 'queue',
});
