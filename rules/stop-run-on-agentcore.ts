import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopAnswered } from '../events/run-stop-answered.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { defineRule } from './rule.ts';

export const stopRunOnAgentcore = defineRule({
  name: 'stop-run-on-agentcore',
  summary: 'Stops a session of AgentCore and sees it end.',
  on: [runStopRequested],
  where: { data: { compute: ['agentcore'] } },
  emits: [runStopAnswered, runEnded, runStopRequested, runStarted, runExited, taskCompleted, taskFailed],
  uses: ['tasks', 'runs', 'agentcore'],
  kind: 'effect',
});
