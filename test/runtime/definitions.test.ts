import { describe, expect, it } from '@jest/globals';
import { BASE_MARKER, CLONE_TAGS, CLONE_VERSION, type NewDefinition } from '../../lifecycle/user-definition.ts';
import { definitionsOver } from '../../runtime/definitions.ts';
import { type LocalRegistry, localRegistry } from '../../runtime/engine/local-registry.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import { ComputeError } from '../../runtime/errors.ts';
import type { Definitions, RecordStore } from '../../runtime/ports.ts';
import type { UserTerms } from '../../schemas/task-definition.ts';
import { at } from '../builders.ts';
import { onEmbeddedStores } from '../contracts/stores.ts';

const BASE = 'baton-agent';
const aBase = (image = 'agent:1', tags: Record<string, string> = { [BASE_MARKER]: 'test' }): NewDefinition => ({
  family: BASE,
  tags: { ...tags, team: 'core' },
  definition: {
    cpu: '2048',
    memory: '4096',
    // As DescribeTaskDefinition shows it: with fields that cannot be registered.
    taskDefinitionArn: 'arn',
    revision: 1,
    status: 'ACTIVE',
    requiresAttributes: [],
    compatibilities: [],
    registeredAt: at(0),
    registeredBy: 'cdk',
    deregisteredAt: at(0),
    deleteRequestedAt: at(0),
    containerDefinitions: [
      { name: 'sidecar', image: 'otel:1' },
      { name: 'agent', image, secrets: [{ name: 'KEY', valueFrom: 'arn:of-all' }], mountPoints: [] },
    ],
  },
});
const files = { id: 'fs-0123abcd', accessPoint: 'fsap-0123abcd' };
const secret = 'arn:aws:secretsmanager:eu-west-1:000000000000:secret:ada-AbCdEf';

function aWorld(store: RecordStore = memoryStore({ freezeValues: true })) {
  let seconds = 0;
  const now = () => at(seconds);
  const real = localRegistry({ store, nowMs: () => Date.parse(now()) });
  const calls: string[] = [];
  const warnings: string[] = [];
  const failures: string[] = [];
  let failing: Error | undefined;
  let losing: Error | undefined;
  let keeping: Error | undefined;
  let hidden: string | undefined;
  let starts = 0;
  const registry: LocalRegistry = {
    ...real,
    async register(definition) {
      calls.push(`register ${definition.family}`);
      if (failing) throw failing;
      const arn = await real.register(definition);
      if (losing) throw losing;
      return arn;
    },
    async active(arn) {
      return hidden !== undefined && arn.endsWith(hidden) ? undefined : real.active(arn);
    },
    async newest(family) {
      const newest = await real.newest(family);
      return hidden !== undefined && newest?.arn.endsWith(hidden) ? undefined : newest;
    },
    async deregister(arn) {
      calls.push(`deregister ${arn.split('/')[1]}`);
      if (keeping) throw keeping;
      await real.deregister(arn);
    },
  };
  const definitions: Definitions = definitionsOver({
    store,
    registry,
    clock: { now },
    stage: 'test',
    baseFamily: BASE,
    warn: (message) => warnings.push(message),
    failed: ({ code }) => failures.push(code),
  });
  return {
    real,
    definitions,
    calls,
    warnings,
    failures,
    of: (userId: string, terms: UserTerms = {}, by = `start-${++starts}`) =>
      definitions.ofUser({ userId, configuration: 'https://example.com/app', terms, by }),
    pass: (by: number) => {
      seconds += by;
    },
    /** Registers nothing. */
    fails(error: Error | undefined) {
      failing = error;
    },
    /** Registers, and nobody hears of it. */
    losesAnswer(error: Error | undefined) {
      losing = error;
    },
    keepsClones(error: Error | undefined) {
      keeping = error;
    },
    /** Does not show this clone. */
    hides(name: string | undefined) {
      hidden = name;
    },
  };
}

