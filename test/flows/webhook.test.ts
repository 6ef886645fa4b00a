import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { openWorld } from '../../runtime/embedded-world.ts';
import type { TaskView } from '../../schemas/task-view.ts';
import { aRequest } from '../builders.ts';
import { testProgram } from '../programs.ts';
import { type PublicReceiver, publicReceiver } from '../public-receiver.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { type WebhookReceiver, webhookReceiver } from '../webhook-receiver.ts';
import { onLoopback, openLoopbackScene } from './every-world.ts';
import { eventually, openScene, quickTimings, type Scene, sampleRepository } from './scene.ts';

/** How long a function may take here: an entry of a dead one keeps others out for as long as it may have had. */
const FUNCTION_TIMEOUT_S = 10;
const PATIENCE_MS = 120_000;

let receiver: WebhookReceiver;
beforeEach(async () => {
  receiver = await webhookReceiver();
});
afterEach(() => receiver.close());

const subscribed = () => ({ subscribers: [{ channel: 'webhook' as const, target: `${receiver.url}/hook` }] });
const byNow = () => ({ id: 'set-1', at: new Date().toISOString() });

describe('a webhook that subscribed to a repository', () => {
  let scene: Scene;
  beforeEach(async () => {
    scene = await openScene({ copies: 2 });
    await scene.world.engine.ports.configurations.set(scene.remote, subscribed(), byNow());
  });
  afterEach(() => scene.close());

  it('is told once how each task ended, under the id of the fact', async () => {
    const good = await scene.submit('echo hello > out.txt');
    const bad = await scene.submit('exit 3');
    await scene.settled(good);
    await scene.settled(bad);
    await receiver.until(2);
    await scene.quiet();
    expect(receiver.received).toHaveLength(2);
    const bodyOf = (taskId: string) => receiver.received.find(({ id }) => id === `${taskId}#notify#0`)?.body;
    expect(bodyOf(good)).toMatchObject({ taskId: good, status: 'COMPLETED', result: { branch: `baton/${good}` } });
    expect(bodyOf(bad)).toMatchObject({
      taskId: bad,
      status: 'FAILED',
      reason: { code: 'agent_failed', remedy: expect.any(String) },
    });
    expect(scene.deadLetters).toEqual([]);
  });

  it('that hangs holds up no task, and is told by the next world', async () => {
    receiver.answers('silence');
    const first = await scene.submit('true');
    await scene.settled(first);
    await receiver.until(1);
    const second = await scene.submit('true');
    await scene.settled(second);
    receiver.answers(204);
    const before = receiver.received.length;
    const closing = Date.now();
    await scene.reopen();
    // Closing gives up what nobody answers.
    expect(Date.now() - closing).toBeLessThan(8_000);
    await scene.quiet();
    expect(new Set(receiver.received.slice(before).map(({ id }) => id))).toEqual(
      new Set([`${first}#notify#0`, `${second}#notify#0`]),
    );
  });
});

describe('a world that is killed between a post and its acknowledgement', () => {
  let folder: string;
  let bundle: string;
  beforeAll(() => {
    bundle = testProgram(new URL('./world-process.ts', import.meta.url));
    folder = sceneFolder();
  });
  afterAll(async () => {
    await putAway(folder);
  });

  it('posts again when it is back, under the same id; and no more once that was acknowledged', async () => {
    const dataDir = join(folder, 'data');
    const remote = sampleRepository(folder);
    const open = () => openWorld({ dataDir, timings: quickTimings, stopTimeoutSeconds: 8 });
    const before = await open();
    await before.engine.ports.configurations.set(remote, subscribed(), byNow());
    await before.engine.store.durable();
    await before.close();

    receiver.answers('silence');
    const child = spawn(process.execPath, [bundle, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    const [ready] = await once(child.stdout.setEncoding('utf8'), 'data');
    const answer = await fetch(`${/http\S+/.exec(ready)?.[0]}/baton/v1/tasks`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ repository: remote, prompt: 'Say hello.', agentCommand: 'true' }),
    });
    const { taskId } = (await answer.json()) as TaskView;
    await receiver.until(1);
    child.kill('SIGKILL');
    await exited;

    receiver.answers(204);
    const after = await open();
    await receiver.until(2);
    await eventually(() => (after.engine.bus.pending() === 0 ? true : undefined), 'the acknowledgement');
    await after.close();
    const last = await open();
    await eventually(() => (last.engine.bus.pending() === 0 ? true : undefined), 'the bus to be quiet');
    await last.close();
    expect(receiver.received.map(({ id }) => id)).toEqual([`${taskId}#notify#0`, `${taskId}#notify#0`]);
  }, 120_000);
});

onLoopback(() => {
  describe('a deployed function that dies between a post and its note of it', () => {
    let open: PublicReceiver;
    beforeEach(async () => {
      open = await publicReceiver();
    });
    afterEach(() => open.close());

    it('posts again under the same id when the message comes back, and after that no more', async () => {
      let deaths = 0;
      const scene = await openLoopbackScene({
        copies: 2,
        functionTimeoutSeconds: FUNCTION_TIMEOUT_S,
        environment: open.environment,
        // Nobody but the ledger of effects updates items.
        dieAt: ({ name }) => (name === 'dynamodb.UpdateItem' && deaths++ === 0 ? 'before' : undefined),
      });
      try {
        const config = { subscribers: [{ channel: 'webhook', target: `${open.url}/hook` }] };
        const configure = aRequest('RepositoryConfigRequested', { name: scene.remote, config });
        await scene.world.publish([configure]);
        await eventually(
          async () => ((await scene.world.record('REPOSITORIES')) ? true : undefined),
          'the configuration',
          PATIENCE_MS,
        );
        const taskId = await scene.submit('true');
        await scene.settled(taskId);
        await eventually(
          () => (open.received.length === 2 ? true : undefined),
          () => `two posts; ${JSON.stringify(open.received)}; ${scene.world.troubles().join('; ')}`,
          PATIENCE_MS,
        );
        expect(deaths).toBeGreaterThan(0);
        await eventually(() => (deaths > 1 ? true : undefined), 'its note', PATIENCE_MS);
        await scene.quiet();
        expect(open.received.map(({ id }) => id)).toEqual([`${taskId}#notify#0`, `${taskId}#notify#0`]);
        expect(open.received[1]).toMatchObject({ path: '/hook', body: { taskId, status: 'COMPLETED' } });
      } finally {
        await scene.close();
      }
    }, 240_000);
  });
});
