import type { PutResult, RecordIndex, StoredRecord } from '../ports.ts';

/** A record in memory together with its listing index; `index` undefined means it is not listed. */
export interface IndexedRecord {
  record: StoredRecord;
  index: RecordIndex | undefined;
}

export type Expected = number | 'absent' | 'any';
export type QueryOptions = { by?: string; open?: boolean; before?: { at: string; key: string }; limit: number };

/** The compare-and-set rule of every store: the revision to write, or the conflict to answer. */
export function judgePut(current: StoredRecord | undefined, expected: Expected): PutResult {
  const revision = current?.revision ?? 0;
  const holds = expected === 'any' || revision === (expected === 'absent' ? 0 : expected);
  if (expected === 0 || !holds) return { outcome: 'conflict', current };
  return { outcome: 'written', revision: revision + 1 };
}

/** Orders keys as SQLite's BINARY collation does (UTF-8 bytes, which is code point order); negative when `a` comes first. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

/** Whether a record answers a query, before order and limit. */
export function answers(key: string, index: RecordIndex | undefined, options: QueryOptions): boolean {
  return (
    index !== undefined &&
    (options.by === undefined || index.by === options.by) &&
    (options.open === undefined || index.open === options.open) &&
    (options.before === undefined || compareNewestFirst(options.before, { at: index.at, key }) < 0)
  );
}

/** Order of a query's answer: newest `at` first, then highest key first. */
export function compareNewestFirst(a: { at: string; key: string }, b: { at: string; key: string }): number {
  return compareKeys(b.at, a.at) || compareKeys(b.key, a.key);
}

/** Freezes a JSON value to its leaves, so that whoever mutates a stored value fails at that line. For tests and simulation. */
export function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const child of Object.values(value)) deepFreeze(child);
}

/** Surrogates stand for code points above U+FFFF, so they rank after every other code unit. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
