import { BatonError } from '../errors.ts';
import type { Scene } from './scene.ts';

/** What refuses or fails for a while. */
export type Service = 'store' | 'bus' | 'alarm clock';

const SERVICES = ['store', 'bus', 'alarm clock'] as const satisfies readonly Service[];
/** Bad times of one seed, and the longest of them in milliseconds: shorter than a runner's patience with Baton. */
const SPELLS_MAX = 5;
const SPELL_MAX_MS = 300_000;
/** When they begin, in milliseconds: most while tasks come in, some at any time of the longest task. */
const SOON_MS = 900_000;
const LATE_MS = 8 * 3_600_000;

interface Spell {
  readonly service: Service;
  readonly fromMs: number;
  readonly untilMs: number;
  /** Share of the calls that fail. */
  readonly share: number;
}

/** When the services below Baton work badly. */
export interface Weather {
  /** Throws what an adapter throws when the service refuses a call or fails at it. */
  check(service: Service): void;
}

export function weatherOf(scene: Scene): Weather {
  const random = scene.random.fork('weather');
  const spells: Spell[] = [];
  if (scene.has('throttle')) {
    for (let count = random.int(1, SPELLS_MAX); count > 0; count--) {
      const fromMs = scene.time.nowMs() + random.int(0, random.chance(0.6) ? SOON_MS : LATE_MS);
      const untilMs = fromMs + random.int(1_000, SPELL_MAX_MS);
      spells.push({ service: random.pick(SERVICES), fromMs, untilMs, share: random.pick([0.1, 0.4, 1]) });
    }
  }
  return {
    check(service) {
      if (spells.length === 0) return;
      const now = scene.time.nowMs();
      const spell = spells.find((one) => one.service === service && one.fromMs <= now && now < one.untilMs);
      if (!spell || !random.chance(spell.share)) return;
      const [code, told] = random.chance(0.5)
        ? (['service_throttled', 'Rate exceeded'] as const)
        : (['service_unavailable', 'Internal server error'] as const);
      throw new BatonError(code, `The ${service} answers: ${told}.`);
    },
  };
}
