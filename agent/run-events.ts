import type { ControlPlane, RunEvent, RunIdentity } from './control-plane.ts';

export interface RunEvents {
  claimed(): void;
  /** The latest text wins; at most one event per interval, and never two under way. */
  progressed(text: string): void;
  /** Sends what is waiting, then `RunReported`; resolves when all was sent or given up. */
  reported(): Promise<void>;
  /** Forgets what is waiting and resolves when nothing is under way. */
  end(): Promise<void>;
}

/** Tells a run's events in order, one after another. They are hints: one that cannot be delivered is dropped. */
export function runEvents(
  controlPlane: ControlPlane,
  run: RunIdentity,
  options: { readonly intervalMs: number; readonly patienceMs: () => number },
): RunEvents {
  let seq = 0;
  let lastSent = Promise.resolve();
  let waiting: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sending = false;
  let progressAtMs = Number.NEGATIVE_INFINITY;

  const emit = (type: RunEvent['type'], more: object = {}): Promise<void> => {
    const event: RunEvent = {
      type,
      seq,
      data: { taskId: run.taskId, attempt: run.attempt, nativeId: run.nativeId, seq, ...more },
    };
    seq += 1;
    lastSent = lastSent.then(() => send(controlPlane, run, event, options.patienceMs())).catch(() => undefined);
    return lastSent;
  };
  const sendWaiting = (): void => {
    timer = undefined;
    if (waiting === undefined) return;
    const text = waiting;
    waiting = undefined;
    sending = true;
    progressAtMs = performance.now();
    void emit('RunProgressed', { text }).then(() => {
      sending = false;
      schedule();
    });
  };
  const schedule = (): void => {
    if (waiting === undefined || sending || timer !== undefined) return;
    timer = setTimeout(sendWaiting, Math.max(0, progressAtMs + options.intervalMs - performance.now()));
  };
  const stopWaiting = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  return {
    claimed: () => void emit('RunClaimed'),
    progressed: (text) => {
      if (text === '') return;
      waiting = text;
      schedule();
    },
    reported: async () => {
      stopWaiting();
      sendWaiting();
      await emit('RunReported');
    },
    end: async () => {
      stopWaiting();
      waiting = undefined;
      await lastSent;
    },
  };
}

async function send(controlPlane: ControlPlane, run: RunIdentity, event: RunEvent, patienceMs: number): Promise<void> {
  const endsAtMs = performance.now() + patienceMs;
  await controlPlane.event(run, event, () => endsAtMs - performance.now());
}
