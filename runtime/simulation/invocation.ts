import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import { BatonError } from '../errors.ts';
import type { RecordStore } from '../ports.ts';
import type { Reaction } from '../react.ts';
import { ofOtherCode } from './mixed-code.ts';
import type { Random } from './random.ts';
import type { Gate, Scene } from './scene.ts';
import { never, type Trouble, troubledStore } from './troubled-store.ts';
import type { Weather } from './weather.ts';

/** A handler that died on its way: what it had done is done, what comes after is not. */
export class Crashed extends Error {}

/** Calls that a handler makes at most before it is planned to die, or to be cut off. */
const CRASH_WITHIN_CALLS = 16;
/** Longest time that one call stalls, as a part of the age from which a duplicate counts as a retry. */
const STALL_SHARE = 0.5;
/** The time-out of a function in seconds; where a duplicate counts as a retry sooner, it is shorter too. */
const TIMEOUT_S = 30;
const TIMEOUT_SHARE = 0.55;
/** How long after its handler was cut off a call may still take effect, in milliseconds. */
const TAKES_EFFECT_MAX_MS = 90_000;

export interface Invoker {
  readonly scene: Scene;
  readonly weather: Weather;
  readonly store: RecordStore;
  readonly asOf: Trouble['asOf'];
  /** Sleeps as long as this life of the world lasts; never wakes in the next one. */
  readonly sleep: (ms: number) => Promise<void>;
  /** The ports of one invocation, over its gate. */
  readonly portsAt: (gate: Gate, rule: string) => Readonly<Record<string, unknown>>;
  readonly publish: (events: readonly BatonEvent[]) => Promise<void>;
  readonly failed: (rule: string, event: Envelope, error: unknown) => void;
  /** A write hung and may take effect at any later time. */
  readonly hung: (key: string) => void;
  /** What an invocation that a replay caused says. */
  readonly replayed: (rule: string, event: Envelope, facts: readonly BatonEvent[], sinceMs: number) => void;
}

/** Does the delivery come from a replay, or from what one caused? */
export const isReplay = (event: Envelope): boolean =>
  event['replay-name'] !== undefined ||
  (event.detail as { metadata?: { replayOf?: string } }).metadata?.replayOf !== undefined;

/** A reaction as the simulated world runs it: late, with others in between each two calls, and dead or cut off at any of them. */
export function underFaults(reaction: Reaction, invoker: Invoker): Reaction {
  const { scene, publish, weather } = invoker;
  const random = scene.random.fork(reaction.rule.name);
  /** Deliveries that fail as often as they are tried, by event. */
  const givenUp = new Set<string>();
  let count = 0;
  return {
    rule: reaction.rule,
    async run(told, _ports, world, delivery) {
      const name = `${reaction.rule.name}/${++count}`;
      const event = scene.has('mixed-code') ? ofOtherCode(told, random) : told;
      const waitMs = arrivalMs(scene, random, event);
      if (waitMs > 0) await invoker.sleep(waitMs);
      const replay = isReplay(event);
      const sinceMs = scene.time.nowMs();
      scene.trace.line(
        `${name} takes ${event['detail-type']} ${event.id} (${delivery.tries})${replay ? ' of a replay' : ''}`,
      );
      if (scene.has('redrive')) giveUp(event.id, delivery.tries);
      const gate = openGate(name, invoker, random, replay);
      const all = invoker.portsAt(gate, reaction.rule.name);
      const ports = Object.fromEntries(reaction.rule.uses.map((port) => [port, all[port]]));
      const handled = async (): Promise<void> => {
        const facts = await reaction.run(event, ports, world, delivery);
        await gate.point('returns');
        if (replay) invoker.replayed(reaction.rule.name, event, facts, sinceMs);
        const said = gate.isDoomed() ? random.int(0, facts.length) : facts.length;
        for (const fact of facts.slice(0, said)) {
          weather.check('bus');
          await publish([fact]);
        }
        if (gate.isDoomed()) throw new Crashed(`after ${said} of ${facts.length} facts`);
        scene.trace.line(`${name} says ${facts.map(({ id }) => id).join(' ')}`);
      };
      try {
        await Promise.race([handled(), gate.cutOff]);
        return [];
      } catch (error) {
        scene.trace.line(`${name} ${error instanceof Crashed ? 'crashes' : 'throws'}: ${String(error)}`);
        if (!isExpected(error)) invoker.failed(reaction.rule.name, event, error);
        throw error;
      } finally {
        gate.close();
      }
    },
  };

  /** Dies in every try until the delivery is a dead letter; whoever redrives it finds the trouble gone. */
  function giveUp(id: string, tries: number): void {
    if (tries === 1 && random.chance(GIVEN_UP_SHARE)) givenUp.add(id);
    if (!givenUp.has(id)) return;
    if (tries >= reaction.rule.attempts) givenUp.delete(id);
    throw new Crashed('in every try');
  }
}

