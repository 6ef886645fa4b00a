import type { Envelope } from '../../schemas/envelope.ts';
import type { DefinitionsOver } from '../definitions.ts';
import type { Archive } from '../engine/archive.ts';
import { createEngine, type Engine } from '../engine/engine.ts';
import { type DeadLetter, letterIdOf } from '../engine/event-bus.ts';
import type { MemoryStore } from '../engine/memory-store.ts';
import type { Scheduler } from '../engine/scheduler.ts';
import type { FleetBackendOptions } from '../fleet-backend.ts';
import type { Alarms, RecordStore, Settings } from '../ports.ts';
import type { Reaction } from '../react.ts';
import type { SessionBackendOptions } from '../session-backend.ts';
import { afterDeadLetters } from './dead-letters.ts';
import { diskOf, slowToRead } from './disk.ts';
import { type Invoker, underFaults } from './invocation.ts';
import type { Broken } from './promise-names.ts';
import type { Promises } from './promises.ts';
import type { Random } from './random.ts';
import { type Gate, type Scene, Unreachable } from './scene.ts';
import type { HostHabits } from './simulated-host.ts';
import type { Trouble } from './troubled-store.ts';
import type { Weather } from './weather.ts';
import { fleetWaitsOf, type WiredPorts, type Wiring, wire } from './wiring.ts';

/** A mistake put in on purpose, to see that the simulation finds it. */
export interface Plant {
  /** What the ports of one caller (a rule's name, or `outside` for runners) stand on. */
  readonly wiring?: (wiring: Wiring, caller: string) => Wiring;
  readonly ports?: (ports: WiredPorts, caller: string) => WiredPorts;
  readonly reactions?: (reactions: readonly Reaction[]) => readonly Reaction[];
  /** What the whole world is set to. */
  readonly settings?: (settings: Settings) => Settings;
  /** What the task definitions of users stand on. */
  readonly definitions?: (under: DefinitionsOver) => DefinitionsOver;
  /** What the back end of sessions stands on. */
  readonly sessions?: (under: SessionBackendOptions) => SessionBackendOptions;
  /** What the back end of fleets stands on. */
  readonly fleet?: (under: FleetBackendOptions) => FleetBackendOptions;
  /** What the hosts of fleets do. */
  readonly hosts?: Partial<HostHabits>;
}

/** What every life of one world has in common. */
export interface LifeOptions {
  readonly scene: Scene;
  readonly weather: Weather;
  readonly reactions: readonly Reaction[];
  readonly settings: Settings;
  readonly limitOf: (key: string) => number;
  readonly promises: Promises;
  readonly archive: Archive;
  /** The ports from outside Baton's own, as one invocation sees them beside those. */
  readonly outside: (gate: Gate, own: WiredPorts) => Readonly<Record<string, unknown>>;
  readonly broken: (broken: Broken) => void;
  /** Share of our own facts that the bus delivers once more, much later. */
  readonly repeats: number;
  readonly plant?: Plant | undefined;
}

/** One life of the process: from opening to the next crash. */
export interface Life {
  readonly number: number;
  readonly raw: MemoryStore;
  readonly store: RecordStore;
  readonly asOf: Trouble['asOf'];
  readonly engine: Engine;
  readonly random: Random;
  /** The ports of one caller, over its gate. */
  readonly portsOver: (gate: Gate, caller: string, now?: () => string) => WiredPorts;
  /** Rejects when this life ends. */
  readonly over: Promise<never>;
  readonly end: () => void;
  /** Takes up what an earlier life left. */
  readonly recover: () => Promise<void>;
}

