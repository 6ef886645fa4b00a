import { alarmRang } from '../../events/alarm-rang.ts';
import { earliestDue } from '../../lifecycle/evolve.ts';
import { awsFleetWaits, type FleetWaits } from '../../lifecycle/worker.ts';
import type { Rule } from '../../rules/rule.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import { alarmEvent } from '../alarm-event.ts';
import { BatonError } from '../errors.ts';
import { onceOnly } from '../once.ts';
import { payloadsOver } from '../payloads.ts';
import type { OutsidePort, Ports, RecordStore, Settings } from '../ports.ts';
import { type Reaction, replayOf } from '../react.ts';
import { configurationsOver, limitsOver, repositoriesOver } from '../repositories.ts';
import { type RunnerSide, runsOver } from '../runs.ts';
import { slotsOver } from '../slots.ts';
import { tasksOver } from '../tasks.ts';
import { placesOver, workersOver } from '../workers.ts';
import { type AlarmClock, alarmClock } from './alarm-clock.ts';
import type { Archive } from './archive.ts';
import { type Archives, archivesOver } from './archives.ts';
import { effectLedger } from './effect-ledger.ts';
import { type DeadLetter, type EventBus, eventBus } from './event-bus.ts';
import { type EngineJournal, engineJournal } from './journal.ts';
import { openTasks } from './open-tasks.ts';
import { type Replays, replaysOver } from './replay.ts';
import type { Scheduler } from './scheduler.ts';

/** Wait before a dead-lettered wake-up rings again, in milliseconds: long enough for a passing trouble to pass. */
const RING_AGAIN_MS = 30_000;

