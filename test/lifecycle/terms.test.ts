import { describe, expect, it } from '@jest/globals';
import { type Deployment, refusalOf, termsOf, unmetOf } from '../../lifecycle/terms.ts';
import type { Capacity, Compute, Isolation } from '../../schemas/compute.ts';
import { entryFor, type RepositoryConfig, type RepositoryEntry } from '../../schemas/repository-config.ts';
import type { TaskRequest } from '../../schemas/task-request.ts';
import { at } from '../builders.ts';

const deployment: Deployment = {
  computes: ['ecs'],
  fleets: ['main'],
  defaultAgentCommand: 'agent-of-the-deployment',
  agentCommandAllowed: true,
  timings: { TIMEOUT_DEFAULT_S: 3_600 },
};
const request = (fields: Partial<TaskRequest> = {}): TaskRequest => ({
  repository: 'https://example.org/app',
  prompt: 'Mend it.',
  ...fields,
});
const entry = (config: RepositoryConfig, name = 'https://example.org/app'): RepositoryEntry => ({
  name,
  config,
  setAt: at(0),
  setBy: 'request-1',
});
const nobody = { userId: 'local', requester: undefined };
const elsewhere = 'moon' as unknown as Compute;
// What a newer version of Baton may have stored.
const perMachine = 'per-machine' as unknown as Isolation;
const reserved = 'reserved' as unknown as Capacity;

describe('the terms of a task', () => {
  it('are those of the deployment where nobody says otherwise', () => {
    expect(termsOf(request(), undefined, deployment)).toEqual({
      compute: 'ecs',
      agentCommand: 'agent-of-the-deployment',
      timeoutSeconds: 3_600,
      attempts: 3,
      priority: 0,
    });
  });

  it('are those of the repository where the request says nothing', () => {
    const config = { agentCommand: 'own-agent', timeoutSeconds: 60, attempts: 5, priority: 7, retryAgentFailure: true };
    expect(termsOf(request(), entry(config), deployment)).toEqual({
      compute: 'ecs',
      ...config,
      configuration: 'https://example.org/app',
    });
  });

  it('are those of the request before all others', () => {
    const config = { agentCommand: 'own-agent', timeoutSeconds: 60, attempts: 5, priority: 7, retryAgentFailure: true };
    const asked = { agentCommand: 'mine', timeoutSeconds: 10, attempts: 1, priority: 0, retryAgentFailure: false };
    expect(termsOf(request(asked), entry(config), deployment)).toMatchObject(asked);
  });

  it('keep isolation and capacity, and nothing of what a user gets: that is looked up when a run starts', () => {
    const config = { isolation: 'per-user', capacity: 'spot-first', users: { ada: {} } } as const;
    const { users: _read, ...kept } = config;
    const terms = termsOf(request(), entry(config), deployment);
    expect(terms).toMatchObject(kept);
    expect(terms).not.toHaveProperty('users');
  });

  it('count the task for its repository where that has a limit, under the name of the configuration', () => {
    const pattern = 'https://example.org/*';
    expect(termsOf(request(), entry({ limit: 2 }, pattern), deployment).slotKey).toBe(`repository:${pattern}`);
    expect(termsOf(request(), entry({}), deployment).slotKey).toBeUndefined();
  });
});

describe('a task on a fleet', () => {
  const withFleets = { ...deployment, computes: ['ec2'] as const, fleets: ['main', 'big'] };

  it('waits for a worker of its fleet, whoever asks', () => {
    expect(termsOf(request(), undefined, withFleets).slotKey).toBe('fleet:main');
    expect(termsOf(request(), entry({ fleet: 'big' }), withFleets).slotKey).toBe('fleet:big');
    expect(refusalOf(request(), entry({ fleet: 'big' }), withFleets, nobody)).toBeUndefined();
  });

  it('that the deployment does not have is refused by name', () => {
    expect(refusalOf(request(), entry({ fleet: 'huge' }), withFleets, nobody)).toBe(
      'fleet: this deployment has no fleet "huge" (the configuration "https://example.org/app" says so); it has main, big',
    );
    const others = { ...withFleets, fleets: ['big'] };
    expect(refusalOf(request(), undefined, others, nobody)).toBe(
      'fleet: this deployment has no fleet "main"; it has big',
    );
    expect(unmetOf(entry({ fleet: 'huge' }), withFleets)).toMatch(/no fleet "huge"/);
    // Of a back end without fleets nobody asks for one.
    expect(refusalOf(request({ compute: 'ecs' }), undefined, { ...deployment, fleets: [] }, nobody)).toBeUndefined();
  });

  it('cannot wait for its repository as well', () => {
    expect(refusalOf(request(), entry({ fleet: 'big', limit: 2 }), withFleets, nobody)).toMatch(
      /^limit: tasks on "ec2" wait for the workers of their fleet/,
    );
  });
});