/** How often a delivery is given up with all its tries, so that there is something to redrive. */
const GIVEN_UP_SHARE = 0.02;

/** What adapters throw for troubles that pass. */
const passing = new Set<string>(['service_throttled', 'service_unavailable', 'channel_unavailable', 'store_closed']);

/** What a handler may throw in this world without anybody having made a mistake. */
const isExpected = (error: unknown): boolean =>
  error instanceof Crashed ||
  (error instanceof BatonError && (error.code.startsWith('compute_') || passing.has(error.code)));

/** How long a delivery is under way, in milliseconds. */
function arrivalMs(scene: Scene, random: Random, event: Envelope): number {
  if (event['detail-type'] === 'AlarmRang') {
    return scene.has('late-alarm') && random.chance(0.3) ? random.int(1, 900_000) : 0;
  }
  if (scene.has('delay') && random.chance(0.02)) return random.int(1_000, 600_000);
  return scene.has('reorder') && random.chance(0.2) ? random.int(1, 3_000) : 0;
}

type Doom = Gate & {
  isDoomed(): boolean;
  /** Rejects when the function's time is over. */
  readonly cutOff: Promise<never>;
  close(): void;
};

/** Counts the calls of one invocation, lets others run before each, and ends it where chance says so. */
export function openGate(
  _name: string,
  invoker: Pick<Invoker, 'scene' | 'weather' | 'store' | 'asOf' | 'sleep' | 'hung'>,
  random: Random,
  replay = false,
): Doom {
  const { scene, sleep, weather } = invoker;
  const diesAt = scene.has('crash') && random.chance(0.15) ? random.int(1, CRASH_WITHIN_CALLS) : undefined;
  const hangsAt = scene.has('time-out') && random.chance(0.06) ? random.int(1, CRASH_WITHIN_CALLS) : undefined;
  const ageMs = scene.timings.REPUBLISH_AGE_S * 1_000;
  let calls = 0;
  let isOver = false;
  let close = (): void => undefined;
  const cutOff = scene.has('time-out')
    ? new Promise<never>((_, reject) => {
        close = scene.time.at(scene.time.nowMs() + Math.min(TIMEOUT_S * 1_000, ageMs * TIMEOUT_SHARE), () => {
          isOver = true;
          reject(new Crashed('by its time-out'));
        });
      })
    : never();
  cutOff.catch(() => undefined);

  const point = async (what: string): Promise<void> => {
    calls++;
    await sleep(callMs());
    // Whoever catches it is dead all the same.
    if (diesAt !== undefined && calls >= diesAt) throw new Crashed(`before ${what}`);
    // The function is frozen: nothing of it goes on.
    if (isOver) await never();
  };

  function callMs(): number {
    if (scene.has('delay') && random.chance(0.02)) return random.int(100, ageMs * STALL_SHARE);
    return scene.has('reorder') ? random.int(0, 5) : 0;
  }

  /** The call hangs until its handler is cut off; the service does it at once, later, or not at all. */
  function hangs(key: string, write: () => Promise<unknown>): boolean {
    if (calls !== hangsAt) return false;
    const effect = random.pick(['at once', 'later', 'never'] as const);
    scene.trace.line(`  ${key} hangs and takes effect ${effect}`);
    if (effect === 'never') return true;
    invoker.hung(key);
    void sleep(effect === 'later' ? random.int(100, TAKES_EFFECT_MAX_MS) : 0)
      .then(write)
      .catch(() => undefined);
    return true;
  }

  const trouble: Trouble = { scene, weather, random, point, sleep, hangs, asOf: invoker.asOf };
  return {
    point,
    sleep,
    replay,
    store: troubledStore(invoker.store, trouble),
    isDoomed: () => diesAt !== undefined && calls < diesAt,
    cutOff,
    close: () => close(),
  };
}
