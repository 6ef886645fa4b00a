import { describe, expect, it } from '@jest/globals';
import { entryFor, repositoryConfig, repositoryName } from '../../schemas/repository-config.ts';
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
  it.each(['/srv/app', '/srv/*', '*', '*/app', 'https://github.com/acme/*', 'git@github.com:acme/app.git', 'C:\\app'])(
    'may be %s',
    (name) => {
      expect(repositoryName.parse(` ${name} `)).toBe(name);
    },
  );

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
