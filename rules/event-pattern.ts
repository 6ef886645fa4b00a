import type { AnyEventDefinition } from '../events/define.ts';

/** One condition on a leaf, as EventBridge writes it. What the matcher does not know, it refuses when a rule is registered. */
export type Matcher =
  | string
  | number
  | boolean
  | null
  | { readonly prefix: string }
  | { readonly suffix: string }
  | { readonly exists: boolean }
  | { readonly 'anything-but': string | number | readonly (string | number)[] };

/** A pattern on `detail`: leaves are lists of conditions of which one must hold; fields are all required. `$or` lists alternatives. */
export interface EventPattern {
  readonly [field: string]: EventPattern | readonly Matcher[] | readonly EventPattern[];
}

/** The EventBridge pattern of a rule: the one translator for CDK, the in-process bus, the simulation and the docs. */
export function eventPatternOf(rule: { on: readonly AnyEventDefinition[]; where?: EventPattern }): {
  source: string[];
  'detail-type': string[];
  detail?: EventPattern;
} {
  return {
    source: [...new Set(rule.on.map((event) => event.source))],
    'detail-type': [...new Set(rule.on.map((event) => event.type))],
    ...(rule.where ? { detail: rule.where } : {}),
  };
}
