import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { acquireWorldLock } from '../../../runtime/engine/world-lock.ts';
import { testProgram } from '../../programs.ts';

const lockHolder = testProgram(new URL('./world-lock-holder.ts', import.meta.url));

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'baton-lock-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const locked = (message: RegExp) =>
  expect.objectContaining({ code: 'store_locked', message: expect.stringMatching(message) });

describe('a data directory that nobody uses', () => {
  it('is made and locked', () => {
    acquireWorldLock(join(dataDir, 'new', 'world')).release();
  });

  it('is free again after release, which may come twice', () => {
    const lock = acquireWorldLock(dataDir);
    lock.release();
    lock.release();
    acquireWorldLock(dataDir).release();
  });
});

describe('a data directory in use', () => {
  it('is refused to the same process', () => {
    const lock = acquireWorldLock(dataDir);
    expect(() => acquireWorldLock(dataDir)).toThrow(locked(/is in use by another process/));
    lock.release();
  });

  it('is refused to another process with the name of the holder, until that is killed', async () => {
    const child = await holder();
    writeFileSync(join(dataDir, 'world.json'), JSON.stringify({ pid: child.pid, url: 'http://127.0.0.1:4711' }));
    expect(() => acquireWorldLock(dataDir)).toThrow(
      locked(new RegExp(`process ${child.pid} at http://127.0.0.1:4711`)),
    );
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    acquireWorldLock(dataDir).release();
  });

  it('is refused also when world.json is half written', () => {
    const lock = acquireWorldLock(dataDir);
    writeFileSync(join(dataDir, 'world.json'), '{"pid": 12');
    expect(() => acquireWorldLock(dataDir)).toThrow(locked(/another process/));
    lock.release();
  });
});

describe('a data directory that cannot be', () => {
  it('is refused as store_unwritable', () => {
    const file = join(dataDir, 'file');
    writeFileSync(file, '');
    expect(() => acquireWorldLock(join(file, 'world'))).toThrow(expect.objectContaining({ code: 'store_unwritable' }));
  });
});

/** A process that holds the lock. */
async function holder(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [lockHolder, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', () => reject(new Error('The holder ended by itself')));
  });
  return child;
}
