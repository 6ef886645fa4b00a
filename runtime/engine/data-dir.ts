import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readWhole, writeWhole } from '../../agent/supervisor-files.ts';
import type { WorldFile } from '../../schemas/world-api.ts';
import { StoreError } from '../errors.ts';
import { described } from './libsql-file.ts';

/** Bytes of the world's secret: as many as the SHA-256 that is keyed with it uses. */
const SECRET_BYTES = 32;

/** The files of an embedded world. Nobody but the owner may look: the store holds prompts, the secret makes run tokens. */
export interface DataDir {
  readonly path: string;
  readonly store: string;
  readonly runs: string;
  /** What was published, by the minute. */
  readonly archive: string;
  readonly worldFile: string;
  /** The secret of this world; made at the first call. Call it under the world's lock. Throws StoreError. */
  secret(): string;
  /** Says where the running world is found; whole or not at all. */
  announce(world: WorldFile): void;
  /** Takes the word back, so that nobody looks for a world that is gone. */
  withdraw(): void;
}

/** Names in a data directory that is Baton's alone, or how they begin. */
const OURS = [
  'baton.db',
  'lock.db',
  'secret',
  'world.json',
  'runs',
  'archive',
  'workers',
  'user-files',
  'joined',
  '.gitignore',
];
/** Bits of a mode for others than the owner: all of them, and those that let them write. */
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;

/** Makes the data directory when it is missing, and closes one that others may look into. Throws StoreError `store_unwritable`. */
export function openDataDir(dataDir: string): DataDir {
  const path = resolve(dataDir);
  const runs = join(path, 'runs');
  const worldFile = join(path, 'world.json');
  const secretFile = join(path, 'secret');
  writing(path, () => mkdirSync(runs, { recursive: true, mode: 0o700 }));
  writing(path, () => closeToOthers(path));
  writing(runs, () => chmodSync(runs, 0o700));
  return {
    path,
    store: join(path, 'baton.db'),
    runs,
    archive: join(path, 'archive'),
    worldFile,
    secret: () => writing(secretFile, () => keptSecret(secretFile) ?? newSecret(secretFile)),
    announce: (world) => writing(worldFile, () => writeWhole(worldFile, world)),
    withdraw: () => rmSync(worldFile, { force: true }),
  };
}

/**
 * A folder that holds other things too, as a home directory, keeps its mode: all that is secret lies in files and folders that are
 * closed themselves. But nobody else may put anything there.
 */
function closeToOthers(path: string): void {
  const { mode } = statSync(path);
  if ((mode & OTHERS) === 0) return;
  const isOurs = readdirSync(path).every((name) => OURS.some((our) => name.startsWith(our)));
  if (isOurs) chmodSync(path, 0o700);
  else if ((mode & OTHERS_WRITE) !== 0) {
    throw new StoreError('store_unwritable', `${path} holds other files too, and others may write there`, {
      remedy: 'Choose a data directory of its own with --data.',
    });
  }
}

function keptSecret(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  const kept = readWhole(file);
  if (typeof kept === 'string' && Buffer.from(kept, 'base64url').length >= SECRET_BYTES) return kept;
  throw new StoreError('store_corrupt', `${file} does not hold the secret of this world any more`, {
    remedy: 'Restore the file; without it, remove it: runs that are under way cannot report then.',
  });
}

function newSecret(file: string): string {
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  writeWhole(file, secret);
  return secret;
}

function writing<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const { code, message } = described(error);
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    throw new StoreError(full ? 'store_full' : 'store_unwritable', `Cannot write ${file}: ${message}`, {
      cause: error,
    });
  }
}
