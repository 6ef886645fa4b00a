import { runEnded } from '../events/run-ended.ts';
import { runStopAnswered } from '../events/run-stop-answered.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskHydrated } from '../events/task-hydrated.ts';
import { defineRule } from './rule.ts';

export const startRunOnAgentcore = defineRule({
  name: 'start-run-on-agentcore',
  summary: 'Starts the run as a session of AgentCore Runtime.',
  on: [taskHydrated],
  where: { data: { compute: ['agentcore'] } },
  emits: [runEnded, runStopRequested, runStopAnswered, taskFailed],
  uses: ['tasks', 'agentcore', 'settings'],
  kind: 'effect',
});
