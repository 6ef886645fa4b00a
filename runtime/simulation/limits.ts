import type { Random } from './random.ts';
import type { Scene } from './scene.ts';

/** Changes of the limits of all keys in one seed, and when the last comes, in milliseconds. */
const LIMIT_CHANGES = 6;
const LIMITS_CHANGE_WITHIN_MS = 4 * 3_600_000;

/** How many tasks of each key may run at once, where no configuration says so. */
export function limitsOf(scene: Scene): { limitOf: (key: string) => number; change: () => void } {
  const { time, trace } = scene;
  const first: Random = scene.random.fork('limits');
  const limits = new Map<string, number>();
  return {
    limitOf(key) {
      const known = limits.get(key) ?? first.int(1, 3);
      limits.set(key, known);
      return known;
    },
    change() {
      const random = scene.random.fork('changed limits');
      for (let count = 0; count < LIMIT_CHANGES; count++) {
        time.at(time.nowMs() + random.int(0, LIMITS_CHANGE_WITHIN_MS), () => {
          for (const key of limits.keys()) limits.set(key, random.int(1, 4));
          trace.line(`limits are ${JSON.stringify([...limits])}`);
        });
      }
    },
  };
}
