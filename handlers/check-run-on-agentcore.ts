import { checkRunOnAgentcore as rule } from '../rules/check-run-on-agentcore.ts';
import { react } from '../runtime/react.ts';
import { checkRun } from '../runtime/run-steps.ts';

/** Looks for signs of life of an overdue run; a session that gives none is stopped, which is all that can be asked. Twice is harmless: judging the same again changes nothing. */
export const checkRunOnAgentcore = react(rule, (event, { tasks, agentcore }) => checkRun(event, { tasks }, agentcore));
