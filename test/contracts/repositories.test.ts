import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Repositories } from '../../runtime/ports.ts';
import { REPOSITORIES_KEY } from '../../runtime/records.ts';
import { limitsOver, repositoriesOver } from '../../runtime/repositories.ts';
import {
  CONFIGURATIONS_MAX,
  CONFIGURATIONS_MAX_BYTES,
  type RepositoryConfig,
} from '../../schemas/repository-config.ts';
import { at } from '../builders.ts';
import { onEveryStore } from './stores.ts';

const APP = 'https://git.example/team/app';
const TEAM = 'https://git.example/team/*';
const by = (id: string, seconds = 0) => ({ id, at: at(seconds) });

onEveryStore((present) => {
  let repositories: Repositories;
  beforeEach(() => {
    repositories = repositoriesOver({ store: present.store });
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
    };
    expect(await repositories.set(APP, config, { ...by('one'), warning: 'W.' })).toBe('stored');
    const entry = { name: APP, config, setAt: at(0), setBy: 'one', warning: 'W.' };
    expect(await repositories.list()).toEqual([entry]);
    await present.store.durable();
    repositories = repositoriesOver({ store: await present.reopen() });
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

  it('that do not fit their schema are an error which names the field', async () => {
    const entries = [{ name: APP, config: { limit: 'two' }, setAt: at(0), setBy: 'x' }];
    await present.store.put(REPOSITORIES_KEY, { entries }, 'any');
    await expect(repositories.configurationOf(APP)).rejects.toMatchObject({
      code: 'configuration_corrupt',
      message: expect.stringContaining('entries.0.config.limit'),
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
