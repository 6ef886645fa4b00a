import { runCheckRequested } from '../events/run-check-requested.ts';
import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { defineRule } from './rule.ts';

export const checkRunOnAgentcore = defineRule({
  name: 'check-run-on-agentcore',
  summary:
    'Looks for signs of life of an overdue run on AgentCore, stops its session where there are none, and judges the answer.',
  on: [runCheckRequested],
  where: { data: { compute: ['agentcore'] } },
  emits: [runStarted, runExited, runEnded, runStopRequested, taskCompleted, taskFailed],
  uses: ['tasks', 'agentcore'],
  kind: 'effect',
});