describe('a request is refused', () => {
  it.each([
    [
      'for a back end that it names and nobody deployed',
      request({ compute: elsewhere }),
      undefined,
      /no "moon"; it has ecs/,
    ],
    [
      'for one that its repository is configured for',
      request(),
      entry({ compute: elsewhere }),
      /no "moon" \(the configuration "https:\/\/example.org\/app" says so\); it has ecs/,
    ],
    [
      'for an isolation that its back end does not offer',
      request(),
      entry({ isolation: perMachine }),
      /^isolation: "ecs" offers shared, per-user, not "per-machine" \(the configuration "https:\/\/example.org\/app" says so\)$/,
    ],
    [
      'for a capacity that its back end does not offer',
      request(),
      entry({ capacity: reserved }),
      /^capacity: "ecs" offers on-demand, spot, spot-first, not "reserved" \(the configuration "https:\/\/example.org\/app" says so\)$/,
    ],
    ['for a fleet where there are none', request(), entry({ fleet: 'big' }), /no fleets, and so none named "big"/],
  ] as const)('%s', (_, asked, configured, sentence) => {
    expect(refusalOf(asked, configured, deployment, nobody)).toMatch(sentence);
  });

  it('not for what the back end has', () => {
    expect(refusalOf(request(), entry({ compute: 'ecs', isolation: 'shared' }), deployment, nobody)).toBeUndefined();
  });

  const ofAda = entry({ isolation: 'per-user', users: { ada: {} } });
  const ofAll = entry({ isolation: 'per-user', users: { ada: {}, '*': {} } });
  // A version that did not know users has stored such a configuration.
  const ofNobody = entry({ isolation: 'per-user' });

  it.each([
    ['where others are named', 'bob', ofAda],
    ['whose name is that of a property of every object', 'constructor', ofAda],
    ['where nobody is named', 'local', ofNobody],
  ])('for a user who is not named, where users are isolated: %s', (_, userId, configured) => {
    expect(refusalOf(request(), configured, deployment, { userId, requester: undefined })).toBe(
      `userId: the configuration "https://example.org/app" isolates users, and says nothing of "${userId}"; name them under "users", or everybody by "*"`,
    );
  });

  it('not for a user who is named, nor for anybody where "*" stands for all, nor where users are not isolated', () => {
    const asked = (configured: RepositoryEntry, userId: string) =>
      refusalOf(request(), configured, deployment, { userId, requester: undefined });
    expect([asked(ofAda, 'ada'), asked(ofAll, 'bob'), asked(entry({ isolation: 'shared' }), 'bob')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('when a named requester asks for somebody else, or wants to go before others', () => {
    expect(refusalOf(request({ userId: 'bob' }), undefined, deployment, { userId: 'ada', requester: 'ada' })).toMatch(
      /cannot ask for "bob"/,
    );
    expect(refusalOf(request({ priority: 1 }), undefined, deployment, { userId: 'ada', requester: 'ada' })).toMatch(
      /gets 0 at the most/,
    );
    expect(
      refusalOf(request({ priority: 4 }), entry({ priority: 5 }), deployment, { userId: 'ada', requester: 'ada' }),
    ).toBeUndefined();
    expect(refusalOf(request({ priority: 9 }), undefined, deployment, nobody)).toBeUndefined();
  });
});

describe('the configuration that holds for a repository', () => {
  const names = (...all: string[]) => all.map((name) => entry({}, name));
  const held = (repository: string, ...all: string[]) => entryFor(repository, names(...all))?.name;

  it.each([
    ['the one of its name', 'https://h/a/b', ['https://h/a/*', 'https://h/a/b'], 'https://h/a/b'],
    ['the one of its name without ".git"', 'https://h/a/b.git', ['https://h/a/b'], 'https://h/a/b'],
    ['the one of its name with ".git"', 'https://h/a/b', ['https://h/a/b.git'], 'https://h/a/b.git'],
    ['the one of its name without a slash at the end', 'https://h/a/b/', ['https://h/a/b'], 'https://h/a/b'],
    ['the pattern that names most of it', 'https://h/a/b', ['*', 'https://h/*', 'https://h/a/*'], 'https://h/a/*'],
    ['a pattern with stars in the middle', 'https://h/a/b', ['https://*/b'], 'https://*/b'],
    ['the first by name of two that name as much', 'xaby', ['x*by', 'xa*y'], 'x*by'],
    ['none where none fits', 'https://h/a/b', ['https://h/a', 'https://h/b/*', 'https://*/c'], undefined],
    ['none where the parts of a pattern would overlap', 'aba', ['ab*ba'], undefined],
  ])('is %s', (_, repository, all, name) => {
    expect(held(repository, ...all)).toBe(name);
  });

  it('is found at once, whatever the pattern', () => {
    const hostile = `${'*a'.repeat(200)}b`;
    expect(held('a'.repeat(1_000), hostile)).toBeUndefined();
  });
});