const arnOf = (answer: Awaited<ReturnType<Definitions['ofUser']>>): string => {
  if (answer.outcome !== 'ready') throw new Error(JSON.stringify(answer));
  return answer.arn.split('/')[1] ?? '';
};

// T4
describe('the task definition of a user', () => {
  it('is a clone in a family of its own, registered once', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    expect(arnOf(await world.of('ada'))).toBe('baton-agent-user:1');
    expect(arnOf(await world.of('ada'))).toBe('baton-agent-user:1');
    expect(world.calls).toEqual(['register baton-agent-user']);
    expect((await world.real.newest(BASE))?.arn).toMatch(/baton-agent:1$/);
  });

  it('is another for another user', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    expect(arnOf(await world.of('ada'))).not.toBe(arnOf(await world.of('bob')));
  });

  it('has files, secrets and size of the user, and all else from the base', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    const name = arnOf(
      await world.of('ada', {
        size: { cpu: 4096, memory: 8192 },
        fileSystem: files,
        secrets: { KEY: secret, OWN: secret },
      }),
    );
    const clone = await world.real.revision(name);
    // Another clone of the same base and terms: raise the version, or users keep the one they have.
    expect(CLONE_VERSION).toBe(1);
    expect(clone?.definition).toEqual({
      family: 'baton-agent-user',
      cpu: '4096',
      memory: '8192',
      containerDefinitions: [
        { name: 'sidecar', image: 'otel:1' },
        {
          name: 'agent',
          image: 'agent:1',
          secrets: [
            { name: 'KEY', valueFrom: secret },
            { name: 'OWN', valueFrom: secret },
          ],
          mountPoints: [{ sourceVolume: 'user', containerPath: '/mnt/user', readOnly: false }],
          environment: [
            { name: 'BATON_USER_FILES', value: '/mnt/user' },
            { name: 'BATON_USER_SECRETS', value: 'KEY,OWN' },
          ],
        },
      ],
      volumes: [
        {
          name: 'user',
          efsVolumeConfiguration: {
            fileSystemId: files.id,
            transitEncryption: 'ENABLED',
            authorizationConfig: { accessPointId: files.accessPoint, iam: 'ENABLED' },
          },
        },
      ],
    });
    expect(clone?.tags).toMatchObject({ team: 'core', [CLONE_TAGS.user]: 'ada' });
    expect(clone?.tags).not.toHaveProperty([BASE_MARKER]);
  });

  it('has no tag that only AWS may write, and no name that is both a variable and a secret', async () => {
    const world = aWorld();
    const base = aBase('agent:1', { [BASE_MARKER]: 'test', 'aws:cloudformation:stack-name': 'baton' });
    const variables = [
      { name: 'KEY', value: 'plain' },
      { name: 'OTHER', value: 'kept' },
    ];
    const containerDefinitions = [{ name: 'agent', image: 'agent:1', environment: variables }];
    await world.real.register({ ...base, definition: { ...base.definition, containerDefinitions } });
    const clone = await world.real.revision(arnOf(await world.of('ada', { secrets: { KEY: secret } })));
    expect(Object.keys(clone?.tags ?? {}).sort()).toEqual([...Object.values(CLONE_TAGS), 'team'].sort());
    expect(clone?.definition['containerDefinitions']).toMatchObject([
      {
        environment: [
          { name: 'OTHER', value: 'kept' },
          { name: 'BATON_USER_SECRETS', value: 'KEY' },
        ],
        secrets: [{ name: 'KEY', valueFrom: secret }],
      },
    ]);
  });

  it('is the same whatever the order in which the terms are written, and another in another configuration', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    const one = await world.of('ada', { secrets: { A: secret, B: secret }, size: { cpu: 1024, memory: 2048 } });
    expect(await world.of('ada', { size: { memory: 2048, cpu: 1024 }, secrets: { B: secret, A: secret } })).toEqual(
      one,
    );
    const terms = { secrets: { A: secret, B: secret }, size: { cpu: 1024, memory: 2048 } };
    const other = { userId: 'ada', configuration: 'https://example.com/other', terms, by: 'other' };
    const there = arnOf(await world.definitions.ofUser(other));
    expect(there).not.toBe(arnOf(one));
    // Each of them keeps its own, in whatever order they are asked for.
    expect(await world.of('ada', terms)).toEqual(one);
    expect(arnOf(await world.definitions.ofUser({ ...other, by: 'again' }))).toBe(there);
    expect(world.calls).toHaveLength(2);
  });

  // T9
  it('is registered anew when somebody has deregistered it, and the old one is not named again', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    const gone = arnOf(await world.of('ada'));
    await world.real.deregister(gone);
    const next = arnOf(await world.of('ada'));
    expect(next).not.toBe(gone);
    expect((await world.real.revision(next))?.status).toBe('ACTIVE');
    expect(arnOf(await world.of('ada'))).toBe(next);
    expect(world.warnings).toEqual([expect.stringContaining('is not active any more')]);
  });

  // T9
  it('is one of the base before when the newest base is deregistered', async () => {
    const world = aWorld();
    await world.real.register(aBase('agent:1'));
    await world.real.register(aBase('agent:2'));
    expect((await world.definitions.base()).outcome).toBe('ready');
    await world.real.deregister(`${BASE}:2`);
    expect(await world.definitions.base()).toMatchObject({ arn: expect.stringMatching(/baton-agent:1$/) });
    const clone = await world.real.revision(arnOf(await world.of('ada')));
    expect(clone?.tags[CLONE_TAGS.base]).toMatch(/baton-agent:1$/);
  });

  // T1, T3, T9
  it('is a new one as soon as there is a new base, whatever was remembered', async () => {
    const world = aWorld();
    await world.real.register(aBase('agent:1'));
    const before = arnOf(await world.of('ada'));
    await world.real.register(aBase('agent:2'));
    const after = arnOf(await world.of('ada'));
    expect(after).not.toBe(before);
    expect((await world.real.revision(after))?.definition['containerDefinitions']).toMatchObject([
      { name: 'sidecar' },
      { name: 'agent', image: 'agent:2' },
    ]);
  });

  // T8
  it('is made from the base when its size changes, not from the clone of before', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    await world.of('ada', { secrets: { OWN: secret } });
    const resized = arnOf(await world.of('ada', { size: { cpu: 1024, memory: 2048 } }));
    const definition = (await world.real.revision(resized))?.definition;
    expect(definition).toMatchObject({ cpu: '1024' });
    expect(JSON.stringify(definition)).not.toContain(secret);
  });
});

