import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { isArchived } from '../../runtime/engine/archive.ts';
import { openLibsqlStore } from '../../runtime/engine/libsql-store.ts';
import { replayOf } from '../../runtime/react.ts';
import { rebuildWorld } from '../../runtime/rebuilt-world.ts';
import { runKey, shadowKey, slotKey, taskKey } from '../../runtime/records.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { Task } from '../../schemas/task.ts';
import { onEveryWorld } from './every-world.ts';
import { eventually, type FlowScene, openScene, type Scene } from './scene.ts';

/** Tasks that completed, failed and were cancelled, and one that works. */
async function lived(scene: FlowScene): Promise<string[]> {
  const works = (agentCommand: string) => scene.submit(agentCommand, { userId: 'local' });
  const completed = await works('cat > note.txt');
  await scene.settled(completed);
  const failed = await works('exit 3');
  const cancelled = await works('sleep 300');
  await scene.until(cancelled, ({ status }) => status === 'RUNNING', 'runs');
  await scene.world.cancel(cancelled);
  await scene.settled(failed);
  await scene.settled(cancelled);
  const running = await works('echo begun; sleep 300');
  await eventually(
    async () => scene.events.find((event) => JSON.stringify(event.detail).includes('"text":"begun"')),
    'the word of the agent',
  );
  // A wake-up of its start would change the record while it is compared: from then on only the deadline rings.
  await eventually(async () => {
    const { armedAt, deadlineAt } = (await scene.world.record(taskKey(running))) as Task;
    return armedAt === deadlineAt ? true : undefined;
  }, 'the wake-up of its start');
  await scene.quiet();
  return [completed, failed, cancelled, running];
}

/** Runs go on when their world closes: what works is cancelled before. */
async function ended(scene: FlowScene): Promise<void> {
  const tasks = await scene.world.list({ settled: false }).catch(() => []);
  for (const { taskId } of tasks) await scene.world.cancel(taskId).then(() => scene.settled(taskId));
  await scene.close();
}

/** All that handlers have written about the tasks. */
async function recordsOf(scene: FlowScene, taskIds: readonly string[]): Promise<readonly unknown[]> {
  const keys = [slotKey('user:local'), ...taskIds.flatMap((taskId) => [taskKey(taskId), runKey(taskId, 1)])];
  return Promise.all(keys.map((key) => scene.world.record(key)));
}

/** New events that nobody replayed, but for wake-ups, which come by the clock. */
const newsIn = (events: readonly Envelope[]): string[] =>
  events
    .filter((event) => replayOf(event) === undefined && event.source !== 'baton.alarm')
    .map((event) => `${event['detail-type']} ${event.id}`);

onEveryWorld((openScene) => {
  describe('replaying all that was published twice, each time in another order', () => {
    let scene: FlowScene;
    afterEach(() => ended(scene));

    it('changes no record, starts and stops nothing, and says nothing new', async () => {
      scene = await openScene();
      const taskIds = await lived(scene);
      const before = await recordsOf(scene, taskIds);
      const archived = scene.events.filter(isArchived);
      expect(archived.length).toBeGreaterThan(20);
      for (const name of ['first', 'second']) {
        const heard = scene.events.length;
        const again = archived.map((event) => ({ ...event, 'replay-name': name }));
        await scene.world.publish(
          again
            .map((event) => ({ event, at: Math.random() }))
            .sort((a, b) => a.at - b.at)
            .map(({ event }) => event),
        );
        await scene.quiet();
        expect(newsIn(scene.events.slice(heard))).toEqual([]);
        expect(await recordsOf(scene, taskIds)).toEqual(before);
      }
      expect(scene.world.deadLetters()).toEqual([]);
    });
  });
});

