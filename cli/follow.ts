import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskView } from '../schemas/task-view.ts';
import { isOver } from './timeline.ts';
import { type HeardEvent, replayOf, type WorldClient } from './world-client.ts';

/** The task is looked at this often at the latest, in milliseconds; events make it sooner. */
const LOOK_INTERVAL_MS = 1_000;
/** Least time between two looks, in milliseconds: a burst of events is one look. */
const LOOK_PAUSE_MS = 30;

export type Step = TaskView['history'][number];

/** What there is to tell about a task, in the order in which it happened. */
export type News =
  | { readonly kind: 'step'; readonly at: string; readonly view: TaskView; readonly step: Step }
  | { readonly kind: 'progress'; readonly at: string; readonly view: TaskView; readonly text: string };

/** Follows one task; goes on where it was when it is given another world to ask. */
export interface Follower {
  /** The newest view. */
  view(): TaskView;
  /** Tells what is new in a view that was got elsewhere. */
  take(view: TaskView): void;
  /** Tells the news until `done` says so. Throws what the client throws, so `no_world` when the world goes away. */
  follow(client: WorldClient, done: (view: TaskView) => boolean): Promise<TaskView>;
}

export function follower(first: TaskView, tell: (news: News) => void): Follower {
  let view = first;
  let told = 0;
  let toldProgress = { attempt: 0, seq: -1 };
  let heard: News[] = [];
  tellNew(first);

  return { view: () => view, take: tellNew, follow };

  async function follow(client: WorldClient, done: (view: TaskView) => boolean): Promise<TaskView> {
    const ears = listen(client, view.taskId, hear);
    try {
      for (;;) {
        tellNew(await client.task(view.taskId));
        if (done(view)) return view;
        await ears.next(LOOK_INTERVAL_MS);
        await sleep(LOOK_PAUSE_MS);
      }
    } finally {
      ears.close();
    }
  }

  function hear(event: HeardEvent): void {
    // What is replayed is no news.
    if (replayOf(event) !== undefined) return;
    const { data } = event.detail as { data?: { taskId?: unknown; attempt?: unknown; seq?: unknown; text?: unknown } };
    if (event['detail-type'] !== 'RunProgressed' || data?.taskId !== view.taskId) return;
    const { attempt, seq, text } = data;
    if (typeof attempt !== 'number' || typeof seq !== 'number' || typeof text !== 'string') return;
    const isNew = attempt > toldProgress.attempt || (attempt === toldProgress.attempt && seq > toldProgress.seq);
    if (!isNew) return;
    toldProgress = { attempt, seq };
    heard.push({ kind: 'progress', at: event.time, view, text });
  }

  /** Steps from the view and what was heard since the last look, by time. */
  function tellNew(next: TaskView): void {
    view = next;
    const steps = view.history.filter(({ version }) => version > told).map((step) => stepNews(view, step));
    told = view.version;
    const news = [...steps, ...heard].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
    heard = [];
    for (const one of news) tell(one);
  }
}

/** Settled, or over for `graceMs`: who only wants to know the end need not wait for a process that lingers. */
export const isOverFor =
  (graceMs: number) =>
  (view: TaskView): boolean =>
    view.settled || lingersFor(graceMs)(view);

/** Over for `graceMs` and not settled: mostly its run, which is still there. */
export const lingersFor =
  (graceMs: number) =>
  (view: TaskView): boolean =>
    isOver(view) && !view.settled && Date.now() - Date.parse(view.endedAt ?? '') >= graceMs;

const stepNews = (view: TaskView, step: Step): News => ({ kind: 'step', at: step.at, view, step });

/** Listens to the events of a task; whatever is heard, and whatever goes wrong, makes the next look sooner or later, no more. */
function listen(client: WorldClient, taskId: string, hear: (event: HeardEvent) => void) {
  const ending = new AbortController();
  let wake = (): void => undefined;
  let something = false;
  let listening = false;

  const start = async (): Promise<void> => {
    listening = true;
    try {
      for await (const event of client.events({ taskId, signal: ending.signal })) {
        hear(event);
        something = true;
        wake();
      }
    } catch {
      // The looks go on and tell what is wrong with the world.
    }
    listening = false;
  };
  void start();
  return {
    next: async (waitMs: number): Promise<void> => {
      if (!something) {
        const waiting = new AbortController();
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        await Promise.race([woken, sleep(waitMs, undefined, { signal: waiting.signal }).catch(() => undefined)]);
        waiting.abort();
      }
      something = false;
      if (!listening && !ending.signal.aborted) void start();
    },
    close: () => ending.abort(),
  };
}
