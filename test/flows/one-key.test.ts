import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { linesOf, openScene, type Scene } from './scene.ts';

describe('embedded, by the API', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene.close());

  describe('a thousand simultaneous requests with one idempotency key', () => {
    it('are one task, which runs once', async () => {
      const starts = join(scene.folder, 'starts');
      const body = JSON.stringify({
        repository: scene.remote,
        prompt: 'Once.',
        agentCommand: `echo start >> ${starts}`,
        idempotencyKey: 'only-once',
      });
      const answers = await Promise.all(Array.from({ length: 1000 }, () => posted(scene.world.url, body)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      const ids = new Set(answers.map(({ taskId }) => taskId));
      expect(ids.size).toBe(1);
      expect(await scene.settled([...ids][0] ?? '')).toMatchObject({ status: 'COMPLETED', attempt: 1 });
      expect(await scene.world.list()).toHaveLength(1);
      expect(linesOf(starts)).toEqual(['start']);
    });
  });
});

/** Each request has a connection of its own, and waits for it as long as it takes: `fetch` gives up after ten seconds. */
async function posted(url: string, body: string): Promise<{ status: number | undefined; taskId: string }> {
  const headers = { 'content-type': 'application/json' };
  const asked = request(`${url}/baton/v1/tasks`, { method: 'POST', headers, agent: false }).end(body);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const { taskId } = (await json(answer)) as { taskId: string };
  return { status: answer.statusCode, taskId };
}