/** Starts the process over what is on disk. */
export function openLife(raw: MemoryStore, number: number, options: LifeOptions): Life {
  const { scene, weather, promises, settings, limitOf, plant, archive, outside } = options;
  const { time, trace, has } = scene;
  const random = scene.random.fork(`life ${number}`);
  let isOver = false;
  let end: () => void = () => undefined;
  const over = new Promise<never>((_, reject) => {
    end = () => {
      isOver = true;
      reject(new Unreachable('the world died'));
    };
  });
  over.catch(() => undefined);
  const alive = (work: () => void) => () => {
    if (!isOver) work();
  };
  const scheduler: Scheduler = {
    nowMs: time.nowMs,
    soon: (work) => void time.at(time.nowMs() + (has('reorder') ? random.int(0, 5) : 0), alive(work)),
    at: (timeMs, work) => time.at(timeMs, alive(work)),
  };
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => scheduler.at(time.nowMs() + ms, resolve));
  const letters = afterDeadLetters({
    ...options,
    sleep,
    isOver: () => isOver,
    redeliver: (id) => engine.bus.redeliver(id),
  });
  const { store, asOf } = diskOf(raw, scene, random.fork('disk'), () => !isOver, {
    known: (key) => promises.records.get(key),
    wrote(key, before, after) {
      promises.wrote(key, before, after);
      letters.wrote(key, after);
    },
  });
  const invoker: Invoker = {
    scene: { ...scene, random },
    weather,
    store,
    asOf,
    sleep,
    portsAt: (gate, rule) => {
      const own = portsOver(gate, rule);
      return { ...own, ...outside(gate, own) };
    },
    publish: (events) => engine.bus.publish(events),
    hung: promises.hung,
    replayed: promises.replayed,
    failed: (rule, event, error) =>
      options.broken({
        promise: 'unknown is loud',
        taskId: '',
        message: `${rule} threw on ${event['detail-type']} ${event.id}: ${stackOf(error)}`,
      }),
  };
  const engine: Engine = createEngine({
    store: slowToRead(store, sleep, random),
    scheduler,
    reactions: (plant?.reactions?.(options.reactions) ?? options.reactions).map((reaction) =>
      underFaults(reaction, invoker),
    ),
    settings,
    secret: 'simulated',
    limitOf,
    fleetWaits: fleetWaitsOf(settings.timings),
    // Handlers get theirs through the gate of each invocation; this one answers nobody.
    outside: () => {
      const gate: Gate = { point: async () => undefined, sleep, store, replay: false };
      return outside(gate, portsOver(gate, 'nobody'));
    },
    copies: (event) => (isDoubled(event) ? 2 : 1),
    onDeadLetter: (letter, id) => {
      if (!isOver) letters.came(letter, id);
    },
  });
  engine.bus.listen((event) => {
    promises.heard(event);
    keep(event);
    if (has('duplicate') && event.source === 'baton' && random.chance(options.repeats)) sayAgain(event);
  });
  return { number, raw, store, asOf, engine, random, portsOver, over, end, recover };

  /** An archive keeps what is on disk: what a crash took back was never said. */
  function keep(event: Envelope): void {
    if (!has('replay')) return;
    if (!has('world-crash')) archive.append(event);
    else raw.durable().then(() => archive.append(event), noWorld);
  }

  /** EventBridge delivers at least once, and the second time may be hours later. */
  function sayAgain(event: Envelope): void {
    scheduler.at(time.nowMs() + random.int(1_000, random.chance(0.5) ? 60_000 : 4 * 3_600_000), () => {
      trace.line(`the bus says ${event.id} again`);
      engine.bus.publish([event]).catch(noWorld);
    });
  }

  function isDoubled(event: Envelope): boolean {
    if (event['detail-type'] === 'AlarmRang') return has('twice-alarm') && random.chance(0.3);
    return has('duplicate') && random.chance(0.3);
  }

  async function recover(): Promise<void> {
    await Promise.race([engine.recover(), over]).catch(noWorld);
    if (isOver) return;
    promises.reopened();
    for (const { key, value } of await raw.list('DEAD#', { limit: LETTERS_MAX }))
      letters.came(value as DeadLetter, letterIdOf(key));
  }

  function storeOf(gate: Gate, caller: string): RecordStore {
    if (gate.replay) return promises.watchedReplay(gate.store);
    return caller === 'start-run-on-ecs' ? promises.watchedStarts(gate.store) : gate.store;
  }

  function portsOver(gate: Gate, caller: string, now = time.now): WiredPorts {
    const set: Alarms = {
      async arm(taskId, at) {
        await gate.point(`arm ${at}`);
        weather.check('alarm clock');
        await engine.alarms.arm(taskId, at);
        promises.armed(taskId, at);
      },
    };
    const wiring: Wiring = {
      store: storeOf(gate, caller),
      alarms: set,
      clock: { now },
      settings,
      secret: 'simulated',
      limitOf,
    };
    const wired = wire(plant?.wiring?.(wiring, caller) ?? wiring);
    return plant?.ports?.(wired, caller) ?? wired;
  }
}

export const stackOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

/** Dead letters of an earlier life that somebody looks after. */
const LETTERS_MAX = 1_000;

/** What the death of the world leaves undone. */
const noWorld = (): void => undefined;
