import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import { BatonError } from '../errors.ts';
import type { RecordStore } from '../ports.ts';
import type { Reaction } from '../react.ts';
import type { Random } from './random.ts';
import type { Gate, Scene } from './scene.ts';

/** A handler that died on its way: what it had done is done, what comes after is not. */
export class Crashed extends Error {}

/** Calls that a handler makes at most before it is planned to die. */
const CRASH_WITHIN_CALLS = 16;
/** Longest time that one call stalls, as a part of the age from which a duplicate counts as a retry. */
const STALL_SHARE = 0.5;

export interface Invoker {
  readonly scene: Scene;
  readonly store: RecordStore;
  /** Sleeps as long as this life of the world lasts; never wakes in the next one. */
  readonly sleep: (ms: number) => Promise<void>;
  /** The ports of one invocation, over its gate. */
  readonly portsAt: (gate: Gate, rule: string) => Readonly<Record<string, unknown>>;
  readonly publish: (events: readonly BatonEvent[]) => Promise<void>;
  readonly failed: (rule: string, event: Envelope, error: unknown) => void;
}

/** A reaction as the simulated world runs it: late, with others in between each two calls, and dead at any of them. */
export function underFaults(reaction: Reaction, invoker: Invoker): Reaction {
  const { scene, publish } = invoker;
  const random = scene.random.fork(reaction.rule.name);
  let count = 0;
  return {
    rule: reaction.rule,
    async run(event, _ports, world, delivery) {
      const name = `${reaction.rule.name}/${++count}`;
      const waitMs = arrivalMs(scene, random, event);
      if (waitMs > 0) await invoker.sleep(waitMs);
      scene.trace.line(`${name} takes ${event['detail-type']} ${event.id} (${delivery.tries})`);
      const gate = openGate(name, invoker, random);
      const all = invoker.portsAt(gate, reaction.rule.name);
      const ports = Object.fromEntries(reaction.rule.uses.map((port) => [port, all[port]]));
      try {
        const facts = await reaction.run(event, ports, world, delivery);
        await gate.point('returns');
        if (gate.isDoomed()) {
          const said = facts.slice(0, random.int(0, facts.length));
          await publish(said);
          throw new Crashed(`after ${said.length} of ${facts.length} facts`);
        }
        scene.trace.line(`${name} says ${facts.map(({ id }) => id).join(' ')}`);
        return facts;
      } catch (error) {
        scene.trace.line(`${name} ${error instanceof Crashed ? 'crashes' : 'throws'}: ${String(error)}`);
        if (!isExpected(error)) invoker.failed(reaction.rule.name, event, error);
        throw error;
      }
    },
  };
}

/** What a handler may throw in this world without anybody having made a mistake. */
const isExpected = (error: unknown): boolean =>
  error instanceof Crashed ||
  (error instanceof BatonError && (error.code.startsWith('compute_') || error.code === 'store_closed'));

/** How long a delivery is under way, in milliseconds. */
function arrivalMs(scene: Scene, random: Random, event: Envelope): number {
  if (event['detail-type'] === 'AlarmRang') {
    return scene.has('late-alarm') && random.chance(0.3) ? random.int(1, 900_000) : 0;
  }
  if (scene.has('delay') && random.chance(0.02)) return random.int(1_000, 600_000);
  return scene.has('reorder') && random.chance(0.2) ? random.int(1, 3_000) : 0;
}

type Doom = Gate & { isDoomed(): boolean };

/** Counts the calls of one invocation, lets others run before each, and ends it where chance says so. */
export function openGate(_name: string, invoker: Pick<Invoker, 'scene' | 'store' | 'sleep'>, random: Random): Doom {
  const { scene, sleep } = invoker;
  const diesAt = scene.has('crash') && random.chance(0.15) ? random.int(1, CRASH_WITHIN_CALLS) : undefined;
  let calls = 0;
  const stallMs = scene.timings.REPUBLISH_AGE_S * 1_000 * STALL_SHARE;

  const point = async (what: string): Promise<void> => {
    calls++;
    await sleep(callMs());
    if (calls === diesAt) throw new Crashed(`before ${what}`);
  };

  function callMs(): number {
    if (scene.has('delay') && random.chance(0.02)) return random.int(100, stallMs);
    return scene.has('reorder') ? random.int(0, 5) : 0;
  }

  return { point, sleep, store: stepped(invoker.store, point), isDoomed: () => diesAt !== undefined && calls < diesAt };
}

/** A store whose every call lets others in before. */
function stepped(store: RecordStore, point: (what: string) => Promise<void>): RecordStore {
  return {
    async get(key) {
      await point(`get ${key}`);
      return store.get(key);
    },
    async put(key, value, expected, index) {
      await point(`put ${key}`);
      return store.put(key, value, expected, index);
    },
    async delete(key) {
      await point(`delete ${key}`);
      return store.delete(key);
    },
    async list(prefix, options) {
      await point(`list ${prefix}`);
      return store.list(prefix, options);
    },
    async query(options) {
      await point('query');
      return store.query(options);
    },
    durable: () => store.durable(),
    close: () => store.close(),
  };
}
