import { describe, expect, it } from '@jest/globals';
import { reactions as shipped } from '../../../handlers/index.ts';
import type { Settings } from '../../../runtime/ports.ts';
import type { RepositoryConfig } from '../../../schemas/repository-config.ts';
import { repositoryConfig } from '../../../schemas/repository-config.ts';
import { aFailedReport, anEcsEvent, aReport, aRequest } from '../../builders.ts';
import { computeTwin } from '../../compute-twin.ts';
import { toyReactions } from '../../contracts/toy-backend.ts';
import { anEngine, runAt } from './engine-fixture.ts';

const repository = '/srv/repository';
// The union of back ends is closed on purpose; a back end of one's own is one row more there.
const toyCompute = 'toy' as unknown as Settings['computes'][number];

/** A deployment with two back ends; what `toy` was asked stands beside what ECS was. */
function aDeployment(computes: Settings['computes']) {
  const toy = computeTwin();
  const world = anEngine({
    reactions: [...shipped, ...toyReactions],
    more: { toy: toy.backend },
    settings: { computes },
  });
  let requests = 0;
  return {
    ...world,
    toy,
    async configure(config: RepositoryConfig | null, name = repository): Promise<void> {
      const event = aRequest('TaskRequested', { name, config }, `config-${++requests}`);
      await world.engine.bus.publish([
        { ...event, 'detail-type': 'RepositoryConfigRequested', time: world.time.now() },
      ]);
      await world.time.quiet();
    },
    /** What the first run is given. */
    async payload(): Promise<Record<string, unknown>> {
      const ref = runAt(world.compute, 0).asked.environment['BATON_PAYLOAD'] ?? '';
      return JSON.parse((await world.engine.ports.payloads.get(ref)) ?? '{}');
    },
    status: async (taskId: string) => (await world.task(taskId))?.status,
    async neverStarts(index: number): Promise<void> {
      const { handle, asked } = runAt(world.compute, index);
      const told = { lastStatus: 'STOPPED', stopCode: 'TaskFailedToStart', containers: [] };
      await world.engine.bus.publish([anEcsEvent({ taskArn: handle.taskArn, startedBy: asked.startedBy, ...told })]);
      await world.time.quiet();
    },
  };
}
type World = ReturnType<typeof aDeployment>;

/** What reads a field: a story whose outcome is another when the field is set. */
interface Reader {
  readonly config: RepositoryConfig;
  readonly computes?: Settings['computes'];
  story(world: World): Promise<unknown>;
  readonly usually: unknown;
  readonly configured: unknown;
}

/** A field that is not in this table does not compile: it has no reader. */
const readers = {
  compute: {
    config: { compute: 'ecs' },
    computes: [toyCompute, 'ecs'],
    async story(world) {
      await world.submit('roof');
      return { ecs: world.compute.runs.length, toy: world.toy.runs.length };
    },
    usually: { ecs: 0, toy: 1 },
    configured: { ecs: 1, toy: 0 },
  },
  isolation: {
    config: { isolation: 'per-user', users: { '*': {} } },
    story: definition,
    usually: 'baton-agent',
    configured: 'baton-agent-user',
  },
  users: {
    config: { isolation: 'per-user', users: { bob: {} } },
    story: asked,
    usually: ['TaskSubmitted'],
    configured: ['TaskRejected'],
  },
  capacity: {
    config: { capacity: 'spot' },
    async story(world) {
      await world.submit('roof');
      return runAt(world.compute, 0).asked.capacityProvider;
    },
    usually: 'FARGATE',
    configured: 'FARGATE_SPOT',
  },
  fleet: { config: { fleet: 'builders' }, story: asked, usually: ['TaskSubmitted'], configured: ['TaskRejected'] },
  agentCommand: {
    config: { agentCommand: 'mine -p' },
    async story(world) {
      await world.submit('roof');
      return (await world.payload())['agentCommand'];
    },
    usually: 'agent',
    configured: 'mine -p',
  },
  limit: {
    config: { limit: 2 },
    async story(world) {
      for (const key of ['roof', 'wall', 'door']) await world.submit(key);
      return world.compute.runs.length;
    },
    usually: 1,
    configured: 2,
  },
  priority: {
    config: { priority: 3 },
    async story(world) {
      await world.submit('roof', { repository: '/srv/other' });
      const ids = [await world.submit('wall', { repository: '/srv/other' }), await world.submit('door')];
      const first = runAt(world.compute, 0);
      await world.comesUp(first);
      await world.reports(first);
      await world.exits(first);
      return ids.indexOf(runAt(world.compute, 1).asked.taskId);
    },
    usually: 0,
    configured: 1,
  },
  timeoutSeconds: {
    config: { timeoutSeconds: 60 },
    async story(world) {
      const taskId = await world.submit('roof');
      await world.comesUp(runAt(world.compute, 0));
      await world.time.pass(100);
      return world.status(taskId);
    },
    usually: 'RUNNING',
    configured: 'TIMED_OUT',
  },
  firstOutputSeconds: {
    config: { firstOutputSeconds: 40 },
    async story(world) {
      const taskId = await world.submit('roof');
      await world.comesUp(runAt(world.compute, 0));
      await world.time.pass(60);
      return (await world.task(taskId))?.history
        .flatMap(({ facts }) => facts)
        .some(({ data }) => says(data, 'stalled'));
    },
    usually: false,
    configured: true,
  },
  attempts: {
    config: { attempts: 1 },
    async story(world) {
      const taskId = await world.submit('roof');
      await world.neverStarts(0);
      return world.status(taskId);
    },
    usually: 'BACKOFF',
    configured: 'FAILED',
  },
  retryAgentFailure: {
    config: { retryAgentFailure: true },
    async story(world) {
      const taskId = await world.submit('roof');
      const first = runAt(world.compute, 0);
      await world.comesUp(first);
      await world.reports(first, aFailedReport());
      await world.exits(first, 1);
      return world.status(taskId);
    },
    usually: 'FAILED',
    configured: 'BACKOFF',
  },
  environment: {
    config: { environment: { NPM_TOKEN: 'variable:NPM_TOKEN' } },
    async story(world) {
      await world.submit('roof');
      return (await world.payload())['environment'];
    },
    usually: undefined,
    configured: { NPM_TOKEN: 'variable:NPM_TOKEN' },
  },
  subscribers: {
    config: { subscribers: [{ channel: 'webhook', target: 'https://example.com/hook' }] },
    async story(world) {
      await world.submit('roof');
      const first = runAt(world.compute, 0);
      await world.comesUp(first);
      await world.reports(first, aReport());
      await world.exits(first);
      return world.facts().filter((type) => type === 'NotificationDue');
    },
    usually: [],
    configured: ['NotificationDue'],
  },
} as const satisfies Record<keyof RepositoryConfig, Reader>;

