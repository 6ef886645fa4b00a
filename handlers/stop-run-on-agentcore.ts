import { stopRunOnAgentcore as rule } from '../rules/stop-run-on-agentcore.ts';
import { react } from '../runtime/react.ts';
import { stopRun } from '../runtime/run-steps.ts';

/** Stops a session of AgentCore; it is gone when the next stop finds none. Twice is harmless: stopping what stops changes nothing. */
export const stopRunOnAgentcore = react(rule, (event, { tasks, runs, agentcore }) =>
  stopRun(event, { tasks, runs }, agentcore),
);
