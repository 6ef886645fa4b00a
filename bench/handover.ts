import type { Slot } from '../schemas/slot.ts';
import { openLifecycles, type SimulatedRun } from './lifecycles.ts';
import { percentile } from './meter.ts';

/** Tasks of one user that run at once; all others of it wait in line. */
const PLACES = 4;
/** Life cycles before anything is measured, so that code is compiled and buffers are there. */
const WARM_UP_TASKS = 100;

export interface HandoverOptions {
  readonly dataDir: string;
  /** Tasks of each line. */
  readonly tasks: number;
  /** Lines: users, each with its own slot key. */
  readonly lines: number;
}

export type HandoverFigures = Readonly<Record<'lines' | 'waited' | 'p50' | 'p99' | 'max', number>>;

/**
 * How long it takes from the write that frees a slot and gives it to the next in line until compute has accepted that one's start.
 * Everything that one must pass lies between: its grant, its admission, its input, its start on disk.
 */
export async function handover({ dataDir, tasks, lines }: HandoverOptions): Promise<HandoverFigures> {
  const freedMs = new Map<string, number>();
  const waits: number[] = [];
  const wanted = (tasks + WARM_UP_TASKS) * lines;
  let settled = 0;
  let done: () => void = () => undefined;
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const world = await openLifecycles({
    dataDir,
    limit: PLACES,
    onStart(run) {
      const fromMs = freedMs.get(run.start.taskId);
      if (fromMs !== undefined && isMeasured()) waits.push(performance.now() - fromMs);
      void live(run);
    },
    onSettled() {
      settled++;
      if (settled === wanted) done();
    },
    onWritten({ key, value }) {
      if (!key.startsWith('SLOT#')) return;
      for (const [lease, { grant }] of Object.entries((value as Slot).holders)) {
        const taskId = lease.slice(0, lease.indexOf('#'));
        if (grant && !freedMs.has(taskId)) freedMs.set(taskId, performance.now());
      }
    },
  });
  const users = Array.from({ length: lines }, (_, line) => `user-${line}`);
  await Promise.all(
    users.flatMap((user) =>
      Array.from({ length: tasks + WARM_UP_TASKS }, (_, number) => world.submit(user, `${user}-${number}`)),
    ),
  );
  await all;
  await world.close();
  return {
    lines,
    waited: waits.length,
    p50: percentile(waits, 0.5),
    p99: percentile(waits, 0.99),
    max: Math.max(...waits),
  };

  function isMeasured(): boolean {
    return settled >= WARM_UP_TASKS * lines;
  }

  async function live(run: SimulatedRun): Promise<void> {
    await world.comeAlive(run);
    await world.end(run);
  }
}
