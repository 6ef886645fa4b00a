import { declaredSource } from '../../events/define.ts';
import { eventPatternOf } from '../../rules/event-pattern.ts';
import { ATTEMPTS_OF_A_DELIVERY } from '../../rules/rule.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { BatonError, retryOf } from '../errors.ts';
import { compilePattern, type Match } from '../matcher.ts';
import { parsedEvent } from '../parsed-event.ts';
import type { RecordStore } from '../ports.ts';
import { type Reaction, replayOf, type Surroundings } from '../react.ts';
import type { Archive } from './archive.ts';
import type { Scheduler } from './scheduler.ts';

/** Deliveries handled at the same time: enough to keep both cores busy, few enough that one waits milliseconds, not seconds. */
const CONCURRENCY = 256;
/** The same for rules with `once`, which talk to whom nobody knows, and for those that fetch texts: however many of these hang, no other delivery waits. */
const OUTSIDE_CONCURRENCY = 32;
/** Wait before the second delivery in milliseconds; four times as long before each further one. */
const RETRY_FIRST_MS = 250;
/** Dead letters read or listed at once. */
const DEAD_LETTERS_MAX = 1000;

/** Stands for a rule in the letter of an event at which a listener failed. */
const LISTENER = 'listener';

const EVENT = 'EVENT#';
const DEAD = 'DEAD#';

/** An event with the rules that have not acknowledged it yet. */
interface Row {
  readonly event: Envelope;
  readonly pending: Readonly<Record<string, number>>;
  /** The dead letter that is delivered once more: it goes when it was handled. */
  readonly letter?: string;
}

export interface DeadLetter {
  readonly event: Envelope;
  readonly rule: string;
  readonly tries: number;
  readonly at: string;
  readonly error: { readonly code: string; readonly message: string };
}

/**
 * What became of a dead letter: handled, and gone; failed again, and kept with the new error. Of an id that no letter has (any more), and
 * of a letter whose rule this world does not have, nothing is touched.
 */
export type Redelivery = 'handled' | 'failed' | 'unknown_letter' | 'unknown_rule';

export interface PublishOptions {
  /** Names of the only rules that shall get the events; without it, every rule that matches. */
  readonly only?: ReadonlySet<string>;
}

export interface EventBus {
  /** Keeps the events until every matching rule has acknowledged them, and delivers them. */
  publish(events: readonly Envelope[], options?: PublishOptions): Promise<void>;
  /** Takes up what was undelivered when the process ended. */
  recover(): Promise<number>;
  deadLetters(): Promise<DeadLetter[]>;
  /**
   * Delivers a dead letter once more, as it is and as a retry, to the rule that failed and to no other. The letter stays until that is
   * done; asked for twice meanwhile, it is delivered once. Resolves when it was handled or has failed again.
   */
  redeliver(id: string): Promise<Redelivery>;
  /** Hears every published event, matched or not. */
  listen(hear: (event: Envelope) => void): () => void;
  /** Events not yet acknowledged by all their rules; when a replay is named, its own and those that it set off. */
  pending(replay?: string): number;
  /** Stops taking up deliveries; what is under way ends. */
  stop(): Promise<void>;
}

export interface EventBusOptions {
  readonly store: RecordStore;
  readonly scheduler: Scheduler;
  readonly reactions: readonly Reaction[];
  readonly portsOf: (reaction: Reaction) => Readonly<Record<string, unknown>>;
  readonly world: Surroundings;
  /** Keeps what is published, so that it can be replayed. */
  readonly archive?: Pick<Archive, 'append'>;
  /** How often an event is delivered to each rule; 1 unless duplicates are asked for. */
  readonly copies?: (event: Envelope) => number;
  /** Told of every delivery that was given up; `id` names the letter, where it is kept. */
  readonly onDeadLetter?: (letter: DeadLetter, id?: string) => void;
  /** Told of every delivery of a replay that was given up, of which no letter is kept. */
  readonly onReplayFailure?: (replay: string, letter: DeadLetter) => void;
  /** The store takes nothing any more: nothing can be handled until the next start. */
  readonly onStoreFailure?: (error: unknown) => void;
}

