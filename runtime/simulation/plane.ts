import type { Envelope } from '../../schemas/envelope.ts';
import { BatonError } from '../errors.ts';
import { openGate } from './invocation.ts';
import type { Life } from './life.ts';
import { NEWER_FIELD } from './mixed-code.ts';
import { type ControlPlane, type Scene, Unreachable } from './scene.ts';
import type { Weather } from './weather.ts';
import type { WiredPorts } from './wiring.ts';

/** How long whoever publishes waits before it tries again, in milliseconds; twice as long before each further time, up to the second. */
const PUBLISHED_AGAIN_MS = 1_000;
const PUBLISHED_AGAIN_MAX_MS = 60_000;

export interface PlaneOptions {
  readonly scene: Scene;
  readonly weather: Weather;
  readonly lifeNow: () => Life | undefined;
  /** Something was thrown that nobody expects. */
  readonly surprised: (what: string, error: unknown) => void;
}

/** How clients, runners and the back end reach the world: whoever asks gets an answer or does not know whether it was done. */
export function controlPlane({ scene, weather, lifeNow, surprised }: PlaneOptions): ControlPlane {
  return { ask, publish };

  async function ask<T>(what: string, question: (ports: WiredPorts) => Promise<T>, now?: () => string): Promise<T> {
    const life = lifeNow();
    if (!life) throw new Unreachable('the world is down');
    const calm: Scene = { ...scene, has: (fault) => fault !== 'crash' && fault !== 'time-out' && scene.has(fault) };
    const gate = openGate(
      what,
      { scene: calm, weather, store: life.store, asOf: life.asOf, sleep: scene.time.sleep, hung: () => undefined },
      life.random,
    );
    await Promise.race([scene.time.sleep(life.random.int(1, 20)), life.over]);
    try {
      const answer = await Promise.race([question(life.portsOver(gate, 'outside', now)), life.over]);
      await Promise.race([life.store.durable(), life.over]);
      if (scene.has('crash') && life.random.chance(0.05)) throw new Unreachable('the answer was lost');
      return answer;
    } catch (error) {
      if (!isPassing(error)) surprised(what, error);
      throw error instanceof Unreachable ? error : new Unreachable(String(error));
    }
  }

  async function publish(told: Envelope): Promise<void> {
    const event = scene.has('mixed-code') && !told.source.startsWith('baton.request') ? withNewer(told) : told;
    for (let waitMs = PUBLISHED_AGAIN_MS; ; waitMs = Math.min(2 * waitMs, PUBLISHED_AGAIN_MAX_MS)) {
      const life = lifeNow();
      if (life) {
        try {
          weather.check('bus');
          await Promise.race([life.engine.bus.publish([event]), life.over]);
          await Promise.race([life.store.durable(), life.over]);
          return;
        } catch (error) {
          if (!isPassing(error)) throw error;
        }
      }
      await scene.time.sleep(waitMs);
    }
  }
}

/** Trouble of the world or of what it stands on: ask again. */
const isPassing = (error: unknown): boolean =>
  error instanceof Unreachable ||
  (error instanceof BatonError &&
    (error.code === 'store_closed' || error.code === 'service_throttled' || error.code === 'service_unavailable'));

const withNewer = (event: Envelope): Envelope => ({
  ...event,
  detail: { ...(event.detail as object), [NEWER_FIELD]: { any: ['thing'] } },
});
