import type { AnyEventDefinition, EventDefinition } from '../events/define.ts';
import type { EventPattern } from './event-pattern.ts';

/**
 * `effect`: reaches outside the task's record (starts compute, sends a message) and ignores replays.
 * `state`: moves records only; replaying it is safe.
 */
export type RuleKind = 'effect' | 'state';

/**
 * How events reach the handler on AWS. `direct`: EventBridge invokes the function, Lambda retries for minutes. `queue`: through an SQS
 * queue of the rule's own, which waits for days, so that whatever the handler talks to may be down for hours; the alarm clock rings there.
 */
export type RuleDelivery = 'direct' | 'queue';

/** Deliveries of one event to one rule before it goes to the dead letters: Lambda's asynchronous invocation makes three. */
export const ATTEMPTS_OF_A_DELIVERY = 3;

export interface Rule<On extends AnyEventDefinition = AnyEventDefinition, Uses extends string = string> {
  readonly name: string;
  /** One sentence: catalog, diagram and EventBridge description. */
  readonly summary: string;
  readonly on: readonly On[];
  /** Narrows `on` by the event's `detail`, in EventBridge's pattern language. */
  readonly where?: EventPattern;
  readonly emits: readonly EventDefinition[];
  readonly uses: readonly Uses[];
  readonly kind: RuleKind;
  readonly delivery: RuleDelivery;
  readonly attempts: number;
  /**
   * Neither a transition nor a record of its own guards what it does outside, so it runs once per fact id: what was done is remembered
   * (`docs/records.md`, EFFECT).
   */
  readonly once?: true;
}

/** Declares who reacts to what. Data only. */
export const defineRule = <const On extends AnyEventDefinition, const Uses extends string>(
  declared: Omit<Rule<On, Uses>, 'attempts' | 'delivery'> & { attempts?: number; delivery?: RuleDelivery },
): Rule<On, Uses> => ({ attempts: ATTEMPTS_OF_A_DELIVERY, delivery: 'direct', ...declared });
