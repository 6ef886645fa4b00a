import { describe, expect, it } from '@jest/globals';
import {
  entryFor,
  entryIn,
  plainName,
  repositoriesRecord,
  repositoryConfig,
  repositoryName,
  repositoryOfSlotKey,
  repositoryView,
  slotKeyOfRepository,
} from '../../schemas/repository-config.ts';
import { at } from '../builders.ts';

const entries = (...names: string[]) => names.map((name) => ({ name, config: {}, setAt: at(0), setBy: 'x' }));

describe('the configuration that holds for a repository', () => {
  it.each([
    ['the one of its name', '/srv/app', ['/srv/*', '/srv/app'], '/srv/app'],
    ['the one of its name, however git would write it', 'https://h/a/b.git', ['https://h/a/b/', '*'], 'https://h/a/b/'],
    ['a pattern that fits', '/srv/app', ['/opt/*', '/srv/*'], '/srv/*'],
    ['the pattern that names most', '/srv/team/app', ['*', '/srv/*', '/srv/team/*', '/*/app'], '/srv/team/*'],
    ['of two that name as much, the first by name', '/srv/ab', ['/srv/b*', '/srv/a*', '*srv/a*'], '/srv/a*'],
    ['a pattern with several stars', 'https://h/a/web-app', ['https://*/a/*-app'], 'https://*/a/*-app'],
    ['none when only a part fits', '/srv/app/inner', ['/srv/app', '/srv/*/app'], undefined],
    ['none when the stars would have to overlap', '/a/b', ['/a/*/b'], undefined],
    ['none for letters of another case', '/srv/App', ['/srv/app'], undefined],
    ['none without one', '/srv/app', [], undefined],
  ])('is %s', (_what, repository, names, holds) => {
    expect(entryFor(repository, entries(...names))?.name).toBe(holds);
    expect(entryFor(repository, entries(...[...names].reverse()))?.name).toBe(holds);
  });

  it('is found in no time, whatever the pattern', () => {
    const pattern = `${'*a'.repeat(120)}b`;
    const startedMs = performance.now();
    expect(entryFor('a'.repeat(1_024), entries(pattern))).toBeUndefined();
    expect(performance.now() - startedMs).toBeLessThan(500);
  });
});

describe('the name of a configuration', () => {
  it.each(['/srv/app', '/srv/*', '*', '*/app', 'https://github.com/acme/*', 'git@github.com:acme/app', 'C:\\app'])(
    'may be %s',
    (name) => {
      expect(repositoryName.parse(` ${name} `)).toBe(name);
    },
  );

  it.each([
    ['https://h/a/app.git', 'https://h/a/app'],
    ['https://h/a/app/', 'https://h/a/app'],
    ['/srv/app/.git', '/srv/app'],
    ['/srv/app.git//', '/srv/app'],
    ['https://h/a/*.git', 'https://h/a/*'],
    ['/', '/'],
    ['.git.git', '.git.git'],
  ])('is the plain one: %s is %s', (given, plain) => {
    expect(plainName(given)).toBe(plain);
    expect(plainName(plain)).toBe(plain);
    expect(repositoryName.safeParse(given).data ?? plain).toBe(plain);
  });

  it('is the same in the key of its slots', () => {
    expect(slotKeyOfRepository('/srv/app.git')).toBe('repository:/srv/app');
    expect(repositoryOfSlotKey('repository:/srv/app.git')).toBe('/srv/app');
  });

  it.each([
    '',
    'acme/app',
    './app',
    '-app',
    'https://h/a b',
    'https://h/a#b',
    'https://me:pw@h/a',
    `/${'x'.repeat(256)}`,
  ])('may not be %p', (name) => {
    expect(repositoryName.safeParse(name).success).toBe(false);
  });
});

describe('a configuration', () => {
  it('may say nothing at all', () => {
    expect(repositoryConfig.parse({})).toEqual({});
  });

  it('that is misspelt is refused, so that nothing is lost without a word', () => {
    expect(repositoryConfig.safeParse({ limt: 3 }).success).toBe(false);
  });
});

// F25
describe('an entry that was stored', () => {
  const stored = { name: '/srv/app', config: { limit: 2, colour: 'red' }, setAt: at(0), setBy: 'x', reviewedBy: 'ada' };

  it('is told as it is, with what this version does not know', () => {
    expect(entryIn(stored)).toEqual(stored);
    expect(repositoriesRecord.parse({ entries: [stored] }).entries).toEqual([stored]);
  });

  it.each<[string, unknown, unknown]>([
    ['name', { ...stored, name: '/srv/an app' }, { name: '/srv/an app' }],
    ['name', { ...stored, name: 7 }, { name: '' }],
    ['setAt', { ...stored, setAt: 'yesterday' }, { setAt: '' }],
    ['setBy', { ...stored, setBy: undefined }, { setBy: '' }],
    ['config.priority', { ...stored, config: { limit: 2, priority: 99 } }, { config: { limit: 2 } }],
    ['config.limit', { ...stored, config: { limit: 'two' } }, { config: {} }],
    ['config', { ...stored, config: null }, { config: {} }],
    ['Invalid input', null, { name: '', config: {} }],
    ['Invalid input', 'a text', { name: '' }],
  ])('is told with what can be read of it when %s cannot', (field, odd, told) => {
    const entry = entryIn(odd);
    expect(entry).toMatchObject(told as object);
    expect(entry.unreadable).toMatch(new RegExp(`^${field}: `));
    expect(repositoryView.parse(JSON.parse(JSON.stringify(entry)))).toEqual(entry);
  });
});
