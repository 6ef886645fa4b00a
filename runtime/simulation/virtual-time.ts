import type { Random } from './random.ts';

/** The clock of a simulated world: time passes only from one planned moment to the next. */
export interface VirtualTime {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Now, as `Date.toISOString` writes it. */
  now(): string;
  /** Plans work; the answer cancels it. A time that has passed means as soon as possible. */
  at(timeMs: number, work: () => void): () => void;
  sleep(ms: number): Promise<void>;
  /** Does the next planned work; false when nothing is planned any more. */
  step(): boolean;
}

interface Planned {
  readonly timeMs: number;
  /** Order among works of one moment. */
  readonly tie: number;
  work: (() => void) | undefined;
}

/** Where every simulated world begins. */
export const EPOCH_MS = Date.UTC(2030, 0, 1);

/** `shuffled`: works of the same moment run in any order, not in the order of their planning. */
export function virtualTime(options: { random: Random; shuffled: boolean }): VirtualTime {
  const heap: Planned[] = [];
  let nowMs = EPOCH_MS;
  let planned = 0;

  /** Asked for many times in each moment. */
  let told = { nowMs: Number.NaN, now: '' };
  const now = (): string => {
    if (told.nowMs !== nowMs) told = { nowMs, now: new Date(nowMs).toISOString() };
    return told.now;
  };

  const at = (timeMs: number, work: () => void): (() => void) => {
    const one: Planned = {
      timeMs: Math.max(nowMs, Math.ceil(timeMs)),
      tie: options.shuffled ? options.random.next() : planned++,
      work,
    };
    push(heap, one);
    return () => {
      one.work = undefined;
    };
  };

  return {
    nowMs: () => nowMs,
    now,
    at,
    sleep: (ms) =>
      new Promise((resolve) => {
        at(nowMs + ms, resolve);
      }),
    step() {
      for (;;) {
        const one = pop(heap);
        if (!one) return false;
        if (!one.work) continue;
        nowMs = one.timeMs;
        one.work();
        return true;
      }
    },
  };
}

const earlier = (a: Planned, b: Planned): boolean => a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.tie < b.tie);

function push(heap: Planned[], one: Planned): void {
  let at = heap.push(one) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (!above || !earlier(one, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = one;
}

function pop(heap: Planned[]): Planned | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (!last || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    const right = left + 1;
    const [a, b] = [heap[left], heap[right]];
    if (!a) break;
    const child = b && earlier(b, a) ? right : left;
    const below = child === left ? a : b;
    if (!below || !earlier(below, last)) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = last;
  return first;
}
