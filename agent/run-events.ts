import type { ControlPlane, RunEvent, RunIdentity } from './control-plane.ts';

export interface RunEvents {
  claimed(): void;
  /**
   * A line of the agent. The latest text wins; at most one event per interval, and never two under way. The first one goes at once, and
   * until it is taken: somebody may wait for the agent's first word.
   */
  progressed(text: string): void;
  /** A word of the runner itself, in the same line. */
  announced(text: string): void;
  /** Sends what is waiting, then `RunReported`; resolves when all was sent or given up. */
  reported(): Promise<void>;
  /** Forgets what is waiting and says that Baton refuses this run; resolves when that was sent or given up. */
  fenced(): Promise<void>;
  /** Forgets what is waiting and resolves when nothing is under way. */
  end(): Promise<void>;
}

interface Words {
  readonly text: string;
  readonly by?: 'runner';
}

/** Tells a run's events in order, one after another. They are hints: one that cannot be delivered is dropped. */
export function runEvents(
  controlPlane: ControlPlane,
  run: RunIdentity,
  options: { readonly intervalMs: number; readonly patienceMs: () => number },
): RunEvents {
  let seq = 0;
  let lastSent: Promise<unknown> = Promise.resolve();
  let waiting: Words | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sending = false;
  let ended = false;
  let progressAtMs = Number.NEGATIVE_INFINITY;
  let firstWord: 'unspoken' | 'tried' | 'taken' = 'unspoken';

  /** Answers whether it was taken. */
  const emit = (type: RunEvent['type'], more: object = {}): Promise<boolean> => {
    const event: RunEvent = {
      type,
      seq,
      data: { taskId: run.taskId, attempt: run.attempt, nativeId: run.nativeId, seq, ...more },
    };
    seq += 1;
    const sent = lastSent
      .then(() => send(controlPlane, run, event, options.patienceMs()))
      .then(
        () => true,
        () => false,
      );
    lastSent = sent;
    return sent;
  };
  const sendWaiting = (): void => {
    timer = undefined;
    if (waiting === undefined) return;
    const words = waiting;
    waiting = undefined;
    sending = true;
    progressAtMs = performance.now();
    const isFirst = isFirstWord(words);
    if (isFirst) firstWord = 'tried';
    void emit('RunProgressed', words).then((taken) => {
      sending = false;
      if (isFirst && taken) firstWord = 'taken';
      if (isFirst && !taken && !ended && (waiting === undefined || !isFirstWord(waiting))) waiting = words;
      schedule();
    });
  };
  const schedule = (): void => {
    if (waiting === undefined || sending) return;
    const isUrgent = firstWord === 'unspoken' && isFirstWord(waiting);
    if (isUrgent) stopWaiting();
    if (timer !== undefined) return;
    const pauseMs = isUrgent ? 0 : Math.max(0, progressAtMs + options.intervalMs - performance.now());
    timer = setTimeout(sendWaiting, pauseMs);
  };
  const say = (words: Words): void => {
    const keeps = waiting !== undefined && isFirstWord(waiting) && !isFirstWord(words);
    if (words.text === '' || keeps) return;
    waiting = words;
    schedule();
  };
  const isFirstWord = ({ by }: Words): boolean => by === undefined && firstWord !== 'taken';
  const forget = (): void => {
    ended = true;
    stopWaiting();
    waiting = undefined;
  };
  const stopWaiting = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  return {
    claimed: () => void emit('RunClaimed'),
    progressed: (text) => say({ text }),
    announced: (text) => say({ text, by: 'runner' }),
    reported: async () => {
      stopWaiting();
      sendWaiting();
      await emit('RunReported');
    },
    fenced: async () => {
      forget();
      await emit('RunFenced');
    },
    end: async () => {
      forget();
      await lastSent;
    },
  };
}

async function send(controlPlane: ControlPlane, run: RunIdentity, event: RunEvent, patienceMs: number): Promise<void> {
  const endsAtMs = performance.now() + patienceMs;
  await controlPlane.event(run, event, () => endsAtMs - performance.now());
}