// T4
describe('the family of the base', () => {
  it('is read and never written, whatever happens to bases, terms and clones', async () => {
    const world = aWorld();
    for (const image of ['agent:1', 'agent:2', 'agent:3']) {
      await world.real.register(aBase(image));
      await world.of('ada', { secrets: { OWN: secret } });
      await world.real.deregister(arnOf(await world.of('ada', { size: { cpu: 1024, memory: 2048 } })));
      await world.of('bob');
      world.pass(3_601);
    }
    const written = new Set(world.calls.map((call) => call.replace(/:\d+$/, '')));
    expect([...written].sort()).toEqual(['deregister baton-agent-user', 'register baton-agent-user']);
    expect(await world.real.list({ family: BASE, status: 'INACTIVE' })).toEqual([]);
  });
});

// T7
describe('a base without the marker of the infrastructure', () => {
  it.each([
    ['none', {}],
    ['that of another stage', { [BASE_MARKER]: 'other' }],
  ])('(%s) is refused with what to do, and nothing is registered', async (_, tags) => {
    const world = aWorld();
    await world.real.register(aBase());
    await world.real.register(aBase('agent:1', tags));
    expect(await world.of('ada')).toMatchObject({
      outcome: 'refused',
      reason: { code: 'definition_refused', message: expect.stringMatching(/another user's secrets\. Deregister it/) },
    });
    expect(world.calls).toEqual([]);
  });

  it('that is not there at all is refused too', async () => {
    expect(await aWorld().of('ada')).toMatchObject({ outcome: 'refused' });
  });
});

describe('ECS that does not let the start function in', () => {
  // A deployment updates the rights first, and IAM needs its time.
  it('means later, and is told to who must mend it', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    world.fails(new ComputeError('compute_denied', 'not authorized to perform: ecs:RegisterTaskDefinition'));
    expect(await world.of('ada')).toMatchObject({
      outcome: 'later',
      message: expect.stringContaining('not authorized'),
    });
    expect(world.failures).toEqual(['compute_denied']);
    world.fails(undefined);
    expect(await world.of('ada')).toMatchObject({ outcome: 'ready' });
  });
});

describe('ECS that takes no more registrations just now', () => {
  it('means later, and another start may try at once', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    world.fails(new ComputeError('compute_throttled', 'Rate exceeded'));
    expect(await world.of('ada')).toMatchObject({ outcome: 'later', message: expect.any(String) });
    world.fails(undefined);
    expect(arnOf(await world.of('ada'))).toBe('baton-agent-user:1');
  });

  it('is what the embedded ECS says after a burst of twenty', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    const answers = await Promise.all(Array.from({ length: 25 }, (_, number) => world.of(`user-${number}`)));
    expect(answers.filter(({ outcome }) => outcome === 'ready')).toHaveLength(19);
    expect(answers.filter(({ outcome }) => outcome === 'later')).toHaveLength(6);
    world.pass(21);
    expect((await world.of('user-24')).outcome).toBe('ready');
  });
});

