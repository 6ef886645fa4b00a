import type { Envelope } from '../../schemas/envelope.ts';
import { isReplayOver, type ReplayRequest, type ReplayView } from '../../schemas/replay.ts';
import { BatonError } from '../errors.ts';
import type { RecordStore } from '../ports.ts';
import { REPLAY_PREFIX, replayKey } from '../records.ts';
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

/**
 * Replays as EventBridge makes them: minute by minute, in any order inside a minute, each event with `replay-name`, to all rules that
 * match or to some of them, at least once. A replay is a record, so it goes on after a restart.
 */
export function replaysOver({ store, bus, scheduler, archive, archives, random }: ReplaysOver): Replays {
  /** Replays under way, and whether they shall end early. */
  const running = new Map<string, { cancelled: boolean; done: Promise<void> }>();
  const waits = new Set<() => void>();
  let stopped = false;
  const now = (): string => new Date(scheduler.nowMs()).toISOString();

  return { start, get, list, cancel, recover, stop };

  async function start(wanted: Parameters<Replays['start']>[0]): Promise<StoredReplay> {
    const at = now();
    if (wanted.from >= wanted.to) throw refused(`the time ${wanted.from} is not before ${wanted.to}`);
    if (wanted.from >= at) throw refused(`the time ${wanted.from} has not come yet`);
    if (running.size >= REPLAYS_AT_ONCE)
      throw refused(`${running.size} replays are under way, and there may be no more`);
    // What is published from now on is not meant.
    const replay: StoredReplay = {
      ...wanted,
      to: wanted.to < at ? wanted.to : at,
      state: 'STARTING',
      startedAt: at,
      events: 0,
    };
    const written = await store.put(replayKey(wanted.name), replay, 'absent');
    if (written.outcome === 'conflict')
      throw new BatonError('replay_exists', `There was a replay "${wanted.name}" before.`);
    await forget();
    begin(replay);
    return replay;
  }

  async function get(name: string): Promise<StoredReplay> {
    const stored = await store.get(replayKey(name));
    if (stored) return replayIn(stored.value);
    throw new BatonError('unknown_replay', `There is no replay "${name}" here.`);
  }

  async function list(): Promise<StoredReplay[]> {
    const stored = await store.list(REPLAY_PREFIX, { limit: REPLAYS_KEPT + REPLAYS_AT_ONCE });
    return stored.map(({ value }) => replayIn(value)).sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
  }

  async function cancel(name: string): Promise<StoredReplay> {
    const replay = await get(name);
    const one = running.get(name);
    if (isReplayOver(replay) || !one) throw refused(`the replay "${name}" is ${replay.state}`);
    one.cancelled = true;
    const cancelling: StoredReplay = { ...replay, state: 'CANCELLING' };
    await save(cancelling);
    return cancelling;
  }

  async function recover(): Promise<void> {
    for (const replay of await list()) if (!isReplayOver(replay)) begin(replay, replay.state === 'CANCELLING');
  }

  async function stop(): Promise<void> {
    stopped = true;
    for (const wake of waits) wake();
    await Promise.all([...running.values()].map(({ done }) => done));
  }

  function begin(replay: StoredReplay, cancelled = false): void {
    const one = { cancelled, done: Promise.resolve() };
    running.set(replay.name, one);
    one.done = run(replay, one)
      // A store that takes nothing says so to everybody else; the next start goes on.
      .catch(() => undefined)
      .finally(() => running.delete(replay.name));
  }

  async function run(begun: StoredReplay, one: { readonly cancelled: boolean }): Promise<void> {
    let replay = begun;
    const only = replay.rules && new Set(replay.rules);
    const goesOn = (): boolean => !stopped && !one.cancelled;
    try {
      for await (const { minute, events } of archive.slices(resumedAtMs(replay), Date.parse(replay.to))) {
        if (!goesOn()) break;
        const sent = await send(replay, shuffled(events, random), only && { only }, goesOn);
        if (sent.events === 0 && !goesOn()) break;
        const { lastReplayedAt = '' } = replay;
        replay = {
          ...replay,
          state: one.cancelled ? 'CANCELLING' : 'RUNNING',
          events: (replay.events ?? 0) + sent.events,
          lastReplayedAt: [lastReplayedAt, sent.latest, `${minute}:00.000Z`].sort().at(-1) ?? minute,
        };
        if (goesOn()) await save(replay);
      }
      await until(() => stopped || bus.pending(replay.name) === 0);
      if (!stopped) await save({ ...replay, state: one.cancelled ? 'CANCELLED' : 'COMPLETED', endedAt: now() });
    } catch (error) {
      if (stopped || (error instanceof BatonError && error.code === 'store_closed')) return;
      const reason = error instanceof Error ? error.message : String(error);
      await save({ ...replay, state: 'FAILED', reason, endedAt: now() });
    }
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
    while (!holds()) {
      await new Promise<void>((resolve) => {
        waits.add(resolve);
        scheduler.at(scheduler.nowMs() + LOOK_PAUSE_MS, () => {
          waits.delete(resolve);
          resolve();
        });
      });
    }
  }

  async function save(replay: StoredReplay): Promise<void> {
    await store.put(replayKey(replay.name), replay, 'any');
  }

  async function forget(): Promise<void> {
    const over = (await list()).filter(isReplayOver);
    for (const { name } of over.slice(REPLAYS_KEPT)) await store.delete(replayKey(name));
  }
}

const refused = (why: string): BatonError => new BatonError('replay_refused', `The replay is refused: ${why}.`);

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
