import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import Database from 'libsql';
import { type LibsqlStoreOptions, openLibsqlStore } from '../../../runtime/engine/libsql-store.ts';
import { stateAfter } from '../../contracts/record-store-operations.ts';
import { testProgram } from '../../programs.ts';

/** Enough to kill in start-up, in commits and between them. */
const KILLS = 12;

const writer = testProgram(new URL('../../contracts/record-store-writer.ts', import.meta.url));

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-store-'));
  file = join(folder, 'baton.db');
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (options: Partial<LibsqlStoreOptions> = {}) => openLibsqlStore({ file, ...options });

describe('a process killed while it writes', () => {
  it('leaves a prefix of its operations, with everything that it was told is durable', async () => {
    let next = 1;
    let acknowledgements = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const acknowledged = await killAfterFirstAcknowledgement(next, Math.random() * 80);
      const found = await recordsOnDisk();
      const last = prefixThatLeaves(found, next, Math.max(next - 1, ...acknowledged));
      acknowledgements += acknowledged.length;
      next = last + 1;
    }
    expect(acknowledgements).toBeGreaterThan(KILLS);
  });
});

describe('a store file that cannot be used', () => {
  it.each([
    ['text', () => writeFileSync(file, 'not a database, but long enough for a header\n'.repeat(200))],
    ['a damaged store', damage],
    ['the database of another program', foreign],
    ['a store of a newer version', () => emptyStore((db) => db.exec('PRAGMA user_version = 2'))],
  ])('is %s: refused as store_corrupt, named, and left as it is', async (_, prepare) => {
    await prepare();
    const before = readFileSync(file);
    await expect(open()).rejects.toEqual(
      expect.objectContaining({ code: 'store_corrupt', message: expect.stringContaining(file) }),
    );
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('has a row that is no JSON: reading it is refused as store_corrupt', async () => {
    await emptyStore((db) => db.exec(`INSERT INTO records (key, revision, value) VALUES ('TASK#1', 1, '{"n":')`));
    const store = await open();
    await expect(store.get('TASK#1')).rejects.toEqual(expect.objectContaining({ code: 'store_corrupt' }));
    await store.close();
  });

  it('lies below a file, where no folder can be: store_unwritable', async () => {
    writeFileSync(file, '');
    const below = join(file, 'baton.db');
    await expect(open({ file: below })).rejects.toEqual(
      expect.objectContaining({ code: 'store_unwritable', message: expect.stringContaining(below) }),
    );
  });

  it('is a folder: store_unwritable', async () => {
    mkdirSync(file);
    await expect(open()).rejects.toEqual(expect.objectContaining({ code: 'store_unwritable' }));
  });

  it('has no writer module: the opening fails, naming it', async () => {
    const workerUrl = new URL('file:///nowhere/libsql-worker.js');
    await expect(open({ workerUrl })).rejects.toThrow(/nowhere/);
  });
});

describe('a disk that runs full', () => {
  it('fails whoever waits and every later write, and loses nothing that was durable', async () => {
    const store = await open({ maxPages: 80 });
    const full = expect.objectContaining({ code: 'store_full', message: expect.stringContaining(file) });
    let durable = -1;
    const fill = async () => {
      for (let n = 0; n < 1_000; n++) {
        await store.put(`KEY#${n}`, { n, filler: 'x'.repeat(4_000) }, 'absent');
        await store.durable();
        durable = n;
      }
    };
    await expect(fill()).rejects.toEqual(full);
    expect(durable).toBeGreaterThan(10);
    await expect(store.put('KEY#0', {}, 'any')).rejects.toEqual(full);
    await expect(store.delete('KEY#0')).rejects.toEqual(full);
    await expect(store.durable()).rejects.toEqual(full);
    expect(await store.get('KEY#0')).toBeDefined();
    await expect(store.close()).rejects.toEqual(full);

    const later = await open();
    expect(await later.list('KEY#', { limit: 1_000 })).toHaveLength(durable + 1);
    expect(await later.put('KEY#0', {}, 1)).toEqual({ outcome: 'written', revision: 2 });
    await later.close();
  });
});

describe('whoever waits while the batch is at the writer', () => {
  it('waits for that batch', async () => {
    const store = await open();
    await store.put('TASK#1', {}, 'absent');
    let committed = false;
    const first = store.durable().then(() => {
      committed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(committed).toBe(false);
    await store.durable();
    expect(committed).toBe(true);
    await first;
    await store.close();
  });
});

describe('a value that is no JSON', () => {
  it('fails the store by naming its key', async () => {
    const store = await open();
    await store.put('TASK#1', { n: 1n }, 'absent');
    await expect(store.durable()).rejects.toThrow(/TASK#1/);
    await expect(store.close()).rejects.toThrow(/TASK#1/);
  });
});

describe('operations that nobody waits for', () => {
  it('are on disk soon after', async () => {
    const store = await open();
    await store.put('TASK#1', { n: 1 }, 'absent');
    await expect(eventuallyRows(1)).resolves.toBe(1);
    await store.close();
  });

  it('are on disk after close', async () => {
    const store = await open();
    for (let n = 0; n < 30_000; n++) await store.put(`KEY#${n}`, n, 'absent');
    await store.close();
    // In the one file, with nothing left in the write-ahead log.
    for (const log of ['-wal', '-shm']) rmSync(`${file}${log}`, { force: true });
    expect(rows()).toBe(30_000);
  });

  it('never reach the disk when they undo each other', async () => {
    const store = await open();
    for (let n = 0; n < 500; n++) {
      await store.put(`EVENT#${n}`, {}, 'absent');
      await store.delete(`EVENT#${n}`);
    }
    await store.put('TASK#1', {}, 'absent');
    await store.durable();
    await store.close();
    const db = new Database(file);
    expect(db.prepare('SELECT max(rowid) AS last FROM records').raw().get()).toEqual([1]);
    db.close();
  });
});

/** Starts the writer at operation `from`, kills it after its first acknowledgement and a while, and answers all acknowledgements. */
async function killAfterFirstAcknowledgement(from: number, whileMs: number): Promise<number[]> {
  const child: ChildProcess = spawn(process.execPath, [writer, file, String(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  const first = new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      resolve();
    });
    child.on('exit', () => reject(new Error('The writer ended by itself')));
  });
  await first;
  await sleep(whileMs);
  const gone = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await gone;
  return said.split('\n').slice(0, -1).map(Number);
}

async function recordsOnDisk(): Promise<Map<string, unknown>> {
  const store = await open();
  const records = await store.list('', { limit: 1_000 });
  await store.close();
  return new Map(records.map(({ key, value }) => [key, value]));
}

/** The last operation of a prefix that leaves exactly these records and is not shorter than `atLeast`. */
function prefixThatLeaves(found: Map<string, unknown>, from: number, atLeast: number): number {
  const newest = Math.max(from - 1, ...[...found.values()].map((value) => (value as { n: number }).n));
  // Deletes after the newest put leave no number behind: at most one stands between two puts.
  for (const last of [newest + 1, newest]) {
    if (last < atLeast) continue;
    const left = stateAfter(last);
    if (left.size === found.size && [...left].every(([key, { n }]) => (found.get(key) as { n: number })?.n === n)) {
      return last;
    }
  }
  throw new Error(`No prefix of ${atLeast} or more operations leaves what is on disk: ${JSON.stringify([...found])}`);
}

async function emptyStore(change: (db: Database.Database) => void): Promise<void> {
  await (await open()).close();
  const db = new Database(file);
  change(db);
  db.close();
}

/** Overwrites pages in the middle of a store with some records. */
async function damage(): Promise<void> {
  const store = await open();
  for (let n = 0; n < 500; n++) await store.put(`KEY#${n}`, { filler: 'x'.repeat(500) }, 'absent');
  await store.close();
  const bytes = readFileSync(file);
  bytes.fill(0xa5, 4_096 * 5, 4_096 * 9);
  writeFileSync(file, bytes);
}

function foreign(): void {
  const db = new Database(file);
  db.exec('CREATE TABLE songs (title TEXT)');
  db.close();
}

function rows(): number {
  const db = new Database(file);
  const [count] = db.prepare('SELECT count(*) FROM records').raw().get() as [number];
  db.close();
  return count;
}

async function eventuallyRows(wanted: number): Promise<number> {
  for (let tries = 0; tries < 2_000 && rows() !== wanted; tries++) await sleep(20);
  return rows();
}
