import { ecsTaskStateChange } from '../events/aws/ecs-task-state-change.ts';
import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { defineRule } from './rule.ts';

export const observeEcsTask = defineRule({
  name: 'observe-ecs-task',
  summary: 'Judges what ECS says about a run.',
  on: [ecsTaskStateChange],
  // Spot warnings come as RUNNING with a stop code; what lies between RUNNING and STOPPED decides nothing (decision 0010).
  where: { startedBy: [{ prefix: 'baton/' }], lastStatus: ['RUNNING', 'STOPPED'] },
  emits: [runStarted, runExited, runEnded, runStopRequested, taskCompleted, taskFailed],
  uses: ['tasks', 'settings'],
  kind: 'state',
  delivery: 'queue',
});