interface Target {
  readonly reaction: Reaction;
  readonly matches: Match;
  readonly ports: Readonly<Record<string, unknown>>;
}

/** Deliveries that are handled, and that wait until others are. */
interface Lane {
  readonly most: number;
  running: number;
  readonly waiting: (() => Promise<void>)[];
}

const laneOf = (most: number): Lane => ({ most, running: 0, waiting: [] });

/**
 * The event bus of one process, with EventBridge's promises: at least once to every matching rule, in any order, retries, dead
 * letters. Undelivered events are rows of the store, written in the same order as what they caused, so an acknowledgement is
 * never on disk before its effect.
 */
export function eventBus(options: EventBusOptions): EventBus {
  const { store, scheduler, world } = options;
  const targets = indexTargets(options);
  const rows = new Map<string, Row>();
  const listeners = new Set<(event: Envelope) => void>();
  const lanes = { inside: laneOf(CONCURRENCY), outside: laneOf(OUTSIDE_CONCURRENCY) };
  /** Redeliveries under way, by the key of their row. */
  const redelivered = new Map<string, { readonly done: Promise<Redelivery>; tell(became: Redelivery): void }>();
  const ended: (() => void)[] = [];
  let order = 0;
  let stopped = false;

  return { publish, recover, deadLetters, redeliver, listen, pending, stop };

  async function publish(events: readonly Envelope[], { only }: PublishOptions = {}): Promise<void> {
    // One after the other: that the last one, which drives, was delivered proves that the others were kept.
    for (const event of events) await publishOne(event, only);
  }

  async function publishOne(event: Envelope, only: ReadonlySet<string> | undefined): Promise<void> {
    const found = targetsOf(event).filter(({ reaction }) => only === undefined || only.has(reaction.rule.name));
    if (found.length > 0) {
      const copies = options.copies?.(event) ?? 1;
      const row: Row = {
        event,
        pending: Object.fromEntries(found.map(({ reaction }) => [reaction.rule.name, copies])),
      };
      const key = await keep(row);
      for (const target of found)
        for (let copy = 0; copy < copies; copy++) enqueue(target, () => deliver(key, event, target, 1));
    }
    options.archive?.append(event);
    for (const hear of listeners) {
      try {
        hear(event);
      } catch (error) {
        // Whoever listens is no part of the choreography: a mistake there must not lose an event.
        options.onDeadLetter?.(letterOf(event, LISTENER, 1, error));
      }
    }
  }

  /** Writes a row under a key of its own. Nothing is delivered that the store did not take. */
  async function keep(row: Row): Promise<string> {
    for (;;) {
      const key = EVENT + scheduler.nowMs().toString(36).padStart(9, '0') + (order++).toString(36).padStart(7, '0');
      rows.set(key, row);
      try {
        // A clock that was set back may lead to a key of an earlier process: then the next one is taken.
        if ((await store.put(key, row, 'absent')).outcome === 'written') return key;
      } catch (error) {
        rows.delete(key);
        throw error;
      }
    }
  }

  async function recover(): Promise<number> {
    let after: string | undefined;
    let found = 0;
    for (;;) {
      const page = await store.list(EVENT, { ...(after ? { after } : {}), limit: 500 });
      for (const { key, value } of page) {
        const row = value as Row;
        if (rows.has(key)) continue;
        rows.set(key, row);
        // The process may have ended between the row and the archive; to have it twice does no harm.
        if (!row.letter) options.archive?.append(row.event);
        found++;
        for (const rule of Object.keys(row.pending)) {
          const target = row.letter
            ? targetNamed(rule)
            : targetsOf(row.event).find(({ reaction }) => reaction.rule.name === rule);
          // Once is enough now, and it counts as a retry: the first delivery may have got anywhere.
          if (target) enqueue(target, () => deliver(key, row.event, target, 2, row.pending[rule]));
          else await acknowledge(key, rule, row.pending[rule] ?? 1);
        }
      }
      after = page.at(-1)?.key;
      if (page.length < 500 || after === undefined) return found;
    }
  }

  async function deadLetters(): Promise<DeadLetter[]> {
    return (await store.list(DEAD, { limit: DEAD_LETTERS_MAX })).map(({ value }) => value as DeadLetter);
  }

  async function redeliver(id: string): Promise<Redelivery> {
    // One letter has one row, so that whoever asks twice, even across a crash, asks for the same.
    const key = EVENT + restOf(id);
    const underWay = redelivered.get(key);
    if (underWay) return underWay.done;
    let tell: (became: Redelivery) => void = () => undefined;
    const done = new Promise<Redelivery>((resolve) => {
      tell = resolve;
    });
    redelivered.set(key, { done, tell });
    try {
      const letter = (await store.get(letterKeyOf(id)))?.value as DeadLetter | undefined;
      if (!letter) return told(key, 'unknown_letter');
      const target = targetNamed(letter.rule);
      if (!target) return told(key, 'unknown_rule');
      const row: Row = { event: letter.event, pending: { [letter.rule]: 1 }, letter: letterKeyOf(id) };
      const { outcome } = await store.put(key, row, 'absent');
      // A row that is there already was taken up when the world opened, and is under way.
      if (outcome === 'written') {
        rows.set(key, row);
        enqueue(target, () => deliver(key, letter.event, target, 2));
      }
    } catch (error) {
      redelivered.delete(key);
      throw error;
    }
    return done;
  }

  function told(key: string, became: Redelivery): Redelivery {
    redelivered.get(key)?.tell(became);
    redelivered.delete(key);
    return became;
  }

  function pending(replay?: string): number {
    if (replay === undefined) return rows.size;
    let found = 0;
    for (const { event } of rows.values()) if (replayOf(event) === replay) found++;
    return found;
  }

  function listen(hear: (event: Envelope) => void): () => void {
    listeners.add(hear);
    return () => listeners.delete(hear);
  }

  async function stop(): Promise<void> {
    stopped = true;
    for (const { waiting } of Object.values(lanes)) waiting.length = 0;
    if (isWorking()) await new Promise<void>((resolve) => ended.push(resolve));
  }

  function isWorking(): boolean {
    return lanes.inside.running + lanes.outside.running > 0;
  }

  function enqueue({ reaction }: Target, work: () => Promise<void>): void {
    if (stopped) return;
    const isFar = reaction.rule.once === true || reaction.rule.uses.includes('contexts');
    const lane = isFar ? lanes.outside : lanes.inside;
    scheduler.soon(() => {
      lane.waiting.push(work);
      next(lane);
    });
  }

  function next(lane: Lane): void {
    while (!stopped && lane.running < lane.most) {
      const work = lane.waiting.shift();
      if (!work) return;
      lane.running++;
      void work().finally(() => {
        lane.running--;
        if (stopped && !isWorking()) for (const done of ended.splice(0)) done();
        next(lane);
      });
    }
  }

  /** One delivery. Never rejects: what fails is tried again, dead-lettered, or left in its row for the next start. */
  async function deliver(key: string, event: Envelope, target: Target, tries: number, copies = 1): Promise<void> {
    const { rule } = target.reaction;
    try {
      const facts = await target.reaction.run(parsedEvent(event, rule.on), target.ports, world, { tries });
      await publish(facts);
      const letter = rows.get(key)?.letter;
      if (letter !== undefined) await store.delete(letter);
      await acknowledge(key, rule.name, copies);
      told(key, 'handled');
    } catch (error) {
      if (stopped || (error instanceof BatonError && error.code === 'store_closed')) return;
      try {
        await failed(key, event, target, tries, copies, error);
      } catch (also) {
        // The store itself fails: the row stays on disk, and the next start takes it up.
        options.onStoreFailure?.(also);
      }
    }
  }

  async function failed(
    key: string,
    event: Envelope,
    target: Target,
    tries: number,
    copies: number,
    error: unknown,
  ): Promise<void> {
    const { rule } = target.reaction;
    const before = rows.get(key)?.letter;
    // Somebody waits for the answer to a redelivery, whatever patience the rule has otherwise.
    const attempts = before === undefined ? rule.attempts : Math.min(rule.attempts, ATTEMPTS_OF_A_DELIVERY);
    if (retryOf(error) !== 'never' && tries < attempts) {
      const waitMs = RETRY_FIRST_MS * 4 ** (tries - 1);
      const again = () => deliver(key, event, target, tries + 1, copies);
      scheduler.at(scheduler.nowMs() + waitMs, () => enqueue(target, again));
      return;
    }
    const known = before === undefined ? undefined : ((await store.get(before))?.value as DeadLetter | undefined);
    // A redelivery begins with the number 2, and adds to the tries that were made before.
    const letter = letterOf(event, rule.name, known ? known.tries + tries - 1 : tries, error);
    const replay = replayOf(event);
    if (before === undefined && replay !== undefined) {
      // No letter, or each replay of the same time would make one more: the event is in the archive, and what did happen has its own.
      options.onReplayFailure?.(replay, letter);
      options.onDeadLetter?.(letter);
      await acknowledge(key, rule.name, copies);
      return;
    }
    const letterKey = before ?? `${DEAD}${key.slice(EVENT.length)}#${rule.name}`;
    await store.put(letterKey, letter, 'any');
    await acknowledge(key, rule.name, copies);
    told(key, 'failed');
    options.onDeadLetter?.(letter, letterIdOf(letterKey));
  }

  function letterOf(event: Envelope, rule: string, tries: number, error: unknown): DeadLetter {
    const code = error instanceof BatonError ? error.code : 'unexpected';
    const message = error instanceof Error ? error.message : String(error);
    return { event, rule, tries, at: world.now(), error: { code, message } };
  }

  async function acknowledge(key: string, rule: string, copies: number): Promise<void> {
    const row = rows.get(key);
    if (!row) return;
    const { [rule]: left = 0, ...others } = row.pending;
    const pending = left > copies ? { ...others, [rule]: left - copies } : others;
    if (Object.keys(pending).length === 0) {
      rows.delete(key);
      await store.delete(key);
      return;
    }
    const kept = { ...row, pending };
    rows.set(key, kept);
    await store.put(key, kept, 'any');
  }

  /** What failed was meant for this rule, whatever the rule asks for by now. */
  function targetNamed(rule: string): Target | undefined {
    return [...targets.values()].flat().find(({ reaction }) => reaction.rule.name === rule);
  }

  function targetsOf(event: Envelope): readonly Target[] {
    const candidates = targets.get(`${declaredSource(event.source)}|${event['detail-type']}`) ?? [];
    return candidates.filter(({ matches }) => matches(event.detail));
  }
}

/** A letter is called `<order>.<rule>`, kept under `DEAD#<order>#<rule>`, and delivered again from `EVENT#<order>#<rule>`. */
export const letterIdOf = (key: string): string => key.slice(DEAD.length).replace('#', '.');
export const letterKeyOf = (id: string): string => DEAD + restOf(id);
const restOf = (id: string): string => id.replace('.', '#');

function indexTargets({ reactions, portsOf }: EventBusOptions): Map<string, Target[]> {
  const index = new Map<string, Target[]>();
  for (const reaction of reactions) {
    const { detail } = eventPatternOf(reaction.rule);
    const matches = detail ? compilePattern(detail) : () => true;
    const target = { reaction, matches, ports: portsOf(reaction) };
    for (const { source, type } of reaction.rule.on) {
      const key = `${source}|${type}`;
      index.set(key, [...(index.get(key) ?? []), target]);
    }
  }
  return index;
}
