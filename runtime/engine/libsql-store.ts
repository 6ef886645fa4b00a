import { Worker } from 'node:worker_threads';
import { StoreError } from '../errors.ts';
import type { PutResult, RecordIndex, RecordStore, StoredRecord } from '../ports.ts';
import { type DiskRecord, described, type LibsqlFile, openLibsqlFile, storeErrorFrom } from './libsql-file.ts';
import type { WriterAnswer, WriterOptions, WriterRequest } from './libsql-worker.ts';
import { RecordCache } from './record-cache.ts';
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

/** How long an operation that nobody waits for may stay in memory only: short, so that a crash loses little. */
const FLUSH_INTERVAL_MS = 20;
/** Keys pending that start a batch even when nobody waits: one commit of about 10 ms. */
const FLUSH_KEYS = 1_000;
/** Keys pending at which puts wait for the disk: bounds memory, and the longest commit to about 100 ms. */
const PENDING_MAX_KEYS = 10_000;
/** Sorts after every time. */
const LAST = '\u{10FFFF}';

export interface LibsqlStoreOptions {
  /** Path of the database file; its folder is made when missing. */
  file: string;
  /** The writer thread's module; default `workerEntry()`. */
  workerUrl?: URL;
  /** Bounds the file at this many pages of 4 KiB, as a full disk would. For tests. */
  maxPages?: number;
  /** Freeze values on put, so that a caller who mutates them fails. Default false. */
  freezeValues?: boolean;
}

/** The last unflushed operation on a key; entry undefined = delete. */
interface Change {
  entry: IndexedRecord | undefined;
  /** Whether the file may hold the key before this change. */
  onDisk: boolean;
  /** Length of the value's JSON text, from the moment it is sent. */
  chars: number;
}

interface Waiter {
  resolve: () => void;
  reject: (error: StoreError) => void;
}

/** The writer thread's module: beside a bundle, or in `dist/` for a program that runs from source. */
export function workerEntry(): URL {
  const fromSource = import.meta.url.endsWith('.ts');
  return new URL(fromSource ? '../../dist/libsql-worker.js' : './libsql-worker.js', import.meta.url);
}

/**
 * Opens the embedded record store. Operations apply in memory at once; a writer thread commits them in batches, in order.
 * Throws StoreError when the file is damaged, foreign, newer, locked or not writable.
 */
export async function openLibsqlStore(options: LibsqlStoreOptions): Promise<RecordStore> {
  const disk = openLibsqlFile(options.file);
  const store = new LibsqlStore(options, disk);
  try {
    await store.started;
  } catch (error) {
    disk.close();
    throw error;
  }
  return store;
}

