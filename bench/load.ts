import { taskIdFor } from '../runtime/task-id.ts';
import type { Slot } from '../schemas/slot.ts';
import { type Lifecycles, openLifecycles, type SimulatedRun } from './lifecycles.ts';

/** Slot keys that the load is spread over. */
const USERS = 32;

/** When one task was asked for, first said to have ended, and settled: milliseconds of this process. */
export interface Finished {
  readonly submittedMs: number;
  readonly signalMs: number;
  readonly settledMs: number;
}

/** What somebody waits to hear of a task. */
interface Watch {
  readonly holds: boolean;
  readonly alive: () => void;
  readonly settled: (finished: { signalMs: number; settledMs: number }) => void;
  signalMs: number;
}

export interface Load {
  readonly world: Lifecycles;
  /** Runs that came alive and were told to go on working. */
  readonly parked: Map<string, SimulatedRun>;
  /** Starts that compute accepted. */
  readonly starts: () => number;
  /** One task from request to settled end. */
  live(): Promise<Finished>;
  /** One task from request to RUNNING, where it stays. */
  park(): Promise<void>;
  /** Ends a run that is parked here or was parked by another process. */
  finish(run: SimulatedRun): Promise<{ signalMs: number; settledMs: number }>;
  /** Slots held, over all keys. */
  slotsHeld(): Promise<number>;
  close(): Promise<void>;
}

/** Clients and compute of a world under load. Each request and each signal comes twice, both at once. */
export async function openLoad(dataDir: string): Promise<Load> {
  const watches = new Map<string, Watch>();
  const parked = new Map<string, SimulatedRun>();
  const series = `${process.pid}-${Date.now()}`;
  let asked = 0;
  let starts = 0;

  const world = await openLifecycles({
    dataDir,
    onStart: (run) => {
      starts++;
      void work(run);
    },
    onSettled: (taskId) => {
      const watch = watches.get(taskId);
      watches.delete(taskId);
      watch?.settled({ signalMs: watch.signalMs, settledMs: performance.now() });
    },
  });
  return { world, parked, starts: () => starts, live, park, finish, slotsHeld, close: () => world.close() };

  function live(): Promise<Finished> {
    const submittedMs = performance.now();
    return new Promise((resolve) => {
      submit({ holds: false, alive: ignore, settled: (end) => resolve({ submittedMs, ...end }), signalMs: 0 });
    });
  }

  function park(): Promise<void> {
    return new Promise((resolve) => submit({ holds: true, alive: resolve, settled: ignore, signalMs: 0 }));
  }

  function finish(run: SimulatedRun): Promise<{ signalMs: number; settledMs: number }> {
    parked.delete(run.start.taskId);
    return new Promise((resolve) => {
      watches.set(run.start.taskId, { holds: false, alive: ignore, settled: resolve, signalMs: 0 });
      void end(run);
    });
  }

  function submit(watch: Watch): void {
    const user = `user-${asked % USERS}`;
    const key = `${series}-${asked++}`;
    watches.set(taskIdFor(user, { key }), watch);
    void twice(() => world.submit(user, key));
  }

  async function work(run: SimulatedRun): Promise<void> {
    const watch = watches.get(run.start.taskId);
    await twice(() => world.comeAlive(run));
    if (watch?.holds) {
      watches.delete(run.start.taskId);
      parked.set(run.start.taskId, run);
    } else await end(run);
    watch?.alive();
  }

  async function end(run: SimulatedRun): Promise<void> {
    const watch = watches.get(run.start.taskId);
    if (watch) watch.signalMs = performance.now();
    await twice(() => world.end(run));
  }

  async function slotsHeld(): Promise<number> {
    const slots = await world.store.list('SLOT#', { limit: USERS });
    return slots.reduce((held, { value }) => held + Object.keys((value as Slot).holders).length, 0);
  }
}

async function twice(once: () => Promise<void>): Promise<void> {
  await Promise.all([once(), once()]);
}

const ignore = (): void => {};
