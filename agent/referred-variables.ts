import type { EnvironmentReferences } from '../schemas/environment-references.ts';
import { USER_SECRETS_VARIABLE } from '../schemas/task-definition.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables of the agent with their values; or the names of those that have none where the runner runs. */
interface Variables {
  readonly variables: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
}

/** What a reference to a variable of the runner's environment begins with. */
const SCHEME = 'variable:';

/** Baton's own variables, and those by which AWS hands out credentials: never read by a reference, whatever a payload says. */
const OUT_OF_REACH = ['BATON_', 'AWS_', 'ECS_'];

/** The variables that the agent is given by name. Where the repository and the user have one of the same name, it is the user's. */
export function givenVariables(references: EnvironmentReferences | undefined, own: Environment): Variables {
  const referred = referredVariables(references, own);
  const secrets = userSecrets(own);
  return {
    variables: { ...referred.variables, ...secrets.variables },
    missing: [...referred.missing, ...secrets.missing],
  };
}

/**
 * The variables of the agent that its repository's configuration refers to, with their values in the runner's own environment; or the
 * names of those that have none there, and of those that nobody may read.
 */
export function referredVariables(references: EnvironmentReferences | undefined, own: Environment): Variables {
  const variables: Record<string, string> = {};
  const missing: string[] = [];
  for (const [name, reference] of Object.entries(references ?? {})) {
    const source = reference.slice(SCHEME.length);
    const value = isOutOfReach(source) || isOutOfReach(name) ? undefined : own[source];
    if (value === undefined) missing.push(`${name} (from ${reference})`);
    else variables[name] = value;
  }
  return { variables, missing };
}

/** The secrets of the user for whom the task definition was made: variables of the runner that the agent gets under the same names. */
function userSecrets(own: Environment): Variables {
  const variables: Record<string, string> = {};
  const missing: string[] = [];
  for (const name of (own[USER_SECRETS_VARIABLE] ?? '').split(',').filter((text) => text !== '')) {
    const value = isOutOfReach(name) ? undefined : own[name];
    if (value === undefined) missing.push(`${name} (a secret of the user)`);
    else variables[name] = value;
  }
  return { variables, missing };
}

const isOutOfReach = (name: string): boolean => OUT_OF_REACH.some((prefix) => name.startsWith(prefix));
