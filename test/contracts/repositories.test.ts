import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Configurations, RecordStore, Repositories } from '../../runtime/ports.ts';
import { REPOSITORIES_KEY } from '../../runtime/records.ts';
import { configurationsOver, limitsOver, repositoriesOver } from '../../runtime/repositories.ts';
import {
  CONFIGURATIONS_MAX,
  CONFIGURATIONS_MAX_BYTES,
  REMOVALS_MAX,
  type RepositoryConfig,
} from '../../schemas/repository-config.ts';
import { at } from '../builders.ts';
import { onEveryStore } from './stores.ts';

const APP = 'https://git.example/team/app';
const TEAM = 'https://git.example/team/*';
const by = (id: string, seconds = 0) => ({ id, at: at(seconds) });

onEveryStore((present) => {
  let repositories: Repositories & Configurations;
  const over = (store: RecordStore) => ({ ...repositoriesOver({ store }), ...configurationsOver({ store }) });
  beforeEach(() => {
    repositories = over(present.store);
  });
  const names = async () => (await repositories.list()).map(({ name }) => name);
  const set = (name: string, config: RepositoryConfig | null, id: string, seconds = 0) =>
    repositories.set(name, config, by(id, seconds));

  it('hold nothing at first', async () => {
    expect(await repositories.list()).toEqual([]);
    expect(await repositories.configurationOf(APP)).toBeUndefined();
  });

  it('keep what was set, whole, with who set it and when', async () => {
    const config = {
      limit: 2,
      retryAgentFailure: false,
      environment: { TOKEN: 'variable:TOKEN' },
      subscribers: [{ channel: 'webhook' as const, target: 'https://example.com/hook' }],
      capacity: 'spot' as const,
      isolation: 'per-user' as const,
      users: {
        'ada@example.com': {
          size: { cpu: 2048, memory: 4096 },
          fileSystem: { id: 'fs-0123abcd', accessPoint: 'fsap-0123abcd' },
          secrets: { KEY: 'arn:aws:ssm:us-east-1:000000000000:parameter/key' },
        },
        '*': {},
      },
    };
    expect(await repositories.set(APP, config, { ...by('one'), warning: 'W.' })).toBe('stored');
    const entry = { name: APP, config, setAt: at(0), setBy: 'one', warning: 'W.' };
    expect(await repositories.list()).toEqual([entry]);
    await present.store.durable();
    repositories = over(await present.reopen());
    expect(await repositories.configurationOf(APP)).toEqual(entry);
  });

  it('let the very name win, then the pattern that names most', async () => {
    await set('*', { limit: 1 }, 'all');
    await set(TEAM, { limit: 2 }, 'team');
    const limitOf = async (repository: string) => (await repositories.configurationOf(repository))?.config.limit;
    expect(await limitOf(APP)).toBe(2);
    await set(APP, { limit: 3 }, 'app');
    expect([await limitOf(APP), await limitOf(`${APP}.git`), await limitOf('/srv/other')]).toEqual([3, 3, 1]);
    expect(await names()).toEqual(['*', TEAM, APP].sort());
  });

  it('know a request that was stored', async () => {
    await set(APP, { limit: 1 }, 'one', 1);
    expect(await set(APP, { limit: 1 }, 'one', 1)).toBe('already');
    await set(APP, null, 'two', 2);
    expect(await set(APP, null, 'two', 2)).toBe('already');
  });

  it('follow the order in which people asked, not that of arrival', async () => {
    await set(APP, { limit: 5 }, 'later', 5);
    expect(await set(APP, { limit: 4 }, 'sooner', 4)).toBe('older');
    expect(await set(APP, null, 'sooner still', 3)).toBe('older');
    expect((await repositories.configurationOf(APP))?.config).toEqual({ limit: 5 });
  });

  it('do not bring back what was removed since', async () => {
    await set(APP, { limit: 5 }, 'first', 1);
    await set(APP, null, 'second', 2);
    expect(await set(APP, { limit: 5 }, 'first', 1)).toBe('older');
    expect(await names()).toEqual([]);
    expect(await set(APP, { limit: 6 }, 'third', 3)).toBe('stored');
    expect(await names()).toEqual([APP]);
  });

  it('order two of the same moment the same everywhere', async () => {
    const outcomes = [
      await set(APP, { limit: 1 }, 'a'),
      await set(APP, { limit: 2 }, 'b'),
      await set(APP, { limit: 1 }, 'a'),
    ];
    expect(outcomes).toEqual(['stored', 'stored', 'older']);
  });

  it('lose none of those that are set at once', async () => {
    const each = Array.from({ length: 12 }, (_, n) => `https://git.example/${n}`);
    expect(await Promise.all(each.map((name, n) => set(name, { limit: n + 1 }, name)))).toEqual(
      each.map(() => 'stored'),
    );
    expect((await names()).sort()).toEqual([...each].sort());
  });

  it('end with the latest of those that are set at once for one name', async () => {
    await Promise.all([3, 1, 4, 2].map((n) => set(APP, { limit: n }, `at ${n}`, n)));
    expect((await repositories.configurationOf(APP))?.config).toEqual({ limit: 4 });
  });

  it('have room for so many and say when there is none', async () => {
    const entries = Array.from({ length: CONFIGURATIONS_MAX }, (_, n) => ({
      name: `https://git.example/${n}`,
      config: {},
      setAt: at(0),
      setBy: `${n}`,
    }));
    await present.store.put(REPOSITORIES_KEY, { entries }, 'any');
    expect(await set(APP, { limit: 1 }, 'one', 1)).toBe('full');
    expect(await set('https://git.example/0', { limit: 1 }, 'zero', 1)).toBe('stored');
    expect(await set('https://git.example/1', null, 'one', 1)).toBe('stored');
    expect(await set(APP, { limit: 1 }, 'one', 1)).toBe('stored');
  });

  it('say so when they would become more than a record holds', async () => {
    const large = (n: number) => ({
      name: `https://git.example/${n}/${'z'.repeat(200)}`,
      config: {
        agentCommand: 'x'.repeat(2_000),
        environment: Object.fromEntries(
          Array.from({ length: 20 }, (_, one) => [`NAME_${one}_${'N'.repeat(10)}`, `variable:VALUE_${one}`]),
        ),
        subscribers: [0, 1, 2, 3].map((one) => ({
          channel: 'webhook' as const,
          target: `https://example.com/${one}/${'y'.repeat(200)}`,
        })),
      },
      setAt: at(0),
      setBy: `${n}`,
    });
    const each = Buffer.byteLength(JSON.stringify(large(10))) + 1;
    const most = Math.floor(CONFIGURATIONS_MAX_BYTES / each) - 1;
    expect(most).toBeLessThan(CONFIGURATIONS_MAX - 5);
    await present.store.put(REPOSITORIES_KEY, { entries: Array.from({ length: most }, (_, n) => large(n)) }, 'any');
    const outcomes: string[] = [];
    for (let n = most; outcomes.at(-1) !== 'full' && n < CONFIGURATIONS_MAX; n++)
      outcomes.push(await set(large(n).name, large(n).config, `${n}`, 1));
    expect(outcomes.at(-1)).toBe('full');
    const kept = most + outcomes.length - 1;
    expect(await names()).toHaveLength(kept);
    expect(await set(large(0).name, null, 'removal', 1)).toBe('stored');
    expect(await set(APP, { limit: 1 }, 'small', 1)).toBe('stored');
    expect(await names()).toHaveLength(kept);
  });

  // F25: one version of Baton replaces the other while both read and write the record.
  describe('written by a newer version', () => {
    const newer = {
      entries: [
        {
          name: APP,
          config: { compute: 'quantum', isolation: 'per-galaxy', colour: 'red' },
          setAt: at(0),
          setBy: 'newer',
          reviewedBy: 'ada',
        },
        { name: TEAM, config: { limit: 3 }, setAt: at(0), setBy: 'newer' },
      ],
      generation: 2,
    };

    it('are read: a back end that is not known here is a matter of who asks for it', async () => {
      await present.store.put(REPOSITORIES_KEY, newer, 'any');
      expect((await repositories.configurationOf(APP))?.config).toMatchObject({ compute: 'quantum' });
      expect((await repositories.configurationOf(`${APP}lication`))?.config).toEqual({ limit: 3 });
    });

    it('keep, when this one sets another, what it does not know', async () => {
      await present.store.put(REPOSITORIES_KEY, newer, 'any');
      await set(TEAM, { limit: 4 }, 'older', 1);
      expect((await present.store.get(REPOSITORIES_KEY))?.value).toMatchObject({
        entries: expect.arrayContaining([newer.entries[0]]),
        generation: 2,
      });
    });
  });

  // F25
  describe('of which this version cannot read one', () => {
    const email = { channel: 'email', target: 'ada@example.com', since: 3 };
    const unreadable = {
      name: APP,
      config: { limit: 4, subscribers: [email] },
      setAt: at(0),
      setBy: 'newer',
      by: ['x'],
    };
    const readable = { name: TEAM, config: { limit: 3 }, setAt: at(0), setBy: 'newer' };
    const forgotten = { name: '/srv/gone', at: { epoch: 7 }, by: 'newer' };
    const holds = (...entries: unknown[]) =>
      present.store.put(REPOSITORIES_KEY, { entries, removed: [forgotten] }, 'any');
    const stored = async () => (await present.store.get(REPOSITORIES_KEY))?.value as { entries: unknown[] };

    it('hold for all others, and say of it what is wrong', async () => {
      await holds(unreadable, readable);
      expect(await repositories.configurationOf(`${APP}lication`)).toEqual(readable);
      expect(await repositories.configurationOf(APP)).toEqual({
        name: APP,
        config: { limit: 4 },
        setAt: at(0),
        setBy: 'newer',
        unreadable: expect.stringMatching(/^config\.subscribers\.0\.channel: /),
      });
      expect(await names()).toEqual([APP, TEAM]);
    });

    it.each<[string, unknown, RegExp]>([
      ['another reference', { environment: { TOKEN: 'vault:team/token' } }, /^config\.environment\.TOKEN: /],
      ['a larger number', { timeoutSeconds: 10_000_000 }, /^config\.timeoutSeconds: /],
      ['another form', 'a text', /^config: /],
    ])('for %s', async (_what, config, says) => {
      await holds({ ...unreadable, config }, readable);
      expect((await repositories.configurationOf(APP))?.unreadable).toMatch(says);
      expect(await repositories.configurationOf(`${APP}lication`)).toEqual(readable);
    });

    it('keep it as it came, when others are set and removed', async () => {
      const odd = [unreadable, { team: 'nameless' }, 'a text', null];
      await holds(...odd, readable);
      expect(await set('/srv/own', { limit: 1 }, 'own', 1)).toBe('stored');
      expect(await set(TEAM, null, 'team', 2)).toBe('stored');
      expect(await stored()).toEqual({
        entries: expect.arrayContaining([...odd, expect.objectContaining({ name: '/srv/own' })]),
        removed: [forgotten, { name: TEAM, at: at(2), by: 'team' }],
      });
      expect((await stored()).entries).toHaveLength(5);
    });

    it('have it replaced, and removed, by who asked later', async () => {
      await holds(unreadable, readable);
      expect(await set(APP, { limit: 1 }, 'sooner', -1)).toBe('older');
      expect(await set(APP, { limit: 1 }, 'later', 1)).toBe('stored');
      expect(await repositories.configurationOf(APP)).toMatchObject({ config: { limit: 1 }, setBy: 'later' });
      await holds({ ...unreadable, setAt: 'long ago' }, readable);
      expect(await set(APP, null, 'later', 1)).toBe('stored');
      expect(await names()).toEqual([TEAM]);
    });

    it('give it the limit that can be read, else the usual one', async () => {
      const limitOf = limitsOver(repositories, () => 7);
      await holds(unreadable, readable);
      expect([await limitOf(`repository:${APP}`), await limitOf(`repository:${TEAM}`)]).toEqual([4, 3]);
      await holds({ ...unreadable, config: { limit: 100_000 } }, readable);
      expect([await limitOf(`repository:${APP}`), await limitOf(`repository:${TEAM}`)]).toEqual([7, 3]);
    });
  });

  // F25
  it('of a version that allows more of them are all kept, and give no room for another', async () => {
    const entries = Array.from({ length: CONFIGURATIONS_MAX + 20 }, (_, n) => ({
      name: `https://git.example/${n}`,
      config: {},
      setAt: at(0),
      setBy: `${n}`,
    }));
    const removed = Array.from({ length: REMOVALS_MAX + 20 }, (_, n) => ({ name: `/srv/${n}`, at: at(9), by: `${n}` }));
    await present.store.put(REPOSITORIES_KEY, { entries, removed }, 'any');
    expect(await set(APP, { limit: 1 }, 'one', 1)).toBe('full');
    expect(await set('https://git.example/0', { limit: 1 }, 'zero', 1)).toBe('stored');
    expect(await names()).toHaveLength(CONFIGURATIONS_MAX + 20);
    expect(await set('/srv/0', { limit: 1 }, 'late', 1)).toBe('older');
  });

  it.each<[string, unknown]>([
    ['a text', 'entries'],
    ['entries of another form', { entries: { [APP]: { limit: 2 } } }],
    ['no entries', {}],
  ])('whose record has %s are an error', async (_what, value) => {
    await present.store.put(REPOSITORIES_KEY, value, 'any');
    const corrupt = { code: 'configuration_corrupt', message: expect.stringContaining('no list of entries') };
    await expect(repositories.configurationOf(APP)).rejects.toMatchObject(corrupt);
    await expect(set(APP, { limit: 2 }, 'one')).rejects.toMatchObject(corrupt);
    expect((await present.store.get(REPOSITORIES_KEY))?.value).toEqual(value);
  });

  it('tell a change as made of which only the answer was lost, when another wrote since', async () => {
    let first = true;
    const forgetful = configurationsOver({
      store: {
        get: (key) => present.store.get(key),
        put: async (...words) => {
          const written = await present.store.put(...words);
          if (!first) return written;
          first = false;
          await set(TEAM, { limit: 9 }, 'theirs', 1);
          return { outcome: 'conflict', current: await present.store.get(words[0]), unsure: true };
        },
      },
    });
    expect(await forgetful.set(APP, { limit: 2 }, by('ours'))).toBe('stored');
    expect(await forgetful.set(APP, { limit: 2 }, by('ours'))).toBe('already');
    expect(await names()).toEqual([TEAM, APP].sort());
  });

  describe('of one repository, however its address is written', () => {
    it.each([`${APP}.git`, `${APP}/`, `${APP}.git/`, APP])('are one: %s', async (address) => {
      await set(address, { limit: 2 }, 'one', 1);
      expect(await names()).toEqual([APP]);
      const limitOf = limitsOver(repositories, () => 7);
      expect([await limitOf(`repository:${address}`), await limitOf(`repository:${APP}`)]).toEqual([2, 2]);
      expect(await set(`${APP}.git`, { limit: 3 }, 'two', 2)).toBe('stored');
      expect(await repositories.list()).toMatchObject([{ name: APP, config: { limit: 3 } }]);
      expect(await set(`${APP}/`, null, 'three', 3)).toBe('stored');
      expect(await names()).toEqual([]);
      expect(await set(APP, { limit: 3 }, 'two', 2)).toBe('older');
    });

    it('are found, replaced and removed where they were stored as they were written', async () => {
      const entry = (name: string, seconds: number) => ({ name, config: { limit: 5 }, setAt: at(seconds), setBy: 'x' });
      const old = { entries: [entry(`${APP}.git`, 3)], removed: [{ name: '/srv/gone.git', at: at(3), by: 'y' }] };
      await present.store.put(REPOSITORIES_KEY, old, 'any');
      const limitOf = limitsOver(repositories, () => 7);
      expect([await limitOf(`repository:${APP}.git`), await limitOf(`repository:${APP}`)]).toEqual([5, 5]);
      expect(await names()).toEqual([APP]);
      expect(await set('/srv/gone', { limit: 1 }, 'late', 2)).toBe('older');
      expect(await set(APP, { limit: 6 }, 'late', 2)).toBe('older');
      expect(await set(APP, { limit: 6 }, 'later', 4)).toBe('stored');
      expect(await repositories.list()).toMatchObject([{ name: APP, config: { limit: 6 } }]);
      await present.store.put(REPOSITORIES_KEY, { entries: [entry(`${APP}/`, 0), entry(APP, 0)] }, 'any');
      expect(await set(APP, null, 'removal', 5)).toBe('stored');
      expect(await names()).toEqual([]);
    });
  });

  describe('the limit of a slot key', () => {
    it('is that of its repository, read at each use, else the usual one', async () => {
      const limitOf = limitsOver(repositories, () => 7);
      const limits = async () => [await limitOf(`repository:${APP}`), await limitOf('user:ada')];
      expect(await limits()).toEqual([7, 7]);
      await set(APP, { limit: 2 }, 'one', 1);
      expect(await limits()).toEqual([2, 7]);
      await set(APP, { priority: 2 }, 'two', 2);
      expect(await limits()).toEqual([7, 7]);
    });
  });
});
