import type { Alarms } from '../ports.ts';
import type { Scheduler } from './scheduler.ts';

interface Ringing {
  readonly atMs: number;
  readonly at: string;
  readonly taskId: string;
}

export interface AlarmClock extends Alarms {
  /** Forgets a settled task's alarms. On AWS they ring and do nothing; here they need not. */
  forget(taskId: string): void;
  stop(): void;
}

/**
 * The alarm clock of one process: a heap in memory and one timer. It needs no file of its own: every task stores `armedAt`, and
 * after a restart the clock is set again from the tasks that are not settled.
 */
export function alarmClock(scheduler: Scheduler, ring: (taskId: string, at: string) => void): AlarmClock {
  const heap: Ringing[] = [];
  const set = new Map<string, Set<string>>();
  let cancel: (() => void) | undefined;
  let nextMs = Number.POSITIVE_INFINITY;
  let stopped = false;

  return {
    async arm(taskId, at) {
      if (stopped) return;
      const times = set.get(taskId) ?? new Set();
      if (times.has(at)) return;
      set.set(taskId, times.add(at));
      push(heap, { taskId, at, atMs: Date.parse(at) });
      plan();
    },
    forget(taskId) {
      set.delete(taskId);
    },
    stop() {
      stopped = true;
      cancel?.();
      heap.length = 0;
      set.clear();
    },
  };

  function plan(): void {
    const first = heap[0];
    if (!first || first.atMs >= nextMs) return;
    cancel?.();
    nextMs = first.atMs;
    cancel = scheduler.at(first.atMs, onTime);
  }

  function onTime(): void {
    nextMs = Number.POSITIVE_INFINITY;
    const now = scheduler.nowMs();
    for (let first = heap[0]; first && first.atMs <= now; first = heap[0]) {
      pop(heap);
      const times = set.get(first.taskId);
      if (!times?.delete(first.at)) continue;
      if (times.size === 0) set.delete(first.taskId);
      ring(first.taskId, first.at);
    }
    plan();
  }
}

function push(heap: Ringing[], one: Ringing): void {
  heap.push(one);
  for (let at = heap.length - 1; at > 0; ) {
    const parent = (at - 1) >> 1;
    if (!swapIfEarlier(heap, at, parent)) return;
    at = parent;
  }
}

function pop(heap: Ringing[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  heap[0] = last;
  for (let at = 0; ; ) {
    const left = 2 * at + 1;
    const right = left + 1;
    const child = timeAt(heap, right) < timeAt(heap, left) ? right : left;
    if (!swapIfEarlier(heap, child, at)) return;
    at = child;
  }
}

const timeAt = (heap: readonly Ringing[], at: number): number => heap[at]?.atMs ?? Number.POSITIVE_INFINITY;

function swapIfEarlier(heap: Ringing[], child: number, parent: number): boolean {
  const lower = heap[child];
  const upper = heap[parent];
  if (!lower || !upper || lower.atMs >= upper.atMs) return false;
  heap[parent] = lower;
  heap[child] = upper;
  return true;
}
