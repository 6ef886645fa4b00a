import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openWorld, type World } from '../../../runtime/embedded-world.ts';
import { repositoryDesk } from '../../../runtime/endpoint/repository-desk.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { REPOSITORIES_KEY } from '../../../runtime/records.ts';
import { configurationsOver } from '../../../runtime/repositories.ts';
import type { BatonEvent } from '../../../schemas/envelope.ts';
import { CONFIGURATIONS_MAX } from '../../../schemas/repository-config.ts';
import { putAway, sceneFolder } from '../../scene-folder.ts';

const APP = 'https://git.example/team/app';
const TEAM = 'https://git.example/team/*';

let folder: string;
let world: World;
beforeAll(async () => {
  folder = sceneFolder();
  world = await openWorld({ dataDir: join(folder, 'data') });
});
afterAll(async () => {
  await world.close();
  await putAway(folder);
});

async function ask(method: string, name?: string, json?: unknown) {
  const path = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  const answer = await fetch(`${world.url}/baton/v1/repositories${path}`, {
    method,
    ...(json === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(json) }),
  });
  return { status: answer.status, allow: answer.headers.get('allow'), json: (await answer.json()) as never };
}

describe('configuring a repository', () => {
  it('answers with what holds, once it is stored, and shows it for every address that it holds for', async () => {
    expect((await ask('GET')).json).toEqual([]);
    const told = await ask('PUT', TEAM, { limit: 2 });
    const entry = { name: TEAM, config: { limit: 2 }, setAt: expect.any(String), setBy: expect.any(String) };
    expect(told).toMatchObject({ status: 200, json: { name: TEAM, entry } });
    expect((await ask('GET')).json).toEqual([entry]);
    expect((await ask('GET', TEAM)).json).toEqual(entry);
    expect((await ask('GET', `${APP}.git`)).json).toEqual(entry);
  });

  it('replaces the whole configuration', async () => {
    await ask('PUT', TEAM, { limit: 2, priority: 4 });
    expect((await ask('PUT', TEAM, { attempts: 5 })).json).toMatchObject({ entry: { config: { attempts: 5 } } });
    expect((await ask('GET', TEAM)).json).toMatchObject({ config: { attempts: 5 } });
  });

  it('warns of what is not deployed, and stores it all the same', async () => {
    const { status, json } = await ask('PUT', '/srv/own', { fleet: 'builders' });
    expect(status).toBe(200);
    expect(json).toMatchObject({ entry: { warning: expect.stringContaining('"ecs" has no fleets') } });
  });

  it('is undone by removing it', async () => {
    await ask('PUT', '/srv/gone', { limit: 2 });
    expect(await ask('DELETE', '/srv/gone')).toMatchObject({ status: 200, json: { name: '/srv/gone', entry: null } });
    expect(await ask('GET', '/srv/gone')).toMatchObject({
      status: 404,
      json: { error: { code: 'unknown_repository' } },
    });
    expect(await ask('DELETE', '/srv/gone')).toMatchObject({ status: 404 });
  });

  it.each([
    [{ limit: 0 }, /the configuration: limit: /],
    [{ limit: '2' }, /limit: /],
    [{ compute: 'moon' }, /compute: .*"ecs"/],
    [{ limt: 2 }, /Unrecognized key: "limt"/],
    [{ environment: { NPM_TOKEN: 'npm_secret' } }, /environment\.NPM_TOKEN: is no reference: write variable:/],
    [{ environment: { AWS_PROFILE: 'variable:X' } }, /AWS_PROFILE/],
    [{ subscribers: [{ channel: 'webhook', target: 'ftp://example.com' }] }, /subscribers\.0\.target: /],
    [[], /the configuration: /],
  ])('with %j is refused, and the field is named', async (config, says) => {
    const { status, json } = await ask('PUT', APP, config);
    expect(status).toBe(400);
    expect(json).toMatchObject({ error: { code: 'bad_input', message: expect.stringMatching(says) } });
  });

  it.each([
    ['team/app', /is neither an absolute path nor an address/],
    ['https://me:token@git.example/app', /holds credentials/],
    ['-x', /begins with "-"/],
    ['https://git.example/a b', /has a space/],
  ])('of the name %s is refused', async (name, says) => {
    const { status, json } = await ask('PUT', name, { limit: 2 });
    expect(status).toBe(400);
    expect(json).toMatchObject({ error: { message: expect.stringMatching(says) } });
  });

  it('takes the methods that it names', async () => {
    expect(await ask('POST', APP, {})).toMatchObject({ status: 405, allow: 'GET, PUT, DELETE' });
  });

  it('shows nobody who listens the address of a subscriber', async () => {
    const controller = new AbortController();
    const stream = await fetch(`${world.url}/baton/v1/events`, { signal: controller.signal });
    const reader = stream.body?.getReader();
    await reader?.read();
    await ask('PUT', '/srv/told', { subscribers: [{ channel: 'webhook', target: 'https://example.com/secret-path' }] });
    let heard = '';
    while (!heard.includes('RepositoryConfigured')) heard += new TextDecoder().decode((await reader?.read())?.value);
    controller.abort();
    expect(heard).toContain('RepositoryConfigRequested');
    expect(heard).not.toContain('secret-path');
  });
});

describe('the desk of configurations', () => {
  function aDesk() {
    const store = memoryStore();
    const configurations = configurationsOver({ store });
    let hear: (event: BatonEvent) => Promise<unknown> = async () => undefined;
    const bus = { publish: async (events: readonly unknown[]) => void (await hear(events[0] as BatonEvent)) };
    const desk = repositoryDesk({ store, bus });
    const on = (handler: typeof hear): void => {
      hear = handler;
    };
    return { store, configurations, desk, on };
  }

  it('says when somebody else was later, and what holds then', async () => {
    const { configurations, desk, on } = aDesk();
    on(async () =>
      configurations.set(APP, { limit: 9 }, { id: 'theirs', at: new Date(Date.now() + 1_000).toISOString() }),
    );
    expect(await desk.set(APP, { limit: 2 })).toMatchObject({ superseded: true, entry: { config: { limit: 9 } } });
  });

  it('says at once when there is no room for another', async () => {
    const { store, desk } = aDesk();
    const entries = Array.from({ length: CONFIGURATIONS_MAX }, (_, n) => ({
      name: `/srv/${n}`,
      config: {},
      setAt: '2026-01-01T00:00:00.000Z',
      setBy: 'x',
    }));
    await store.put(REPOSITORIES_KEY, { entries }, 'any');
    await expect(desk.set(APP, { limit: 2 })).rejects.toMatchObject({
      code: 'bad_input',
      remedy: expect.stringContaining('pattern'),
    });
  });
});
