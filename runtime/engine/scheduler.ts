/** When things run: real timers in the embedded world, a virtual clock in the simulated one. */
export interface Scheduler {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Runs as soon as it is its turn. */
  soon(work: () => void): void;
  /** Runs at a time or a little later; the answer cancels it. */
  at(timeMs: number, work: () => void): () => void;
}

/** Longest single wait in milliseconds. Timers stand still while a laptop sleeps; the clock does not, so it is looked at often. */
const TIMER_MAX_MS = 30_000;

/** Real time. Timers do not keep the process alive: what does is whoever serves. */
export const realScheduler = (): Scheduler => ({
  nowMs: Date.now,
  // Each in a turn of its own among the immediates: what one sets off in memory is done before the next begins, so two
  // deliveries about one record seldom collide; and disk and network have their say after each round.
  soon: (work) => void setImmediate(work),
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
});
