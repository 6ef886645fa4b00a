import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { StoreError } from '../errors.ts';
import { described, storeErrorFrom } from './libsql-file.ts';

/** The right to run a world in a data folder. */
export interface WorldLock {
  release(): void;
}

/**
 * Takes the lock of a data folder: an exclusive transaction held open on `lock.db`, which the operating system ends with the process,
 * even after `kill -9`. Throws StoreError `store_locked`, naming the holder by its `world.json`, or `store_unwritable`.
 */
export function acquireWorldLock(dataDir: string): WorldLock {
  const file = join(dataDir, 'lock.db');
  let db: Database.Database | undefined;
  try {
    mkdirSync(dataDir, { recursive: true });
    db = new Database(file, { timeout: 0 });
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db?.close();
    const { code, message } = described(error);
    const told = storeErrorFrom(file, 'Cannot lock', code, message, error);
    throw told.code === 'store_locked'
      ? new StoreError('store_locked', `${dataDir} is in use by ${holder(dataDir)}`, { cause: error })
      : told;
  }
  const held = db;
  return {
    release: () => {
      if (held.open) held.close();
    },
  };
}

/** Who holds the folder, as its `world.json` tells; the file may be missing, half written or of an earlier world. */
function holder(dataDir: string): string {
  try {
    const world: unknown = JSON.parse(readFileSync(join(dataDir, 'world.json'), 'utf8'));
    const { pid, url } = world as { pid?: unknown; url?: unknown };
    return typeof pid === 'number' ? `process ${pid}${typeof url === 'string' ? ` at ${url}` : ''}` : 'another process';
  } catch {
    return 'another process';
  }
}
