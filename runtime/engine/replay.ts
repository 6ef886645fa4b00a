import type { Envelope } from '../../schemas/envelope.ts';
import { isReplayOver, type ReplayRequest, type ReplayView } from '../../schemas/replay.ts';
import { BatonError } from '../errors.ts';
import type { RecordStore } from '../ports.ts';
import { DECIDE_TRIES, REPLAY_PREFIX, replayKey } from '../records.ts';
import type { Archive } from './archive.ts';
import type { Archives } from './archives.ts';
import type { EventBus } from './event-bus.ts';
import type { Scheduler } from './scheduler.ts';

/** Replays at the same time, as on AWS: each takes its share of the bus from what just happens. */
export const REPLAYS_AT_ONCE = 10;
/** Replays kept, the latest: enough to look back on, few enough to list. */
const REPLAYS_KEPT = 200;
/** Events of one replay that wait for their rules at the same time: bounds memory, and leaves the bus to what just happens. */
const IN_FLIGHT_MAX = 200;
/** Wait before the bus is looked at again, in milliseconds. */
const LOOK_PAUSE_MS = 10;
/** Wait before an end that could not be stored is stored again, in milliseconds, and how often: then the next start goes on. */
const SAVE_AGAIN_MS = 1_000;
const SAVE_TRIES = 5;

/** As many are under way as there may be; also `replay_refused`. */
export class TooManyReplays extends BatonError {}

/** A replay with what its archive lets through. */
export interface StoredReplay extends ReplayView {
  /** Name of the archive, where it is not all that the world keeps. */
  readonly archive?: string;
  readonly description?: string;
}

export interface Replays {
  /** Starts a replay, under a name that none has had. Throws `replay_exists`, `replay_refused`. */
  start(wanted: ReplayRequest & Pick<StoredReplay, 'archive' | 'description'>): Promise<StoredReplay>;
  /** Throws `unknown_replay`. */
  get(name: string): Promise<StoredReplay>;
  /** The latest first. */
  list(): Promise<StoredReplay[]>;
  /** Ends a replay early: what is on its way is handled. Throws `unknown_replay`, `replay_refused` when it is over. */
  cancel(name: string): Promise<StoredReplay>;
  /** Goes on with what an earlier process left: from the minute in which it stood. */
  recover(): Promise<void>;
  /** A delivery of this replay was given up: it is counted, and no dead letter, because the archive has the event. */
  gaveUp(name: string, why: { readonly rule: string; readonly message: string }): void;
  stop(): Promise<void>;
}

export interface ReplaysOver {
  readonly store: RecordStore;
  readonly bus: Pick<EventBus, 'publish' | 'pending'>;
  readonly scheduler: Scheduler;
  readonly archive: Pick<Archive, 'slices'>;
  readonly archives: Pick<Archives, 'filterOf'>;
  /** Chance from 0 to 1: the order inside a slice is nobody's to rely on. */
  readonly random: () => number;
}

/** A replay under way. */
interface Running {
  /** It shall end early. */
  cancelled: boolean;
  /** Deliveries given up, and the last of them. */
  failed: number;
  reason?: string;
  done: Promise<void>;
}

/**
 * Replays as EventBridge makes them: minute by minute, in any order inside a minute, each event with `replay-name`, to all rules that
 * match or to some of them, at least once. A replay is a record, so it goes on after a restart.
 */
