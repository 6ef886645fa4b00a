/** A wish to stop, made once; from then on everything fits into what is left of the budget. */
export interface StopRequest {
  /** Aborts when the wish is made. */
  readonly signal: AbortSignal;
  readonly requested: boolean;
  /** Why, as a sentence; empty before. */
  readonly why: string;
  request(why: string): void;
  /** The given milliseconds, or what is left of the budget once a stop was asked for. */
  within(ms: number): number;
}

export function stopRequest(budgetMs: number): StopRequest {
  const controller = new AbortController();
  let endsAtMs = Number.POSITIVE_INFINITY;
  let why = '';
  return {
    signal: controller.signal,
    get requested() {
      return controller.signal.aborted;
    },
    get why() {
      return why;
    },
    request: (reason) => {
      if (controller.signal.aborted) return;
      endsAtMs = performance.now() + budgetMs;
      why = reason;
      controller.abort();
    },
    within: (ms) => Math.max(0, Math.min(ms, endsAtMs - performance.now())),
  };
}
