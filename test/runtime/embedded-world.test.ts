import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openWorld, type World, type WorldOptions } from '../../runtime/embedded-world.ts';
import {
  runDirOf,
  runKeeping,
  TASK_RETENTION_DAYS,
  WORKSPACE_RETENTION_DAYS,
} from '../../runtime/engine/run-keeping.ts';
import { acquireWorldLock } from '../../runtime/engine/world-lock.ts';
import { worldFile } from '../../schemas/world-api.ts';
import { eventually, openScene, quickTimings, type Scene, sampleRepository } from '../flows/scene.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';

let folder: string;
const worlds: World[] = [];
beforeEach(() => {
  folder = sceneFolder();
});
afterEach(async () => {
  await Promise.allSettled(worlds.splice(0).map((world) => world.close()));
  await putAway(folder);
});

async function open(options: Partial<WorldOptions> = {}): Promise<World> {
  const world = await openWorld({ dataDir: join(folder, 'data'), timings: quickTimings, ...options });
  worlds.push(world);
  return world;
}

const inData = (name: string): string => join(folder, 'data', name);
const mode = (file: string): string => (statSync(file).mode & 0o777).toString(8);

describe('a world that opens in a new data directory', () => {
  it('makes it for its owner alone, and says where it is found', async () => {
    const world = await open();
    expect(mode(inData('.'))).toBe('700');
    expect(mode(inData('secret'))).toBe('600');
    expect(mode(inData('world.json'))).toBe('600');
    const told = worldFile.parse(JSON.parse(readFileSync(inData('world.json'), 'utf8')));
    expect(told).toMatchObject({ pid: process.pid, url: world.url });
    expect((await fetch(`${world.url}/baton/v1/world`)).status).toBe(200);
  });

  it('leaves no trace of itself when it closes, and can be closed again', async () => {
    const world = await open();
    await world.close();
    await world.close();
    expect(existsSync(inData('world.json'))).toBe(false);
    await expect(fetch(`${world.url}/baton/v1/world`)).rejects.toThrow();
  });

  it('keeps its secret from one opening to the next', async () => {
    await (await open()).close();
    const secret = readFileSync(inData('secret'), 'utf8');
    await open();
    expect(readFileSync(inData('secret'), 'utf8')).toBe(secret);
  });
});

describe('a world in a data directory that others may look into', () => {
  const closedFiles = ['baton.db', 'baton.db-wal', 'baton.db-shm', 'secret', 'world.json'];

  it('closes it, and the files in it that an earlier version left open', async () => {
    const world = await open();
    await world.close();
    for (const name of ['.', 'runs']) chmodSync(inData(name), 0o755);
    chmodSync(inData('baton.db'), 0o644);
    await open();
    expect(['.', 'runs'].map((name) => mode(inData(name)))).toEqual(['700', '700']);
    expect(closedFiles.map((name) => mode(inData(name)))).toEqual(closedFiles.map(() => '600'));
  });

  it('leaves the mode of a directory that holds other things too, and closes its own files', async () => {
    mkdirSync(inData('.'));
    chmodSync(inData('.'), 0o755);
    writeFileSync(inData('letter.txt'), '');
    await open();
    expect(mode(inData('.'))).toBe('755');
    expect(mode(inData('runs'))).toBe('700');
    expect(closedFiles.map((name) => mode(inData(name)))).toEqual(closedFiles.map(() => '600'));
  });

  it('does not open where others may put files among theirs', async () => {
    mkdirSync(inData('.'));
    chmodSync(inData('.'), 0o777);
    writeFileSync(inData('letter.txt'), '');
    await expect(open()).rejects.toMatchObject({
      code: 'store_unwritable',
      message: expect.stringContaining('others'),
    });
    expect(mode(inData('.'))).toBe('777');
    expect(existsSync(inData('baton.db'))).toBe(false);
  });
});

