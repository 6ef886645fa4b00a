import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openWorld, type World } from '../../../runtime/embedded-world.ts';
import { taskIn } from '../../../runtime/endpoint/shown-letter.ts';
import { REPOSITORIES_KEY } from '../../../runtime/records.ts';
import { taskIdFor } from '../../../runtime/task-id.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import { anEvent } from '../../builders.ts';
import { putAway, sceneFolder } from '../../scene-folder.ts';

/** Far less than a desk would wait for an answer, in milliseconds. */
const AT_ONCE_MS = 8_000;

let folder: string;
let world: World;
beforeEach(async () => {
  folder = sceneFolder();
  world = await openWorld({ dataDir: join(folder, 'data') });
});
afterEach(async () => {
  await world.close();
  await putAway(folder);
});

const REQUEST = { repository: '/srv/none', prompt: 'do it', idempotencyKey: 'night', agentCommand: 'true' };

async function ask(method: string, path: string, json?: unknown) {
  const answer = await fetch(`${world.url}/baton/v1${path}`, {
    method,
    ...(json === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(json) }),
  });
  return { status: answer.status, json: (await answer.json()) as never };
}

describe('a request that is given up', () => {
  it(
    'says so at once, with cause, task, key and the command that delivers it once more',
    async () => {
      await world.engine.store.put(REPOSITORIES_KEY, { entries: 'none' }, 'any');
      const { status, json } = await ask('POST', '/tasks', REQUEST);
      const taskId = taskIdFor('local', { key: 'night' });
      const [letter] = (await ask('GET', '/dead-letters')).json as { id: string; taskId: string }[];
      expect(letter?.taskId).toBe(taskId);
      expect({ status, json }).toEqual({
        status: 502,
        json: {
          error: {
            code: 'given_up',
            message: expect.stringContaining(
              `The rule accept-task has given up the request for task ${taskId} (idempotency key "night"): configuration_corrupt: `,
            ),
            remedy: expect.stringMatching(new RegExp(`baton repo set.*baton redrive ${letter?.id}$`)),
          },
        },
      });
      // Once it is mended, the same request under the same key is a new one.
      await world.engine.store.delete(REPOSITORIES_KEY);
      expect(await ask('POST', '/tasks', REQUEST)).toMatchObject({ status: 200, json: { taskId } });
    },
    AT_ONCE_MS,
  );
});

describe('a configuration that is refused', () => {
  it(
    'says why, at once',
    async () => {
      const entry = {
        name: '/srv/large',
        config: {},
        setAt: '2026-01-01T00:00:00.000Z',
        setBy: 'x',
        pad: 'x'.repeat(360_000),
      };
      await world.engine.store.put(REPOSITORIES_KEY, { entries: [entry] }, 'any');
      expect(await ask('PUT', `/repositories/${encodeURIComponent('/srv/app')}`, { limit: 2 })).toMatchObject({
        status: 400,
        json: {
          error: { code: 'bad_input', message: expect.stringContaining('"/srv/app": there is no room for another') },
        },
      });
    },
    AT_ONCE_MS,
  );
});

describe('the task of a letter', () => {
  const request = (data: object, more = {}): Envelope => ({
    ...anEvent({ type: 'TaskRequested', data }),
    ...more,
  });

  it('is the one that the request asks for', () => {
    expect(taskIn(request({ idempotencyKey: 'k', userId: 'ada' }))).toEqual({ taskId: taskIdFor('ada', { key: 'k' }) });
    expect(taskIn(request({ idempotencyKey: 'k', userId: 'ada' }, { source: 'baton.request.bob' }))).toEqual({
      taskId: taskIdFor('bob', { key: 'k' }),
    });
    expect(taskIn(request({}, { detail: {}, id: 'e1' }))).toEqual({ taskId: taskIdFor('local', { eventId: 'e1' }) });
  });

  it('is not made up for what somebody else says', () => {
    expect(taskIn(request({}, { source: 'elsewhere', detail: {} }))).toEqual({});
  });
});
