import type { StoredRecord } from '../ports.ts';

/**
 * JSON characters of committed records kept parsed, over both generations: about 1,000 tasks of 8 kB, some 15 MB of heap. More tasks
 * than that wait on disk alone, where each costs a read of a few microseconds when its event comes.
 */
const CACHE_MAX_CHARS = 8_000_000;

interface Kept {
  record: StoredRecord;
  chars: number;
}

/** Recently used records. Two generations stand in for a list by age: whatever the older one was not asked for is dropped with it. */
export class RecordCache {
  #young = new Map<string, Kept>();
  #old = new Map<string, Kept>();
  #youngChars = 0;

  get(key: string): StoredRecord | undefined {
    const kept = this.#young.get(key);
    if (kept) return kept.record;
    const aged = this.#old.get(key);
    if (aged) this.set(aged.record, aged.chars);
    return aged?.record;
  }

  /** Keeps a record; `chars` is the length of its JSON text. */
  set(record: StoredRecord, chars: number): void {
    this.delete(record.key);
    this.#young.set(record.key, { record, chars });
    this.#youngChars += chars;
    if (this.#youngChars <= CACHE_MAX_CHARS / 2) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngChars = 0;
  }

  delete(key: string): void {
    const kept = this.#young.get(key);
    if (kept) {
      this.#young.delete(key);
      this.#youngChars -= kept.chars;
    }
    this.#old.delete(key);
  }
}
