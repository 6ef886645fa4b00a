/** When things run: real timers in the embedded world, a virtual clock in the simulated one. */
export interface Scheduler {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Runs as soon as it is its turn. */
  soon(work: () => void): void;
  /** Runs at a time or a little later; the answer cancels it. */
  at(timeMs: number, work: () => void): () => void;
}

/** Longest single wait of `setTimeout` in milliseconds (a signed 32-bit number); longer ones are waited for in parts. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Real time. Timers do not keep the process alive: what does is whoever serves. */
export const realScheduler = (): Scheduler => {
  let ready: (() => void)[] = [];
  return {
    nowMs: Date.now,
    soon(work) {
      ready.push(work);
      // One turn of the loop runs all that is ready by then, and lets disk and network have their say in between.
      if (ready.length === 1) {
        setImmediate(() => {
          const batch = ready;
          ready = [];
          for (const one of batch) one();
        });
      }
    },
    at(timeMs, work) {
      let timer: NodeJS.Timeout;
      const wait = (): void => {
        const left = timeMs - Date.now();
        timer = setTimeout(() => (left > TIMER_MAX_MS ? wait() : work()), Math.min(Math.max(left, 0), TIMER_MAX_MS));
        timer.unref();
      };
      wait();
      return () => clearTimeout(timer);
    },
  };
};
