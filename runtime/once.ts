import type { BatonEvent, Envelope } from '../schemas/envelope.ts';
import { BatonError } from './errors.ts';
import { causeOf, countsAsRetry, type Reaction, replayOf, subjectOf } from './react.ts';

/** What an outside effect came to: when it was done, and the facts that follow. */
export interface Done {
  readonly at: string;
  readonly facts: readonly BatonEvent[];
}

/** Remembers, by rule and fact id, what was done outside. */
export interface EffectLedger {
  /**
   * Does the work unless it is known to be done, and answers what it came to, now or then. Work that throws is forgotten. A process that
   * dies between the work and its entry does it again: at least once, never at most once. Throws `effect_under_way` while
   * another process is at it, and `malformed_event` for an event without the id of a fact.
   */
  once(rule: string, event: Envelope, work: () => Promise<Done>): Promise<Done>;
}

/**
 * A reaction that runs once per fact id: for rules with `once`. Facts of an effect that was done before are given back only to a
 * delivery that is known to be a retry, as for every other repetition.
 */
export function onceOnly(reaction: Reaction, ledger: EffectLedger): Reaction {
  const { rule } = reaction;
  return {
    rule,
    async run(event, ports, world, delivery) {
      // It has no effect, and so nothing to remember.
      if (replayOf(event) !== undefined) return reaction.run(event, ports, world, delivery);
      let isFirst = false;
      const { at, facts } = await ledger.once(rule.name, event, async () => {
        isFirst = true;
        const said = await reaction.run(event, ports, world, delivery);
        return { at: world.now(), facts: said };
      });
      if (isFirst) return facts;
      world.journal.duplicate(subjectOf(event), causeOf(event));
      return countsAsRetry(at, delivery, world) ? facts : [];
    },
  };
}

/** The id of the fact that an event carries. Throws `malformed_event` where it carries none: then nothing could tell two of them apart. */
export function factIdOf(event: Envelope): string {
  const { metadata } = event.detail as { metadata?: { id?: unknown } };
  if (typeof metadata?.id === 'string' && metadata.id !== '') return metadata.id;
  throw new BatonError('malformed_event', `${event['detail-type']} ${event.id} does not carry the id of a fact`);
}