describe('a world that cannot open', () => {
  it('says who runs on its data directory, and leaves that one alone', async () => {
    const first = await open();
    await expect(open()).rejects.toMatchObject({
      code: 'store_locked',
      message: expect.stringContaining(`process ${process.pid} at ${first.url}`),
    });
    expect((await fetch(`${first.url}/baton/v1/world`)).status).toBe(200);
    expect(existsSync(inData('world.json'))).toBe(true);
  });

  it('says that its port is in use, and leaves the data directory free', async () => {
    const stranger = createServer();
    const port = await new Promise<number>((resolve) => {
      stranger.listen(0, '127.0.0.1', () => {
        const address = stranger.address();
        resolve(typeof address === 'object' && address ? address.port : 0);
      });
    });
    try {
      await expect(open({ port })).rejects.toMatchObject({
        code: 'port_in_use',
        message: expect.stringContaining(String(port)),
      });
      expect(existsSync(inData('world.json'))).toBe(false);
      await open();
    } finally {
      stranger.close();
    }
  });

  it('says that its store is damaged, and neither changes nor locks it', async () => {
    mkdirSync(inData('.'), { recursive: true });
    const damaged = Buffer.from('this is no database '.repeat(500));
    writeFileSync(inData('baton.db'), damaged);
    await expect(open()).rejects.toMatchObject({ code: 'store_corrupt', message: expect.stringContaining('baton.db') });
    expect(readFileSync(inData('baton.db')).equals(damaged)).toBe(true);
    rmSync(inData('baton.db'));
    await open();
  });

  it('says that its secret is damaged', async () => {
    await (await open()).close();
    writeFileSync(inData('secret'), '');
    await expect(open()).rejects.toMatchObject({ code: 'store_corrupt', message: expect.stringContaining('secret') });
  });

  it('says that its data directory cannot be written', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(open({ dataDir: join(folder, 'file', 'data') })).rejects.toMatchObject({
      code: 'store_unwritable',
      message: expect.stringContaining(join(folder, 'file')),
    });
  });
});

describe('a world whose disk is full', () => {
  it('refuses clearly what it cannot keep, closes, and loses nothing that it had acknowledged', async () => {
    const repository = sampleRepository(folder);
    const world = await open({ maxStorePages: 60, runnerCommand: ['/bin/sleep', '300'], warn: () => undefined });
    const acknowledged: string[] = [];
    let refusal: { status: number; body: unknown } | undefined;
    let gone = false;
    for (let number = 0; number < 100 && !refusal && !gone; number++) {
      const answer = await fetch(`${world.url}/baton/v1/tasks`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ repository, prompt: 'x'.repeat(20_000), idempotencyKey: `${number}` }),
      }).catch(() => undefined);
      // The disk may be full between two requests: then the world has closed already.
      gone = answer === undefined;
      if (!answer) break;
      const body: unknown = await answer.json();
      if (answer.ok) acknowledged.push((body as { taskId: string }).taskId);
      else refusal = { status: answer.status, body };
    }
    expect(acknowledged.length).toBeGreaterThan(0);
    if (!gone) expect(refusal).toMatchObject({ status: 507, body: { error: { code: 'store_full' } } });
    await expect(world.failed).resolves.toMatchObject({ code: 'store_full' });
    // By itself: nobody has closed it.
    await eventually(() => (existsSync(inData('world.json')) ? undefined : true), 'the world to take its word back');
    await eventually(() => {
      try {
        acquireWorldLock(inData('.')).release();
        return true;
      } catch {
        return undefined;
      }
    }, 'the lock');
    await expect(world.close()).rejects.toMatchObject({ code: 'store_full' });

    const next = await open({ runnerCommand: ['/bin/sleep', '300'], stopTimeoutSeconds: 1 });
    for (const taskId of acknowledged) expect(await next.view(taskId)).toMatchObject({ taskId });
    await Promise.all((await next.list()).map(({ taskId }) => next.cancel(taskId)));
    await eventually(() => (next.unsettled() === 0 ? true : undefined), 'all to settle');
  });
});

