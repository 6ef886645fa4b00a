import { StoreError } from '../errors.ts';
import type { PutResult, RecordIndex, RecordStore, StoredRecord } from '../ports.ts';
import {
  answers,
  compareKeys,
  compareNewestFirst,
  deepFreeze,
  type Expected,
  type IndexedRecord,
  judgePut,
  type QueryOptions,
} from './record-page.ts';

export interface MemoryStoreOptions {
  /** Keep what is not yet durable apart, so that `restartAfterLosing` can drop it. Default false. */
  recordLog?: boolean;
  /** How long a sync takes: `durable()` awaits it before it counts. Default: no time. */
  sync?: () => Promise<void>;
  /** Freeze values on put, so that a caller who mutates them fails. Default false. */
  freezeValues?: boolean;
}

export interface MemoryStore extends RecordStore {
  /** Numbers of operations applied, and of those surely on the simulated disk. Needs `recordLog`. */
  snapshotLog(): { applied: number; durable: number };
  /** The store a crash leaves: all but the last `n` applied operations, n ≤ applied − durable. Closes this one. Needs `recordLog`. */
  restartAfterLosing(n: number): MemoryStore;
}

type Operation = { key: string; entry: IndexedRecord | undefined };

/** Records in a map: the store of the simulated world and of tests. Applies at once; nothing survives the process. */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  return openMemoryStore(options, new Map());
}

function openMemoryStore(options: MemoryStoreOptions, records: Map<string, IndexedRecord>): MemoryStore {
  /** What the simulated disk holds, and the operations after it, oldest first. */
  const disk = options.recordLog ? new Map(records) : undefined;
  const tail: Operation[] = [];
  let durableOps = 0;
  let closed = false;

  const apply = (key: string, entry: IndexedRecord | undefined): void => {
    write(records, key, entry);
    if (disk) tail.push({ key, entry });
  };

  return {
    get: async (key) => {
      assertOpen();
      return records.get(key)?.record;
    },

    put: async (key: string, value: unknown, expected: Expected, index?: RecordIndex): Promise<PutResult> => {
      assertOpen();
      if (value === undefined) throw new TypeError(`The record ${key} needs a JSON value, got undefined`);
      const result = judgePut(records.get(key)?.record, expected);
      if (result.outcome === 'conflict') return result;
      if (options.freezeValues) deepFreeze(value);
      apply(key, { record: { key, revision: result.revision, value }, index });
      return result;
    },

    delete: async (key) => {
      assertOpen();
      if (records.has(key)) apply(key, undefined);
    },

    list: async (prefix, { after, limit }) => {
      assertOpen();
      const keys: string[] = [];
      for (const key of records.keys()) {
        if (key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0)) keys.push(key);
      }
      return take(keys.sort(compareKeys), limit);
    },

    query: async (query: QueryOptions) => {
      assertOpen();
      const found: { at: string; key: string }[] = [];
      for (const [key, { index }] of records) {
        if (index && answers(key, index, query)) found.push({ at: index.at, key });
      }
      return take(
        found.sort(compareNewestFirst).map((one) => one.key),
        query.limit,
      );
    },

    durable: async () => {
      assertOpen();
      const upTo = durableOps + tail.length;
      if (options.sync) {
        await options.sync();
        assertOpen();
      }
      makeDurable(upTo);
    },

    close: async () => {
      makeDurable(durableOps + tail.length);
      closed = true;
    },

    snapshotLog: () => ({ applied: durableOps + tail.length, durable: durableOps }),

    restartAfterLosing: (n) => {
      if (!disk) throw new RangeError('restartAfterLosing needs a store opened with recordLog');
      if (!Number.isInteger(n) || n < 0 || n > tail.length) {
        throw new RangeError(`Cannot lose ${n} operations: ${tail.length} are not durable yet`);
      }
      const survived = new Map(disk);
      for (const { key, entry } of tail.slice(0, tail.length - n)) write(survived, key, entry);
      closed = true;
      return openMemoryStore(options, survived);
    },
  };

  function take(keys: string[], limit: number): StoredRecord[] {
    return keys.slice(0, limit).flatMap((key) => records.get(key)?.record ?? []);
  }

  function makeDurable(upTo: number): void {
    const settled = tail.splice(0, Math.max(0, upTo - durableOps));
    durableOps += settled.length;
    if (disk) for (const { key, entry } of settled) write(disk, key, entry);
  }

  function assertOpen(): void {
    if (closed) throw new StoreError('store_closed', 'The record store in memory is closed');
  }
}

function write(records: Map<string, IndexedRecord>, key: string, entry: IndexedRecord | undefined): void {
  if (entry) records.set(key, entry);
  else records.delete(key);
}
