import type { Scheduler } from '../../../runtime/engine/scheduler.ts';
import { at } from '../../builders.ts';

/** A scheduler whose clock the test moves. */
export interface VirtualTime extends Scheduler {
  now(): string;
  /** Runs what is ready, and what follows from it, until all is quiet; the clock stands. */
  quiet(): Promise<void>;
  /** Moves the clock by seconds, and runs every timer at its time. */
  pass(seconds: number): Promise<void>;
}

/** Turns of the event loop without new work after which all counts as quiet: a store's worker answers within them. */
const QUIET_TURNS = 4;

export function virtualTime(): VirtualTime {
  let nowMs = Date.parse(at(0));
  let ready: (() => void)[] = [];
  let timers: { timeMs: number; work: () => void }[] = [];

  return {
    nowMs: () => nowMs,
    now: () => new Date(nowMs).toISOString(),
    soon(work) {
      ready.push(work);
    },
    at(timeMs, work) {
      const timer = { timeMs, work };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    quiet,
    async pass(seconds) {
      const until = nowMs + seconds * 1000;
      for (;;) {
        await quiet();
        const due = timers.filter((timer) => timer.timeMs <= until).sort((a, b) => a.timeMs - b.timeMs)[0];
        if (!due) break;
        timers = timers.filter((timer) => timer !== due);
        nowMs = Math.max(nowMs, due.timeMs);
        due.work();
      }
      nowMs = until;
      await quiet();
    },
  };

  async function quiet(): Promise<void> {
    for (let turns = 0; turns < QUIET_TURNS; turns++) {
      if (ready.length > 0) turns = 0;
      const batch = ready;
      ready = [];
      for (const work of batch) work();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
