import type { MemoryStore } from '../engine/memory-store.ts';
import { answers, compareNewestFirst } from '../engine/record-page.ts';
import type { RecordIndex, RecordStore, StoredRecord } from '../ports.ts';
import type { Random } from './random.ts';
import type { Scene } from './scene.ts';
import type { Trouble } from './troubled-store.ts';

/** Hears of every record that is written. */
export interface DiskEars {
  readonly wrote: (key: string, before: unknown, after: unknown) => void;
  readonly known: (key: string) => unknown;
}

export interface Disk {
  readonly store: RecordStore;
  readonly asOf: Trouble['asOf'];
}

/** The store of one life: whoever watches sees every write, and what was written comes to disk after a moment. */
export function diskOf(raw: MemoryStore, scene: Scene, random: Random, isAlive: () => boolean, ears: DiskEars): Disk {
  const { time, trace } = scene;
  const listed: { readonly timeMs: number; readonly record: StoredRecord; readonly index: RecordIndex }[] = [];
  const keepsListings = scene.has('stale-index');
  let flushes = false;

  const store: RecordStore = {
    ...raw,
    async put(key, value, expected, index) {
      const before = ears.known(key);
      const result = await raw.put(key, value, expected, index);
      if (result.outcome === 'written' && isAlive()) {
        if (!key.startsWith('JOURNAL#')) trace.line(`  put ${key}${statusOf(value)}`);
        if (keepsListings && index)
          listed.push({ timeMs: time.nowMs(), index, record: { key, value, revision: result.revision } });
        ears.wrote(key, before, value);
        flushSoon();
      }
      return result;
    },
    async delete(key) {
      const before = ears.known(key);
      await raw.delete(key);
      if (before !== undefined && isAlive()) {
        trace.line(`  delete ${key}`);
        ears.wrote(key, before, undefined);
        flushSoon();
      }
    },
  };
  return { store, asOf };

  function flushSoon(): void {
    if (!scene.has('world-crash') || flushes) return;
    flushes = true;
    time.at(time.nowMs() + random.int(2, 40), () => {
      flushes = false;
      if (isAlive()) raw.durable().catch(() => undefined);
    });
  }

  /** What an index that lags shows; undefined before this life began. */
  function asOf(timeMs: number, asked: Parameters<RecordStore['query']>[0]): StoredRecord[] | undefined {
    const then = new Map<string, (typeof listed)[number]>();
    for (const one of listed) if (one.timeMs <= timeMs) then.set(one.record.key, one);
    return [...then.values()]
      .filter(({ record, index }) => answers(record.key, index, asked))
      .sort((a, b) => compareNewestFirst({ at: a.index.at, key: a.record.key }, { at: b.index.at, key: b.record.key }))
      .slice(0, asked.limit)
      .map(({ record }) => record);
  }
}

/** Reading many records takes time: a crash may come in the middle of taking up what was left. */
export function slowToRead(
  store: RecordStore,
  sleep: (ms: number) => Promise<void>,
  random: { int(from: number, to: number): number },
): RecordStore {
  return {
    ...store,
    async list(prefix, options) {
      await sleep(random.int(0, 20));
      return store.list(prefix, options);
    },
    async query(options) {
      await sleep(random.int(0, 20));
      return store.query(options);
    },
  };
}

const statusOf = (value: unknown): string => {
  const { status, version, state } = value as { status?: string; version?: number; state?: string };
  if (state !== undefined) return ` ${state}`;
  return status === undefined ? '' : ` ${status} v${version ?? 0}`;
};