export interface EngineOptions {
  readonly store: RecordStore;
  readonly scheduler: Scheduler;
  readonly reactions: readonly Reaction[];
  readonly settings: Settings;
  /** Known to this world alone; run tokens and payload references derive from it. */
  readonly secret: string;
  /** How many tasks of a slot key may run at once. */
  readonly limitOf: (key: string) => number;
  /** Waits of its fleets; those of AWS unless told otherwise. */
  readonly fleetWaits?: FleetWaits;
  /** Keeps what is published; without one, nothing can be replayed. */
  readonly archive?: Archive;
  /** Chance from 0 to 1, for the order of what is replayed. */
  readonly random?: () => number;
  /** Compute back ends and other ports that the engine does not have itself, by port name. */
  readonly outside: (engine: Pick<Engine, 'bus' | 'ports'>) => Readonly<Record<string, unknown>>;
  /** Lets the simulation stand between handlers and ports. */
  readonly wrap?: (reaction: Reaction, ports: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;
  readonly copies?: (event: Envelope) => number;
  readonly onDeadLetter?: (letter: DeadLetter, id?: string) => void;
  /** Called once when the store fails for good (full, unwritable): alarms and bus stand still, the next start takes everything up. */
  readonly onStoreFailure?: (error: unknown) => void;
}

export interface Engine {
  readonly bus: EventBus;
  readonly ports: Omit<Ports, OutsidePort> & { readonly runs: Ports['runs'] & RunnerSide };
  readonly alarms: AlarmClock;
  readonly journal: EngineJournal;
  readonly archive: Pick<Archive, 'slices'>;
  readonly archives: Archives;
  readonly replays: Replays;
  readonly store: RecordStore;
  /** Takes up what an earlier process left: undelivered events, alarms and replays. Answers how many tasks are not settled. */
  recover(): Promise<number>;
  stop(): Promise<void>;
}

/** What the embedded and the simulated world share: rules, handlers, bus and alarm clock over one record store. */
export function createEngine(options: EngineOptions): Engine {
  const { store, scheduler, secret, settings } = options;
  const clock = { now: () => new Date(scheduler.nowMs()).toISOString() };
  const journal = engineJournal(store, clock.now);
  const alarms = alarmClock(scheduler, ring);
  const runs = runsOver({ store, clock, secret: () => secret });
  const tasks = tasksOver({ store, alarms, runs, clock, timings: () => settings.timings });
  const repositories = repositoriesOver({ store });
  const configurations = configurationsOver({ store });
  const workers = workersOver({ store, clock, waits: options.fleetWaits ?? awsFleetWaits });
  const limitOf = placesOver(workers, limitsOver(repositories, options.limitOf));
  const slots = slotsOver({ store, tasks, clock, limitOf });
  const payloads = payloadsOver({ store, secret: () => secret });
  const effects = effectLedger({ store });
  const ports = { tasks, slots, workers, runs, payloads, repositories, configurations, settings, clock };

  let stopped = false;
  let all: Readonly<Record<string, unknown>> = ports;
  const bus: EventBus = eventBus({
    store,
    scheduler,
    reactions: options.reactions.map((reaction) => (reaction.rule.once ? onceOnly(reaction, effects) : reaction)),
    portsOf: (reaction) => lazily(reaction, () => all, options.wrap),
    world: { now: clock.now, republishAgeSeconds: () => settings.timings.REPUBLISH_AGE_S, journal },
    ...(options.archive ? { archive: options.archive } : {}),
    ...(options.copies ? { copies: options.copies } : {}),
    onDeadLetter(letter, id) {
      options.onDeadLetter?.(letter, id);
      if (id !== undefined) ringAgainLater(letter, id);
    },
    onReplayFailure: (replay, { rule, error: { message } }) => replays.gaveUp(replay, { rule, message }),
    onStoreFailure: storeFailed,
  });
  all = { ...ports, ...options.outside({ bus, ports }) };
  for (const { rule } of options.reactions) assertPorts(rule, all);
  bus.listen((event) => {
    const isTold = event['detail-type'] === 'TaskSettled' && event.source === 'baton' && replayOf(event) === undefined;
    if (isTold) alarms.forget((event as BatonEvent).detail.metadata.taskId ?? '');
  });

  const archive = options.archive ?? NO_ARCHIVE;
  const archives = archivesOver({ store, nowMs: scheduler.nowMs });
  const replays = replaysOver({ store, bus, scheduler, archive, archives, random: options.random ?? Math.random });

  return { bus, ports, alarms, journal, archive, archives, replays, store, recover, stop };

  /** Only the store can refuse a wake-up; the next start sets the clock from the tasks. */
  function ring(taskId: string, at: string): void {
    if (!stopped) bus.publish([alarmEvent(taskId, at)]).catch(storeFailed);
  }

  /** A task whose wake-up is dead has no other clock: it is redriven again and again, until somebody mends what fails. */
  function ringAgainLater({ event }: DeadLetter, id: string): void {
    if (event.source !== alarmRang.source) return;
    scheduler.at(scheduler.nowMs() + RING_AGAIN_MS, () => {
      if (!stopped) bus.redeliver(id).catch(storeFailed);
    });
  }

  function storeFailed(error: unknown): void {
    if (stopped) return;
    void stop();
    options.onStoreFailure?.(error);
  }

  async function recover(): Promise<number> {
    let open = 0;
    const waitedFor = new Set<string>();
    for await (const task of openTasks(store)) {
      const at = task.armedAt ?? earliestDue(task);
      if (at) await alarms.arm(task.taskId, at);
      if (task.status === 'QUEUED') waitedFor.add(task.slotKey);
      open += 1;
    }
    await bus.recover();
    await fill(waitedFor);
    await replays.recover();
    return open;
  }

  /** The limit may be another than when the last process ended: whoever has a place now need not wait for its next check. */
  async function fill(keys: ReadonlySet<string>): Promise<void> {
    for (const key of keys) {
      const { events } = await slots.check(key, { id: `opened#${key}#${clock.now()}`, type: 'WorldOpened' });
      await bus.publish(events);
    }
  }

  async function stop(): Promise<void> {
    stopped = true;
    alarms.stop();
    await Promise.all([replays.stop(), bus.stop()]);
  }
}

/** The archive of a world that keeps nothing. */
const NO_ARCHIVE: Pick<Archive, 'slices'> = {
  async *slices() {
    yield* [];
  },
};

/** A rule that cannot work is refused when the world opens, not when its first event comes. */
function assertPorts(rule: Rule, all: Readonly<Record<string, unknown>>): void {
  const missing = rule.uses.filter((name) => all[name] === undefined);
  if (missing.length === 0) return;
  throw new BatonError(
    'missing_port',
    `rule "${rule.name}" uses ${missing.join(', ')}, which this world does not have`,
  );
}

/** Only the ports that the rule names; looked up when used, because back ends are made after the bus that they publish to. */
function lazily(
  reaction: Reaction,
  all: () => Readonly<Record<string, unknown>>,
  wrap: EngineOptions['wrap'],
): Readonly<Record<string, unknown>> {
  const own: Record<string, unknown> = {};
  for (const name of reaction.rule.uses) Object.defineProperty(own, name, { enumerable: true, get: () => all()[name] });
  return wrap ? wrap(reaction, own) : own;
}
