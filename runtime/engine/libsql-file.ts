import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';
import { StoreError } from '../errors.ts';
import type { StoredRecord } from '../ports.ts';
import { compareNewestFirst, type QueryOptions } from './record-page.ts';

/** Marks a file as Baton's record store: 'Bato' in ASCII, in SQLite's application_id. */
const APPLICATION_ID = 0x4261746f;
/** Version of the tables below, in SQLite's user_version. Raise it with a migration. */
const SCHEMA_VERSION = 1;
/** Files above 256 MiB are not read through on open: that would cost more than the second a restart may take. */
const FULL_CHECK_MAX_BYTES = 256 * 1024 * 1024;
/** For the owner alone: the records hold prompts and tokens. */
const FILE_MODE = 0o600;
/** Sorts after every key and time. */
const LAST = '\u{10FFFF}';

const SCHEMA = `
  CREATE TABLE records (key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, value TEXT NOT NULL, by TEXT, at TEXT, open INTEGER);
  CREATE INDEX records_by ON records (by, open, at, key) WHERE by IS NOT NULL;
  CREATE INDEX records_open ON records (open, at, key) WHERE by IS NOT NULL;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** A record on disk; `chars` is the length of its JSON text. `at` is set by `query` only. */
export interface DiskRecord {
  record: StoredRecord;
  chars: number;
  at: string;
}

/** The read side of the database file: committed records, straight from disk, synchronously. */
export interface LibsqlFile {
  read(key: string): DiskRecord | undefined;
  /** The highest committed key with this prefix; empty if there is none. */
  highest(prefix: string): string;
  /** Committed records after `after`, ascending by key. */
  page(prefix: string, after: string, limit: number): DiskRecord[];
  /** Committed indexed records before the place (at, key), newest first. */
  newest(options: QueryOptions, before: { at: string; key: string }, limit: number): DiskRecord[];
  close(): void;
}

/**
 * Opens or creates the database file and checks that it is a sound store of this version. Moves and deletes nothing.
 * Throws StoreError `store_corrupt` (damaged, foreign or newer file), `store_unwritable`, `store_locked` or `store_full`.
 */
export function openLibsqlFile(file: string): LibsqlFile {
  const db = openChecked(file);
  const one = db.prepare('SELECT key, revision, value FROM records WHERE key = ?').raw();
  const range = db
    .prepare('SELECT key, revision, value FROM records WHERE key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?')
    .raw();
  const top = db.prepare('SELECT max(key) FROM records WHERE key >= ? AND key < ?').raw();
  const bySomeone = db.prepare(newestSql('by = ? AND open = ?')).raw();
  const byAnyone = db.prepare(newestSql('by IS NOT NULL AND open = ?')).raw();

  return {
    read: (key) =>
      reading(file, () => {
        const row = one.get(key);
        return row === undefined ? undefined : toRecord(row);
      }),
    highest: (prefix) =>
      reading(file, () => {
        const row: unknown = top.get(prefix, prefix + LAST);
        return Array.isArray(row) && typeof row[0] === 'string' ? row[0] : '';
      }),
    page: (prefix, after, limit) => reading(file, () => range.all(after, prefix, prefix + LAST, limit).map(toRecord)),
    newest: ({ by, open }, before, limit) =>
      reading(file, () => {
        // One index scan per value of `open`, so that every query reads only as many rows as it answers.
        const scan = (flag: number): unknown[] =>
          by === undefined
            ? byAnyone.all(flag, before.at, before.key, limit)
            : bySomeone.all(by, flag, before.at, before.key, limit);
        const rows = open === undefined ? [...scan(1), ...scan(0)] : scan(Number(open));
        const found = rows.map(toRecord);
        return found
          .sort((a, b) => compareNewestFirst({ at: a.at, key: a.record.key }, { at: b.at, key: b.record.key }))
          .slice(0, limit);
      }),
    close: () => {
      db.close();
    },
  };
}

/** The StoreError for what SQLite reported about `file`. */
export function storeErrorFrom(
  file: string,
  doing: string,
  code: string,
  message: string,
  cause?: unknown,
): StoreError {
  const told = `${doing} ${file}: ${message} (${code})`;
  if (/FULL|max_page_count/.test(code) || /disk is full/.test(message))
    return new StoreError('store_full', told, { cause });
  if (/CORRUPT|NOTADB/.test(code) || /malformed|not a database/.test(message)) {
    return new StoreError('store_corrupt', told, { cause });
  }
  if (/BUSY|LOCKED/.test(code) || /is locked/.test(message)) return new StoreError('store_locked', told, { cause });
  return new StoreError('store_unwritable', told, { cause });
}

/** The code and the message of whatever was thrown. */
export function described(error: unknown): { code: string; message: string } {
  const { name, code, message } = Object(error) as { name?: unknown; code?: unknown; message?: unknown };
  // JSON.parse failed: something other than a record stands in the row.
  if (name === 'SyntaxError') return { code: 'CORRUPT_VALUE', message: String(message) };
  return { code: String(code ?? 'UNKNOWN'), message: String(message ?? error) };
}

function openChecked(file: string): Database.Database {
  let db: Database.Database | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    const known = statSync(file, { throwIfNoEntry: false });
    // SQLite gives its other files the mode of the first one.
    if (!known) closeSync(openSync(file, 'a', FILE_MODE));
    const bytes = known?.size ?? 0;
    db = new Database(file, { timeout: 5_000 });
    if (bytes === 0 || isBlank(db)) db.exec(`PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
    assertOurs(db, file);
    if (bytes <= FULL_CHECK_MAX_BYTES) assertSound(db, file);
    closeToOthers(file);
    db.exec('PRAGMA journal_mode = WAL; PRAGMA query_only = ON;');
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof StoreError) throw error;
    const { code, message } = described(error);
    throw storeErrorFrom(file, 'Cannot open the record store', code, message, error);
  }
}

