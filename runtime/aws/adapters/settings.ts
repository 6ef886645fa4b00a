import { DEFAULT_AGENT_COMMAND } from '../../../schemas/task-request.ts';
import type { Settings } from '../../ports.ts';
import { type EnvironmentOf, timingsOf } from '../environment.ts';

/** What the deployment was configured with. A request brings an agent command of its own only where that is allowed by name. */
export const open = (environment: EnvironmentOf<'settings'>): Settings => ({
  stage: environment.BATON_STAGE,
  timings: timingsOf(environment),
  defaultAgentCommand: environment.BATON_AGENT_COMMAND ?? DEFAULT_AGENT_COMMAND,
  agentCommandAllowed: environment.BATON_AGENT_COMMAND_ALLOWED ?? false,
  screening: environment.BATON_SCREENING ?? 'off',
  computes: environment.BATON_COMPUTES,
  fleets: environment.BATON_FLEETS ?? [],
  slotKeyOf: ({ userId }) => `user:${userId}`,
});