describe('two starts of one user at the same time', () => {
  onEmbeddedStores((present) => {
    it('register once; the other comes again', async () => {
      const world = aWorld(present.store);
      await world.real.register(aBase());
      const answers = await Promise.all([world.of('ada'), world.of('ada'), world.of('ada')]);
      expect(answers.map(({ outcome }) => outcome).sort()).toEqual(['later', 'later', 'ready']);
      expect(world.calls).toEqual(['register baton-agent-user']);
    });

    it('register once although they are two functions that know nothing of each other', async () => {
      const [one, other] = [aWorld(present.store), aWorld(present.store)];
      await one.real.register(aBase());
      const answers = await Promise.all([one.of('ada', {}, 'a'), other.of('ada', {}, 'b'), one.of('ada', {}, 'c')]);
      expect(answers.map(({ outcome }) => outcome).sort()).toEqual(['later', 'later', 'ready']);
      expect([...one.calls, ...other.calls]).toEqual(['register baton-agent-user']);
      expect(await other.of('ada', {}, 'd')).toEqual(answers.find(({ outcome }) => outcome === 'ready'));
      expect([...one.calls, ...other.calls]).toHaveLength(1);
    });
  });

  it('are answered the same when they are copies of one event, and the clone too many ages out', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    const answers = await Promise.all([world.of('ada', {}, 'copied'), world.of('ada', {}, 'copied')]);
    expect(answers[0]).toEqual(answers[1]);
    const used = arnOf(await world.of('ada'));
    expect(arnOf(answers[0])).toBe(used);
    world.pass(3_601);
    expect(arnOf(await world.of('ada'))).toBe(used);
    const left = await world.real.list({ family: 'baton-agent-user', status: 'ACTIVE' });
    expect(left.map(({ arn }) => arn.split('/')[1])).toEqual([used]);
  });

  it('do not wait for one that died', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    world.fails(new Error('killed'));
    await expect(world.of('ada', {}, 'dead')).rejects.toThrow('killed');
    world.fails(undefined);
    expect((await world.of('ada')).outcome).toBe('later');
    expect((await world.of('ada', {}, 'dead')).outcome).toBe('ready');
  });

  it('do not wait for ever for one that died and does not come again', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    world.fails(new Error('killed'));
    await expect(world.of('ada', {}, 'dead')).rejects.toThrow('killed');
    world.fails(undefined);
    world.pass(59);
    expect((await world.of('ada')).outcome).toBe('later');
    world.pass(2);
    expect((await world.of('ada')).outcome).toBe('ready');
  });
});