/** A file of an earlier version, or copied here, may be open to others. */
function closeToOthers(file: string): void {
  for (const part of [file, `${file}-wal`, `${file}-shm`]) {
    const mode = statSync(part, { throwIfNoEntry: false })?.mode ?? FILE_MODE;
    if ((mode & 0o077) !== 0) chmodSync(part, FILE_MODE);
  }
}

function isBlank(db: Database.Database): boolean {
  return pragma(db, 'application_id') === 0 && readCell(db, 'SELECT count(*) FROM sqlite_schema') === 0;
}

function assertOurs(db: Database.Database, file: string): void {
  if (pragma(db, 'application_id') !== APPLICATION_ID) {
    throw new StoreError('store_corrupt', `${file} is a SQLite database, but not a record store of Baton`, {
      remedy: 'Choose another data directory with --data; this file belongs to another program.',
    });
  }
  const version = Number(pragma(db, 'user_version'));
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      'store_corrupt',
      `${file} was written by a newer Baton: store version ${version}, this one reads up to ${SCHEMA_VERSION}`,
      { remedy: 'Run the Baton that wrote the file, or a newer one.' },
    );
  }
}

function assertSound(db: Database.Database, file: string): void {
  const verdict = readCell(db, 'PRAGMA quick_check(1)');
  if (verdict !== 'ok')
    throw new StoreError('store_corrupt', `The record store ${file} is damaged: ${String(verdict)}`);
}

function pragma(db: Database.Database, name: string): unknown {
  return readCell(db, `PRAGMA ${name}`);
}

function readCell(db: Database.Database, sql: string): unknown {
  const row: unknown = db.prepare(sql).raw().get();
  return Array.isArray(row) ? row[0] : undefined;
}

function newestSql(condition: string): string {
  return `SELECT key, revision, value, at FROM records WHERE ${condition} AND (at, key) < (?, ?) ORDER BY at DESC, key DESC LIMIT ?`;
}

function reading<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code, message } = described(error);
    throw storeErrorFrom(file, 'Cannot read the record store', code, message, error);
  }
}

function toRecord(row: unknown): DiskRecord {
  const [key, revision, text, at = ''] = row as [string, number, string, string?];
  return { record: { key, revision, value: JSON.parse(text) }, chars: text.length, at };
}