class LibsqlStore implements RecordStore {
  /** Settles when the writer thread has opened the file. */
  readonly started: Promise<void>;
  readonly #file: string;
  readonly #disk: LibsqlFile;
  readonly #freezeValues: boolean;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #cache = new RecordCache();
  /** By kind of key: an upper bound of the keys that the file holds or will hold. */
  readonly #highest = new Map<string, string>();
  /** Changes that no batch took yet, and those of the batch at the writer. Both hide what the file says. */
  #pending = new Map<string, Change>();
  #inFlight = new Map<string, Change>();
  #pendingWaiters: Waiter[] = [];
  #inFlightWaiters: Waiter[] = [];
  /** The writer has a batch, has not started, or has failed. */
  #busy = true;
  #flushDue = false;
  #timer: NodeJS.Timeout | undefined;
  #failure: StoreError | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: LibsqlStoreOptions, disk: LibsqlFile) {
    this.#file = options.file;
    this.#disk = disk;
    this.#freezeValues = options.freezeValues ?? false;
    const { file, maxPages } = options;
    const workerData: WriterOptions = maxPages === undefined ? { file } : { file, maxPages };
    this.started = new Promise((resolve, reject) => this.#inFlightWaiters.push({ resolve, reject }));
    this.#worker = new Worker(options.workerUrl ?? workerEntry(), { workerData });
    this.#worker.on('message', (answer: WriterAnswer) => this.#answered(answer));
    this.#worker.on('error', (error) => {
      const { code, message } = described(error);
      this.#fail(storeErrorFrom(file, 'The writer stopped; it had open', code, message, error));
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        resolve();
        this.#fail(new StoreError('store_unwritable', `The writer of the record store ${file} stopped`));
      });
    });
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    this.#assertOpen();
    return this.#current(key);
  }

  async put(key: string, value: unknown, expected: Expected, index?: RecordIndex): Promise<PutResult> {
    this.#assertWritable();
    if (value === undefined) throw new TypeError(`The record ${key} needs a JSON value, got undefined`);
    // Synchronous up to the change: read, judgement and write are one step for every other caller, in the order of the calls.
    const current = this.#current(key);
    const result = judgePut(current, expected);
    if (result.outcome === 'conflict') return result;
    if (this.#freezeValues) deepFreeze(value);
    this.#change(key, { record: { key, revision: result.revision, value }, index }, current !== undefined);
    if (this.#pending.size >= PENDING_MAX_KEYS) await this.#room();
    return result;
  }

  async delete(key: string): Promise<void> {
    this.#assertWritable();
    this.#change(key, undefined, true);
    if (this.#pending.size >= PENDING_MAX_KEYS) await this.#room();
  }

  async list(prefix: string, { after = '', limit }: { after?: string; limit: number }): Promise<StoredRecord[]> {
    this.#assertOpen();
    const changed = this.#changed(({ record: { key } }) => key.startsWith(prefix) && compareKeys(key, after) > 0);
    const stored = this.#unchanged(limit, (last) => this.#disk.page(prefix, last?.record.key ?? after, limit));
    const records = [...changed, ...stored].map(({ record }) => record);
    return records.sort((a, b) => compareKeys(a.key, b.key)).slice(0, limit);
  }

  async query(options: QueryOptions): Promise<StoredRecord[]> {
    this.#assertOpen();
    const { limit, before = { at: LAST, key: LAST } } = options;
    const changed = this.#changed(({ record: { key }, index }) => answers(key, index, options));
    const stored = this.#unchanged(limit, (last) =>
      this.#disk.newest(options, last ? { at: last.at, key: last.record.key } : before, limit),
    );
    const places = [
      ...changed.map(({ record, index }) => ({ record, key: record.key, at: index?.at ?? '' })),
      ...stored.map(({ record, at }) => ({ record, key: record.key, at })),
    ];
    return places
      .sort(compareNewestFirst)
      .slice(0, limit)
      .map(({ record }) => record);
  }

  async durable(): Promise<void> {
    this.#assertWritable();
    await this.#flushed();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Unflushed and in-flight changes first, then the cache, then the file. */
  #current(key: string): StoredRecord | undefined {
    const change = this.#pending.get(key) ?? this.#inFlight.get(key);
    if (change) return change.entry?.record;
    const cached = this.#cache.get(key);
    if (cached) return cached;
    if (compareKeys(key, this.#highestLike(key)) > 0) return undefined;
    const found = this.#disk.read(key);
    if (found) this.#cache.set(found.record, found.chars);
    return found?.record;
  }

  /** No key of this kind (`KIND#…`) in the file, or on its way there, is higher. Spares new events, numbered in order, a look at the disk. */
  #highestLike(key: string): string {
    const kind = kindOf(key);
    let highest = this.#highest.get(kind);
    if (highest === undefined) {
      highest = this.#disk.highest(kind);
      this.#highest.set(kind, highest);
    }
    return highest;
  }

  #change(key: string, entry: IndexedRecord | undefined, existed: boolean): void {
    const pending = this.#pending.get(key);
    if (pending) {
      // Created and deleted between two batches: the file never hears of it.
      if (entry === undefined && !pending.onDisk) this.#pending.delete(key);
      else pending.entry = entry;
      return;
    }
    const inFlight = this.#inFlight.get(key);
    const onDisk = inFlight ? inFlight.entry !== undefined : existed;
    if (entry === undefined && !onDisk) return;
    this.#cache.delete(key);
    if (compareKeys(key, this.#highestLike(key)) > 0) this.#highest.set(kindOf(key), key);
    this.#pending.set(key, { entry, onDisk, chars: 0 });
    if (this.#pending.size >= FLUSH_KEYS) this.#flushAfterThisTurn();
    else this.#timer ??= setTimeout(() => this.#flush(), FLUSH_INTERVAL_MS);
  }

  /** Existing records with unflushed changes that match. */
  #changed(matches: (entry: IndexedRecord) => boolean): IndexedRecord[] {
    const found: IndexedRecord[] = [];
    for (const { entry } of this.#pending.values()) if (entry && matches(entry)) found.push(entry);
    for (const [key, { entry }] of this.#inFlight) {
      if (entry && !this.#pending.has(key) && matches(entry)) found.push(entry);
    }
    return found;
  }

  /** Rows of the file that no unflushed change hides: page after page until `limit` are found. */
  #unchanged(limit: number, page: (last: DiskRecord | undefined) => DiskRecord[]): DiskRecord[] {
    const found: DiskRecord[] = [];
    let rows: DiskRecord[] = [];
    do {
      rows = page(rows.at(-1));
      for (const row of rows) {
        const { key } = row.record;
        if (!this.#pending.has(key) && !this.#inFlight.has(key)) found.push(row);
      }
    } while (rows.length === limit && limit > 0 && found.length < limit);
    return found;
  }

  /** Waits until everything applied so far is on disk. */
  #flushed(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#pending.size > 0) {
      this.#flushAfterThisTurn();
      return new Promise((resolve, reject) => this.#pendingWaiters.push({ resolve, reject }));
    }
    if (this.#inFlight.size === 0) return Promise.resolve();
    return new Promise((resolve, reject) => this.#inFlightWaiters.push({ resolve, reject }));
  }

  async #room(): Promise<void> {
    await this.#flushed();
    this.#assertWritable();
  }

  /** Everybody who writes in this turn of the event loop shares the batch. */
  #flushAfterThisTurn(): void {
    if (this.#flushDue || this.#busy) return;
    this.#flushDue = true;
    setImmediate(() => {
      this.#flushDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#busy) return;
    if (this.#pending.size === 0) {
      // What somebody waited for has vanished meanwhile: created and deleted.
      for (const waiter of this.#pendingWaiters.splice(0)) waiter.resolve();
      return;
    }
    const cells = this.#cells();
    if (!cells) return;
    this.#inFlight = this.#pending;
    this.#inFlightWaiters = this.#pendingWaiters;
    this.#pending = new Map();
    this.#pendingWaiters = [];
    this.#busy = true;
    this.#worker.ref();
    this.#worker.postMessage(cells);
  }

  #cells(): WriterRequest | undefined {
    const cells: (string | number | null)[] = [];
    for (const [key, change] of this.#pending) {
      if (!change.entry) {
        cells.push(key, 0, null, null, null, null);
        continue;
      }
      const { record, index } = change.entry;
      const text = toJson(record);
      if (text instanceof StoreError) {
        this.#fail(text);
        return undefined;
      }
      change.chars = text.length;
      cells.push(key, record.revision, text, index?.by ?? null, index?.at ?? null, index ? Number(index.open) : null);
    }
    return cells;
  }

  #answered(answer: WriterAnswer): void {
    if (answer.outcome === 'failed') {
      this.#fail(storeErrorFrom(this.#file, 'Cannot write the record store', answer.code, answer.message));
      return;
    }
    const waiters = this.#inFlightWaiters;
    for (const [key, { entry, chars }] of this.#inFlight) {
      if (entry && !this.#pending.has(key)) this.#cache.set(entry.record, chars);
    }
    this.#inFlight = new Map();
    this.#inFlightWaiters = [];
    this.#busy = false;
    this.#worker.unref();
    for (const waiter of waiters) waiter.resolve();
    if (this.#pendingWaiters.length > 0 || this.#pending.size >= FLUSH_KEYS) this.#flushAfterThisTurn();
    else if (this.#pending.size > 0) this.#timer ??= setTimeout(() => this.#flush(), FLUSH_INTERVAL_MS);
  }

  /** From now on nothing becomes durable: whoever waits or writes learns why. Reading goes on. */
  #fail(error: StoreError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#busy = true;
    clearTimeout(this.#timer);
    this.#worker.unref();
    const waiters = [...this.#inFlightWaiters, ...this.#pendingWaiters];
    this.#inFlightWaiters = [];
    this.#pendingWaiters = [];
    for (const waiter of waiters) waiter.reject(error);
  }

  /** Flushes, then ends the writer; rejects with the store's failure when changes could not be flushed. */
  async #close(): Promise<void> {
    const lost = await this.#flushed().catch((error: unknown) => error);
    clearTimeout(this.#timer);
    this.#disk.close();
    this.#worker.ref();
    this.#worker.postMessage('close' satisfies WriterRequest);
    await this.#exited;
    if (lost !== undefined && this.#pending.size + this.#inFlight.size > 0) throw lost;
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new StoreError('store_closed', `The record store ${this.#file} is closed`);
  }

  #assertWritable(): void {
    this.#assertOpen();
    if (this.#failure) throw this.#failure;
  }
}

const kindOf = (key: string): string => key.slice(0, key.indexOf('#') + 1);

function toJson({ key, value }: StoredRecord): string | StoreError {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    return new StoreError('store_unwritable', `The value of the record ${key} is not plain JSON`, { cause });
  }
}
