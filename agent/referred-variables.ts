import type { EnvironmentReferences } from '../schemas/environment-references.ts';

/** What a reference to a variable of the runner's environment begins with. */
const SCHEME = 'variable:';

/** Baton's own variables, and those by which AWS hands out credentials: never read by a reference, whatever a payload says. */
const OUT_OF_REACH = ['BATON_', 'AWS_', 'ECS_'];

/**
 * The variables of the agent that its repository's configuration refers to, with their values in the runner's own environment; or the
 * names of those that have none there, and of those that nobody may read.
 */
export function referredVariables(
  references: EnvironmentReferences | undefined,
  own: Readonly<Record<string, string | undefined>>,
): { readonly variables: Readonly<Record<string, string>>; readonly missing: readonly string[] } {
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

const isOutOfReach = (name: string): boolean => OUT_OF_REACH.some((prefix) => name.startsWith(prefix));
