import { setTimeout as sleep } from 'node:timers/promises';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { type DeadLetterView, deadLetterView, redriven } from '../../schemas/world-api.ts';
import { type CliScene, openCliScene, type Running } from './scene.ts';

/** Letters of the world that is killed: more than it redrives within the moment that it has left. */
const LETTERS = 60;

/** Four starts of a world on a busy machine, in milliseconds. */
const STORY_MAX_MS = 240_000;

let scene: CliScene;
let world: Running;
let url: string;
beforeEach(async () => {
  scene = openCliScene('baton-redrive-');
  await open();
});
afterEach(async () => {
  world.kill('SIGKILL');
  await world.ended;
  await scene.close();
});

async function open(): Promise<void> {
  world = scene.start(['dev', '--port', '0', '--data', 'data']);
  await world.says(/http:\/\/127\.0\.0\.1:\d+/);
  url = /http:\/\/127\.0\.0\.1:\d+/.exec(world.stdout())?.[0] ?? '';
}

/** Requests that nobody can handle, as any producer with an SDK may send them. */
async function poison(count: number): Promise<void> {
  const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
  const client = new EventBridgeClient({ endpoint: url, region: 'local', credentials });
  for (let sent = 0; sent < count; sent += 10) {
    const Entries = Array.from({ length: Math.min(10, count - sent) }, () => ({
      EventBusName: 'baton',
      Source: 'baton.request',
      DetailType: 'TaskCancelRequested',
      Detail: JSON.stringify({ data: { taskId: 7 } }),
    }));
    const { FailedEntryCount } = await client.send(new PutEventsCommand({ Entries }));
    expect(FailedEntryCount).toBe(0);
  }
  client.destroy();
}

async function letters(): Promise<DeadLetterView[]> {
  return z.array(deadLetterView).parse(await (await fetch(`${url}/baton/v1/dead-letters?limit=100`)).json());
}

/** All of them, once they are all there. */
async function lettersOnce(count: number): Promise<DeadLetterView[]> {
  for (;;) {
    const found = await letters();
    if (found.length >= count) return found;
    await sleep(20);
  }
}

describe('baton redrive', () => {
  it(
    'lists what was given up with cause, age and remedy, and says what became of what is redriven',
    async () => {
      expect((await scene.run(['redrive', '--data', 'data'])).stdout).toMatch(/^No dead letters in the world at http/);
      await poison(2);
      const [letter] = await lettersOnce(2);
      const { stdout } = await scene.run(['redrive', '--data', 'data']);
      expect(stdout).toMatch(/^ID +RULE +EVENT +TASK +TRIES +GIVEN UP +CAUSE$/m);
      expect(stdout).toMatch(/ cancel-task +TaskCancelRequested +1 +\d\S* \S+ ago +malformed_event: /);
      expect(stdout).toContain('malformed_event: Mend the producer');
      const one = await scene.run(['redrive', letter?.id ?? '', '--data', 'data']);
      expect(one.code).toBe(1);
      expect(one.stdout).toMatch(/^\S+ {2}cancel-task {2}failed again, and is kept: malformed_event: .*\n$/);
      const all = await scene.run(['redrive', '--all', '--rule', 'cancel-task', '--data', 'data', '--json']);
      expect(z.array(redriven).parse(JSON.parse(all.stdout))).toHaveLength(2);
      expect((await scene.run(['redrive', '--all', '--rule', 'wake-task', '--data', 'data'])).stdout).toMatch(
        /^No dead letters of wake-task/,
      );
    },
    STORY_MAX_MS,
  );

  it.each([
    [['nothing'], 'there is no dead letter nothing'],
    [['nothing', '--all'], 'it excludes ids'],
    [['--rule', 'wake-tsk'], 'Give one of accept-task'],
  ])('refuses %s', async (words, told) => {
    const { code, stderr } = await scene.run(['redrive', ...words, '--data', 'data']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(told) });
  });
});

describe('a world that is killed while it redrives', () => {
  it(
    'has lost no letter, and made none twice',
    async () => {
      await poison(LETTERS);
      const before = (await lettersOnce(LETTERS)).map(({ id, event }) => `${id} ${event.id}`).sort();
      expect(new Set(before).size).toBe(LETTERS);
      // Each round dies a little later in it.
      for (const ms of [0, 5, 20]) {
        const asked = fetch(`${url}/baton/v1/dead-letters/redrive`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ all: true }),
        }).catch(() => undefined);
        await sleep(ms);
        world.kill('SIGKILL');
        await Promise.all([asked, world.ended]);
        await open();
        expect((await letters()).map(({ id, event }) => `${id} ${event.id}`).sort()).toEqual(before);
      }
    },
    STORY_MAX_MS,
  );
});