async function asked(world: World): Promise<string[]> {
  const taskId = await world.submit('roof');
  return world.facts(taskId).slice(0, 1);
}

/** The family of the first run's task definition. */
async function definition(world: World): Promise<string | undefined> {
  await world.submit('roof');
  return runAt(world.compute, 0).asked.definition.split('/')[1]?.split(':')[0];
}

const says = (data: unknown, code: string): boolean => (data as { reason?: { code?: string } })?.reason?.code === code;

const cases: [string, Reader][] = Object.entries(readers);

// B22
describe('the field of a configuration', () => {
  it.each(cases)('%s is read: the same story ends otherwise', async (_field, reader) => {
    const usual = aDeployment(reader.computes ?? ['ecs']);
    expect(await reader.story(usual)).toEqual(reader.usually);
    const configured = aDeployment(reader.computes ?? ['ecs']);
    await configured.configure(reader.config);
    expect(await reader.story(configured)).toEqual(reader.configured);
    expect([...usual.letters, ...configured.letters]).toEqual([]);
  });

  it('is in the table above, whatever its name', () => {
    expect(Object.keys(readers).sort()).toEqual(Object.keys(repositoryConfig.shape).sort());
  });
});

// A3
describe('two repositories on two back ends of one deployment', () => {
  it('each run where they are configured, and an unknown one on the default', async () => {
    const world = aDeployment(['ecs', toyCompute]);
    await world.configure({ compute: 'ecs', limit: 5 }, '/srv/ecs');
    // By the port: the schema of requests knows the back ends that are shipped.
    await world.engine.ports.configurations.set(
      '/srv/toy/*',
      { compute: toyCompute, limit: 5 },
      { id: 'toy', at: world.time.now() },
    );
    const onToy = await world.submit('roof', { repository: '/srv/toy/one' });
    const onEcs = await world.submit('wall', { repository: '/srv/ecs' });
    const unknown = await world.submit('door', { repository: '/srv/unknown' });
    expect(world.toy.runs.map(({ asked: { taskId } }) => taskId)).toEqual([onToy]);
    expect(world.compute.runs.map(({ asked: { taskId } }) => taskId)).toEqual([onEcs, unknown]);
  });

  it('can each be overruled by what a task asks for', async () => {
    const world = aDeployment([toyCompute, 'ecs']);
    await world.submit('roof', { compute: 'ecs' });
    expect([world.compute.runs.length, world.toy.runs.length]).toEqual([1, 0]);
  });
});

// A14
describe('a repository whose back end is not deployed', () => {
  it('has its tasks refused with a sentence that says so, before anything starts', async () => {
    const world = aDeployment(['ecs']);
    await world.engine.ports.configurations.set('/srv/*', { compute: toyCompute }, { id: 'toy', at: world.time.now() });
    const taskId = await world.submit('roof');
    const told = world.heard.filter(({ 'detail-type': type }) => type === 'TaskRejected');
    expect(told.map(({ detail }) => detail)).toMatchObject([
      {
        metadata: { taskId },
        data: {
          reason: {
            code: 'bad_request',
            message: 'compute: this deployment has no "toy" (the configuration "/srv/*" says so); it has ecs',
          },
        },
      },
    ]);
    expect(world.facts(taskId)).toEqual(['TaskRejected']);
    expect([...world.compute.calls, ...world.toy.calls]).toEqual([]);
    expect(await world.store.list('PAYLOAD#', { limit: 9 })).toEqual([]);
  });

  it('says so already when it is configured', async () => {
    const world = aDeployment([]);
    await world.configure({ compute: 'ecs' });
    expect((await world.engine.ports.repositories.list())[0]?.warning).toMatch(/no back end yet/);
  });
});

describe('a limit that is changed while tasks wait', () => {
  it('starts the next ones at once: no alarm is needed', async () => {
    const world = aDeployment(['ecs']);
    await world.configure({ limit: 1 });
    for (const key of ['roof', 'wall', 'door']) await world.submit(key);
    expect(world.compute.runs).toHaveLength(1);
    await world.time.pass(1);
    await world.configure({ limit: 3 });
    expect(world.compute.runs).toHaveLength(3);
  });

  it('lets them go on when the configuration is removed', async () => {
    const world = aDeployment(['ecs']);
    await world.configure({ limit: 1 });
    await world.submit('roof');
    const waiting = await world.submit('wall');
    await world.comesUp(runAt(world.compute, 0));
    await world.time.pass(1);
    await world.configure(null);
    expect(await world.status(waiting)).toBe('QUEUED');
    const first = runAt(world.compute, 0);
    await world.reports(first);
    await world.exits(first);
    expect(world.compute.runs).toHaveLength(2);
  });
});