describe('the archive of a world on this machine', () => {
  let scene: Scene;
  let taskIds: readonly string[];
  beforeAll(async () => {
    scene = await openScene();
    taskIds = await lived(scene);
  });
  afterAll(() => ended(scene));

  const archiveDir = () => join(scene.dataDir, 'archive');
  const over = (name: string) =>
    (async () => {
      for (;;) {
        const replay = await scene.world.engine.replays.get(name);
        if (replay.endedAt !== undefined) return replay;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();

  it('is replayed from disk after the world was opened again, and changes no record', async () => {
    const published = scene.events.filter(isArchived).length;
    await scene.reopen();
    await scene.quiet();
    const store = scene.world.engine.store;
    const all = async () =>
      (await store.list('', { limit: 1_000 })).filter(({ key }) => !/^(JOURNAL|REPLAY|ECSTASK)#/.test(key));
    const before = await all();
    const files = readdirSync(archiveDir(), { recursive: true }).length;
    for (const name of ['first', 'second']) {
      const from = new Date(Date.now() - 3_600_000).toISOString();
      await scene.world.engine.replays.start({ name, from, to: new Date().toISOString() });
      const replay = await over(name);
      expect(replay).toMatchObject({ state: 'COMPLETED' });
      expect(replay.events).toBeGreaterThanOrEqual(published);
      await scene.quiet();
    }
    expect(await all()).toEqual(before);
    expect(readdirSync(archiveDir(), { recursive: true })).toHaveLength(files);
    expect((await scene.world.view(taskIds[3] ?? '')).status).toBe('RUNNING');
  });

  it('tells what the records are; a record that somebody changed is found, and so is one that is gone', async () => {
    const [completed = '', failed = '', cancelled = '', running = ''] = taskIds;
    // What was written within the last second is not judged.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const shadow = (name: string) => join(scene.folder, name);
    const whole = await rebuildWorld({ from: scene.dataDir, into: shadow('while it runs') });
    expect(whole).toMatchObject({ tasks: 4, same: 4, silent: 0, moved: 0, older: 0, different: 0, differences: [] });

    await scene.world.cancel(running);
    await scene.settled(running);
    await scene.world.close();
    const store = await openLibsqlStore({ file: join(scene.dataDir, 'baton.db') });
    const stored = await store.get(taskKey(failed));
    await store.put(taskKey(failed), { ...(stored?.value as object), status: 'CANCELLED', userId: 'eve' }, 'any');
    await store.delete(taskKey(cancelled));
    await store.close();
    await new Promise((resolve) => setTimeout(resolve, 1_200));

    const report = await rebuildWorld({ from: scene.dataDir, into: shadow('broken') });
    expect(report).toMatchObject({ same: 2, different: 2 });
    expect(report.differences).toEqual(
      expect.arrayContaining([
        {
          taskId: failed,
          kind: 'differs',
          fields: [
            { field: 'userId', told: 'local', stored: 'eve' },
            { field: 'status', told: 'FAILED', stored: 'CANCELLED' },
          ],
        },
        { taskId: cancelled, kind: 'record_missing' },
      ]),
    );
    const rebuilt = await openLibsqlStore({ file: join(shadow('broken'), 'baton.db') });
    expect((await rebuilt.get(shadowKey(completed)))?.value).toMatchObject({
      status: 'COMPLETED',
      settled: true,
      userId: 'local',
      missing: [],
    });
    await rebuilt.close();
  });
});

describe('an archive in which nothing is told', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene.close());

  it('is rebuilt into an empty place only', async () => {
    mkdirSync(join(scene.folder, 'empty'));
    await expect(rebuildWorld({ from: scene.dataDir, into: scene.dataDir })).rejects.toMatchObject({
      code: 'bad_input',
      message: expect.stringContaining('is not empty'),
    });
    await expect(
      rebuildWorld({ from: join(scene.folder, 'nowhere'), into: join(scene.folder, 'empty') }),
    ).rejects.toMatchObject({ code: 'bad_input', message: expect.stringContaining('holds no world') });
    expect(await rebuildWorld({ from: scene.dataDir, into: join(scene.folder, 'empty') })).toMatchObject({ tasks: 0 });
  });
});
