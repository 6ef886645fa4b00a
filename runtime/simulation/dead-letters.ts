import type { DeadLetter, Redelivery } from '../engine/event-bus.ts';
import type { Broken } from './promise-names.ts';
import type { Scene } from './scene.ts';

/** How long after it came a dead letter is redriven by somebody, in milliseconds: minutes, or the next morning. */
const REDRIVEN_AFTER_MS = [60_000, 1_200_000, 9 * 3_600_000] as const;
/** How long the second redrive of the same letter comes after the first, in milliseconds. */
const REDRIVEN_AGAIN_MS = [50, 60_000] as const;

/** Only what died on its way, or what something outside refused for now, may end as a dead letter. */
export interface DeadLetters {
  wrote(key: string, after: unknown): void;
  /** A delivery was given up; `id` names the letter. */
  came(letter: DeadLetter, id: string | undefined): void;
}

interface Options {
  readonly scene: Scene;
  readonly broken: (broken: Broken) => void;
  readonly sleep: (ms: number) => Promise<void>;
  readonly isOver: () => boolean;
  readonly redeliver: (id: string) => Promise<Redelivery>;
}

export function afterDeadLetters({ scene, broken, sleep, isOver, redeliver }: Options): DeadLetters {
  const random = scene.random.fork('dead letters');
  return { wrote, came };

  function wrote(key: string, after: unknown): void {
    if (!key.startsWith('DEAD#') || after === undefined) return;
    const { error } = after as DeadLetter;
    if (!isInjected(error.code))
      broken({ promise: 'unknown is loud', taskId: '', message: `${key}: ${error.code} ${error.message}` });
  }

  function isInjected(code: string): boolean {
    if (code === 'unexpected') return scene.has('crash') || scene.has('time-out') || scene.has('redrive');
    if (code === 'service_throttled' || code === 'channel_unavailable') return scene.has('throttle');
    if (code === 'service_unavailable') return scene.has('throttle') || scene.has('lost-answer');
    return code.startsWith('compute_');
  }

  function came(letter: DeadLetter, id: string | undefined): void {
    scene.trace.line(`dead letter of ${letter.rule}: ${letter.event.id} ${letter.error.code} ${letter.error.message}`);
    if (id === undefined || !scene.has('redrive')) return;
    void redriven(id, random.pick(REDRIVEN_AFTER_MS));
    if (random.chance(0.4)) void redriven(id, random.pick(REDRIVEN_AFTER_MS) + random.pick(REDRIVEN_AGAIN_MS));
  }

  async function redriven(id: string, afterMs: number): Promise<void> {
    await sleep(random.int(1, afterMs));
    if (isOver()) return;
    scene.trace.line(`somebody redrives ${id}`);
    const became = await redeliver(id).catch(() => 'failed');
    scene.trace.line(`redriven ${id}: ${became}`);
  }
}