describe('what settled tasks leave behind', () => {
  let scene: Scene;
  let now = Date.now();
  const days = (count: number): number => count * 24 * 3_600_000;

  beforeEach(async () => {
    now = Date.now();
    scene = await openScene();
  });
  afterEach(() => scene.close());

  const keeping = () =>
    runKeeping({
      store: scene.world.engine.store,
      tasks: scene.world.engine.ports.tasks,
      runs: scene.world.engine.ports.runs,
      clock: { now: () => new Date(now).toISOString() },
      runsDir: join(scene.dataDir, 'runs'),
      warn: (message, error) => {
        throw new Error(message, { cause: error });
      },
    });

  it('is removed whole after its retention, and nothing of a task that is not settled', async () => {
    const old = await scene.submit('echo old > old.txt');
    const { settledAt } = await scene.settled(old);
    const open = await scene.submit('sleep 300');
    await scene.until(open, ({ status }) => status === 'RUNNING', 'to run');
    const runDir = dirname(await scene.world.logPath(old));

    // Asked for more than the retention ago, and settled not quite.
    now = Date.parse(settledAt ?? '') + days(TASK_RETENTION_DAYS) - 1;
    expect(await keeping().pass()).toBe(0);
    now += 2;
    expect(await keeping().pass()).toBe(1);
    await expect(scene.world.view(old)).rejects.toMatchObject({ code: 'unknown_task' });
    expect(existsSync(runDir)).toBe(false);
    const left = await scene.world.engine.store.list('', { limit: 1000 });
    expect(left.filter(({ key }) => key.includes(old)).map(({ key }) => key)).toEqual([]);
    expect(await scene.world.view(open)).toMatchObject({ status: 'RUNNING' });
    expect(existsSync(dirname(await scene.world.logPath(open)))).toBe(true);
    await scene.world.cancel(open);
    await scene.settled(open);
  });

  it('is removed after its retention when it is a rejection, too', async () => {
    const { engine } = scene.world;
    const detail = { data: { repository: '', prompt: '' } };
    const place = { account: '', time: '', region: '', resources: [] };
    const asking = {
      ...place,
      version: '0' as const,
      id: 'x',
      'detail-type': 'TaskRequested',
      source: 'baton.request',
      detail,
    };
    await engine.bus.publish([asking]);
    await eventually(() => (engine.bus.pending() === 0 ? true : undefined), 'the rejection');
    expect(await scene.world.list()).toEqual([]);
    expect(await engine.store.list('TASK#', { limit: 10 })).toHaveLength(1);
    now += days(TASK_RETENTION_DAYS) - 60_000;
    expect(await keeping().pass()).toBe(0);
    now += 120_000;
    expect(await keeping().pass()).toBe(1);
    expect(await engine.store.list('TASK#', { limit: 10 })).toEqual([]);
  });

  it('keeps a workspace that may be the only copy of some work for a while', async () => {
    const taskId = await scene.submit('echo lost > lost.txt; kill -9 $PPID; sleep 300', { attempts: 1 });
    expect(await scene.settled(taskId)).toMatchObject({ status: 'FAILED', reason: { code: 'killed' } });
    const workspace = join(runDirOf(join(scene.dataDir, 'runs'), taskId, 1), 'workspace');
    await keeping().pass();
    expect(readFileSync(join(workspace, 'lost.txt'), 'utf8')).toBe('lost\n');
    now += days(WORKSPACE_RETENTION_DAYS) + 60_000;
    await keeping().pass();
    expect(existsSync(workspace)).toBe(false);
    expect(await scene.world.view(taskId)).toMatchObject({ status: 'FAILED' });
  });

  it('loses a workspace that a crash left after its task had settled', async () => {
    const taskId = await scene.submit('true');
    await scene.settled(taskId);
    const workspace = join(runDirOf(join(scene.dataDir, 'runs'), taskId, 1), 'workspace');
    mkdirSync(workspace, { recursive: true });
    utimesSync(workspace, 1, 1);
    await scene.reopen();
    await eventually(() => (existsSync(workspace) ? undefined : true), 'the workspace to go');
  });
});