export function replaysOver({ store, bus, scheduler, archive, archives, random }: ReplaysOver): Replays {
  const running = new Map<string, Running>();
  /** Replays that are being stored. */
  let starting = 0;
  const waits = new Set<() => void>();
  let stopped = false;
  const now = (): string => new Date(scheduler.nowMs()).toISOString();

  return { start, get, list, cancel, recover, gaveUp, stop };

  async function start(wanted: Parameters<Replays['start']>[0]): Promise<StoredReplay> {
    const at = now();
    if (wanted.from >= wanted.to) throw refused(`the time ${wanted.from} is not before ${wanted.to}`);
    if (wanted.from >= at) throw refused(`the time ${wanted.from} has not come yet`);
    if (running.size + starting >= REPLAYS_AT_ONCE)
      throw new TooManyReplays(
        'replay_refused',
        refusal(`${REPLAYS_AT_ONCE} replays are under way, and there may be no more`),
      );
    // What is published from now on is not meant.
    const replay: StoredReplay = {
      ...wanted,
      to: wanted.to < at ? wanted.to : at,
      state: 'STARTING',
      startedAt: at,
      events: 0,
    };
    starting++;
    try {
      const written = await store.put(replayKey(wanted.name), replay, 'absent');
      if (written.outcome === 'conflict')
        throw new BatonError('replay_exists', `There was a replay "${wanted.name}" before.`);
      begin(replay);
    } finally {
      starting--;
    }
    await forget();
    return replay;
  }

  async function get(name: string): Promise<StoredReplay> {
    const stored = await store.get(replayKey(name));
    if (stored) return replayIn(stored.value);
    throw unknown(name);
  }

  async function list(): Promise<StoredReplay[]> {
    const stored = await store.list(REPLAY_PREFIX, { limit: REPLAYS_KEPT + REPLAYS_AT_ONCE });
    return stored.map(({ value }) => replayIn(value)).sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
  }

  async function cancel(name: string): Promise<StoredReplay> {
    const cancelling = await change(name, (replay) => {
      if (isReplayOver(replay)) throw refused(`the replay "${name}" is ${replay.state}`);
      return { ...replay, state: 'CANCELLING' };
    });
    const one = running.get(name);
    if (one) one.cancelled = true;
    // Its end could not be stored: nothing is on its way any more, and it ends now.
    else begin(cancelling, true);
    return cancelling;
  }

  async function recover(): Promise<void> {
    for (const replay of await list()) if (!isReplayOver(replay)) begin(replay, replay.state === 'CANCELLING');
  }

  function gaveUp(name: string, { rule, message }: { readonly rule: string; readonly message: string }): void {
    const one = running.get(name);
    if (!one) return;
    one.failed++;
    one.reason = `The last delivery that failed was to the rule "${rule}": ${message}`;
  }

  async function stop(): Promise<void> {
    stopped = true;
    for (const wake of waits) wake();
    await Promise.all([...running.values()].map(({ done }) => done));
  }

  function begin(replay: StoredReplay, cancelled = false): void {
    const one: Running = {
      cancelled,
      failed: replay.failed ?? 0,
      ...(replay.reason === undefined ? {} : { reason: replay.reason }),
      done: Promise.resolve(),
    };
    running.set(replay.name, one);
    one.done = run(replay, one)
      // A store that takes nothing says so to everybody else; the next start goes on.
      .catch(() => undefined)
      .finally(() => running.delete(replay.name));
  }

  async function run(begun: StoredReplay, one: Running): Promise<void> {
    const { name } = begun;
    let { events: sentBefore = 0, lastReplayedAt = '' } = begun;
    const only = begun.rules && new Set(begun.rules);
    const goesOn = (): boolean => !stopped && !one.cancelled;
    /** What this process knows of it; whether it is cancelled stands in the record. */
    const progress = () => ({
      events: sentBefore,
      ...(lastReplayedAt === '' ? {} : { lastReplayedAt }),
      ...(one.failed === 0 ? {} : { failed: one.failed }),
      ...(one.reason === undefined ? {} : { reason: one.reason }),
    });
    try {
      for await (const { minute, events } of archive.slices(resumedAtMs(begun), Date.parse(begun.to))) {
        if (!goesOn()) break;
        const sent = await send(begun, shuffled(events, random), only && { only }, goesOn);
        if (sent.events === 0 && !goesOn()) break;
        sentBefore += sent.events;
        lastReplayedAt = [lastReplayedAt, sent.latest, `${minute}:00.000Z`].sort().at(-1) ?? minute;
        if (goesOn())
          await change(name, (replay) => ({
            ...replay,
            ...progress(),
            state: replay.state === 'CANCELLING' ? 'CANCELLING' : 'RUNNING',
          }));
      }
      await until(() => stopped || bus.pending(name) === 0);
    } catch (error) {
      if (stopped || isClosed(error)) return;
      const reason = error instanceof Error ? error.message : String(error);
      await end(name, (replay) => ({ ...replay, ...progress(), state: 'FAILED', reason, endedAt: now() }));
      return;
    }
    if (stopped) return;
    await end(name, (replay) => ({
      ...replay,
      ...progress(),
      state: replay.state === 'CANCELLING' ? 'CANCELLED' : 'COMPLETED',
      endedAt: now(),
    }));
  }

  /** Stores the end, again if the store does not take it at once. What is not stored at all is under way, and the next start goes on with it. */
  async function end(name: string, ended: (replay: StoredReplay) => StoredReplay): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await change(name, ended);
        return;
      } catch (error) {
        if (stopped || isClosed(error) || tries >= SAVE_TRIES) throw error;
        await pause(SAVE_AGAIN_MS);
      }
    }
  }

  /** Decides by what stands there, and again when another wrote meanwhile: an end is never overwritten by what was read before. */
  async function change(name: string, decide: (replay: StoredReplay) => StoredReplay): Promise<StoredReplay> {
    for (let tries = 0; tries < DECIDE_TRIES; tries++) {
      const stored = await store.get(replayKey(name));
      if (!stored) throw unknown(name);
      const decided = decide(replayIn(stored.value));
      if ((await store.put(replayKey(name), decided, stored.revision)).outcome === 'written') return decided;
    }
    throw new BatonError('contention', `the replay "${name}" was written by others ${DECIDE_TRIES} times`);
  }

  async function send(
    { name, archive: named }: StoredReplay,
    events: readonly Envelope[],
    options: { readonly only: ReadonlySet<string> } | undefined,
    goesOn: () => boolean,
  ): Promise<{ events: number; latest: string }> {
    const isKept = named === undefined ? () => true : await archives.filterOf(named);
    let sent = 0;
    let latest = '';
    for (const event of events) {
      if (!isKept(event)) continue;
      if (bus.pending(name) >= IN_FLIGHT_MAX) await until(() => !goesOn() || bus.pending(name) < IN_FLIGHT_MAX / 2);
      if (!goesOn()) break;
      await bus.publish([{ ...event, 'replay-name': name }], options);
      sent++;
      const at = instantOf(event.time);
      if (at > latest) latest = at;
    }
    return { events: sent, latest };
  }

  /** Looks again and again, in the time of the world. */
  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await pause(LOOK_PAUSE_MS);
  }

  /** Ends early when the world stops. */
  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      waits.add(resolve);
      scheduler.at(scheduler.nowMs() + ms, () => {
        waits.delete(resolve);
        resolve();
      });
    });
  }

  async function forget(): Promise<void> {
    const over = (await list()).filter(isReplayOver);
    for (const { name } of over.slice(REPLAYS_KEPT)) await store.delete(replayKey(name));
  }
}

const refusal = (why: string): string => `The replay is refused: ${why}.`;
const refused = (why: string): BatonError => new BatonError('replay_refused', refusal(why));
const unknown = (name: string): BatonError => new BatonError('unknown_replay', `There is no replay "${name}" here.`);
const isClosed = (error: unknown): boolean => error instanceof BatonError && error.code === 'store_closed';

/** Only this module writes below the prefix. */
const replayIn = (value: unknown): StoredReplay => value as StoredReplay;

/** The minute in which it stood is replayed again: which of its events were delivered is not known. */
function resumedAtMs({ from, lastReplayedAt }: StoredReplay): number {
  const fromMs = Date.parse(from);
  if (lastReplayedAt === undefined) return fromMs;
  return Math.max(fromMs, Date.parse(`${lastReplayedAt.slice(0, 'YYYY-MM-DDTHH:MM'.length)}Z`));
}

function instantOf(time: string): string {
  const timeMs = Date.parse(time);
  return Number.isNaN(timeMs) ? '' : new Date(timeMs).toISOString();
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const [a, b] = [order[last], order[other]];
    if (a === undefined || b === undefined) continue;
    order[last] = b;
    order[other] = a;
  }
  return order;
}