describe('a registration whose answer was lost', () => {
  it.each([
    ['by the network', new ComputeError('compute_unavailable', 'no answer'), 'later'],
    ['with the process', new Error('killed'), 'thrown'],
  ])('%s is found again, and there is no second one', async (_, error, told) => {
    const world = aWorld();
    await world.real.register(aBase());
    world.losesAnswer(error);
    const first = await world.of('ada', {}, 'start').catch(() => ({ outcome: 'thrown' }));
    expect(first.outcome).toBe(told);
    world.losesAnswer(undefined);
    // Others cannot know yet.
    expect((await world.of('ada', {}, 'other')).outcome).toBe('later');
    expect(arnOf(await world.of('ada', {}, 'start'))).toBe('baton-agent-user:1');
    expect(world.calls).toEqual(['register baton-agent-user']);
  });

  it('is not found in a clone that is put away already', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    const old = arnOf(await world.of('ada'));
    const other = arnOf(await world.of('ada', { size: { cpu: 1024, memory: 2048 } }));
    // Now the superseded one is the newest of its family again, and its terms are wanted again.
    await world.real.deregister(other);
    const next = arnOf(await world.of('ada'));
    expect([old, other]).not.toContain(next);
    world.pass(3_601);
    expect(arnOf(await world.of('ada'))).toBe(next);
    expect((await world.real.revision(old))?.status).toBe('INACTIVE');
    expect((await world.real.revision(next))?.status).toBe('ACTIVE');
  });
});

describe('ECS that shows a clone late', () => {
  it('gets another, and the one too many ages out', async () => {
    const world = aWorld();
    await world.real.register(aBase());
    const late = arnOf(await world.of('ada'));
    world.hides(late);
    const next = arnOf(await world.of('ada'));
    expect(next).not.toBe(late);
    world.hides(undefined);
    world.pass(3_601);
    expect(arnOf(await world.of('ada'))).toBe(next);
    expect((await world.real.revision(late))?.status).toBe('INACTIVE');
  });
});

// T6
describe('a superseded clone', () => {
  it('is put away when no start can still be using it', async () => {
    const world = aWorld();
    await world.real.register(aBase('agent:1'));
    const old = arnOf(await world.of('ada'));
    await world.real.register(aBase('agent:2'));
    await world.of('ada');
    world.pass(3_599);
    await world.of('ada');
    expect((await world.real.revision(old))?.status).toBe('ACTIVE');
    world.pass(2);
    await world.of('ada');
    expect((await world.real.revision(old))?.status).toBe('INACTIVE');
    await world.of('ada');
    expect(world.calls.filter((call) => call.startsWith('deregister'))).toHaveLength(1);
  });

  it('is put away one at a start, and fails none when ECS does not take it', async () => {
    const world = aWorld();
    for (let number = 1; number <= 4; number++) {
      await world.real.register(aBase(`agent:${number}`));
      await world.of('ada');
    }
    world.pass(3_601);
    world.keepsClones(new ComputeError('compute_throttled', 'Rate exceeded'));
    const current = arnOf(await world.of('ada'));
    expect(world.warnings).toHaveLength(1);
    world.keepsClones(undefined);
    const active = async () => (await world.real.list({ family: 'baton-agent-user', status: 'ACTIVE' })).length;
    expect(await active()).toBe(4);
    for (const left of [3, 2, 1, 1]) {
      expect(arnOf(await world.of('ada'))).toBe(current);
      expect(await active()).toBe(left);
    }
  });
});
