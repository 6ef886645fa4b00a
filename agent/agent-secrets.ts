import type { Patience } from './control-plane.ts';

/** Values by the variables that they are for; or why some cannot be had, with the names of all of those and never a value. */
type SecretsRead = { readonly values: Readonly<Record<string, string>> } | { readonly unavailable: string };

/**
 * The deployment's secrets for agents, where the back end does not fetch them itself. What may pass is tried again for as long as the patience
 * lasts; never throws.
 */
export type AgentSecrets = (patience: Patience) => Promise<SecretsRead>;

/** Where the back end has put them into the environment already, or there are none. */
export const noSecrets: AgentSecrets = async () => ({ values: {} });
