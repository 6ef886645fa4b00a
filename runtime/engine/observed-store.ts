import type { RecordStore, StoredRecord } from '../ports.ts';

/** Hears what happens to a store. It must not throw. */
export interface StoreObserver {
  /** A write went through. Writes of one key are told in any order; the revision tells which is the latest. */
  written?(record: StoredRecord): void;
  deleted?(key: string): void;
  /** The store refused a write, or could not make one durable. */
  failed?(error: unknown): void;
}

/** The same store, looked at from outside. */
export function observedStore(store: RecordStore, observers: readonly StoreObserver[]): RecordStore {
  return {
    get: (key) => store.get(key),
    async put(key, value, expected, index) {
      const result = await told(store.put(key, value, expected, index));
      if (result.outcome === 'written')
        for (const { written } of observers) written?.({ key, value, revision: result.revision });
      return result;
    },
    async delete(key) {
      await told(store.delete(key));
      for (const { deleted } of observers) deleted?.(key);
    },
    list: (prefix, options) => store.list(prefix, options),
    query: (options) => store.query(options),
    durable: () => told(store.durable()),
    close: () => store.close(),
  };

  async function told<Answer>(work: Promise<Answer>): Promise<Answer> {
    try {
      return await work;
    } catch (error) {
      for (const { failed } of observers) failed?.(error);
      throw error;
    }
  }
}
