import type { AnyEventDefinition } from '../events/define.ts';

/** One condition on a leaf, as EventBridge writes it (EventBridge user guide, "Comparison operators"). */
export type Matcher =
  | string
  | number
  | boolean
  | null
  | { readonly prefix: string | IgnoringCase }
  | { readonly suffix: string | IgnoringCase }
  | IgnoringCase
  | { readonly wildcard: string }
  | { readonly 'anything-but': AnythingBut }
  | { readonly numeric: NumericRange }
  | { readonly cidr: string }
  | { readonly exists: boolean };

export interface IgnoringCase {
  readonly 'equals-ignore-case': string;
}

type OneOrMore<Value> = Value | readonly Value[];

/** All texts or all numbers, never mixed. */
export type AnythingBut =
  | OneOrMore<string>
  | OneOrMore<number>
  | { readonly prefix: OneOrMore<string> }
  | { readonly suffix: OneOrMore<string> }
  | { readonly 'equals-ignore-case': OneOrMore<string> }
  | { readonly wildcard: OneOrMore<string> };

/** An operator and its number; a range has its lower end first. */
export type NumericRange =
  | readonly ['=' | '<' | '<=' | '>' | '>=', number]
  | readonly ['>' | '>=', number, '<' | '<=', number];

/** Leaves are lists of conditions of which one must hold; fields are all required. `$or` lists alternatives. */
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
