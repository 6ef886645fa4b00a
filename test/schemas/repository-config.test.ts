import { describe, expect, it } from '@jest/globals';
import {
  CONFIGURATIONS_MAX_BYTES,
  entryFor,
  entryIn,
  plainName,
  repositoriesRecord,
  repositoryConfig,
  repositoryName,
  repositoryOfSlotKey,
  repositoryView,
  slotKeyOfRepository,
  USERS_MAX,
  userTermsIn,
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

  // Whoever tries every way through it is not done in years: seconds are for a busy machine.
  it('is found soon, whatever the pattern', () => {
    const pattern = `${'*a'.repeat(120)}b`;
    const startedMs = performance.now();
    expect(entryFor('a'.repeat(1_024), entries(pattern))).toBeUndefined();
    expect(performance.now() - startedMs).toBeLessThan(10_000);
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

describe('what a configuration says of users', () => {
  const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:team/repository/npm-AbCdEf';
  const complaintsOf = (config: unknown) =>
    (repositoryConfig.safeParse(config).error?.issues ?? []).map(
      ({ path, message }) => `${path.join('.')}: ${message}`,
    );
  const people = (count: number, secrets: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_none, n) => [
        `user-${n}@example.com`,
        {
          size: { cpu: 2048, memory: 4096 },
          fileSystem: { id: 'fs-0123456789abcdef0', accessPoint: 'fsap-0123456789abcdef0' },
          secrets: Object.fromEntries(Array.from({ length: secrets }, (_, one) => [`SECRET_${one}`, ARN])),
        },
      ]),
    );

  it('goes with isolation per user, and neither goes without the other', () => {
    expect(complaintsOf({ isolation: 'per-user', users: { ada: {} } })).toEqual([]);
    expect(complaintsOf({ isolation: 'per-user' })).toEqual([
      'users: is missing: where isolation is per-user, it says what each user gets, or "*" for whoever is not named',
    ]);
    for (const isolation of ['shared', undefined]) {
      expect(complaintsOf({ isolation, users: { ada: {} } })).toEqual([
        'users: says what each user gets, which counts only where isolation is per-user: set that, or take users away',
      ]);
    }
  });

  it('has room for as many users as it may name, each with some secrets, five times in one deployment', () => {
    const config = { isolation: 'per-user', users: people(USERS_MAX, 8) };
    expect(complaintsOf(config)).toEqual([]);
    const five = Array.from({ length: 5 }, (_none, n) => ({ ...entries(`/srv/${n}`)[0], config }));
    expect(JSON.stringify({ entries: five }).length).toBeLessThan(CONFIGURATIONS_MAX_BYTES);
  });

  it('is bounded in users and in bytes', () => {
    expect(complaintsOf({ isolation: 'per-user', users: people(USERS_MAX + 1, 0) })).toEqual([
      'users: names more than 50 users',
    ]);
    expect(complaintsOf({ isolation: 'per-user', users: people(USERS_MAX, 16) })).toEqual([
      'users: is larger than 65536 bytes',
    ]);
  });

  it('is what their name says, else what "*" says, else nothing', () => {
    const [ada, all] = [{ size: { cpu: 2048, memory: 4096 } }, { secrets: { KEY: ARN } }];
    expect(userTermsIn({ users: { ada, '*': all } }, 'ada')).toBe(ada);
    expect(userTermsIn({ users: { ada, '*': all } }, 'bob')).toBe(all);
    expect([userTermsIn({ users: { ada } }, 'bob'), userTermsIn({}, 'ada')]).toEqual([undefined, undefined]);
    // A user may have the name of what every object has.
    expect(userTermsIn({ users: { '*': all } }, 'constructor')).toBe(all);
    expect(userTermsIn({ users: { ada } }, 'toString')).toBeUndefined();
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
