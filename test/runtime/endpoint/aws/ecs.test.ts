import {
  DeregisterTaskDefinitionCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  type ListTasksCommandInput,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
  type RunTaskCommandInput,
  StopTaskCommand,
  type Task,
} from '@aws-sdk/client-ecs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ecsTaskStateChangeDetail } from '../../../../events/aws/ecs-task-state-change.ts';
import { readEcsTask } from '../../../../lifecycle/ecs-task.ts';
import { ecsService } from '../../../../runtime/endpoint/aws/ecs.ts';
import { describedTask } from '../../../../runtime/endpoint/aws/ecs-task-shape.ts';
import { because, type Reason } from '../../../../schemas/reason.ts';
import { anEcsTask } from '../../../builders.ts';
import { putAway } from '../../../scene-folder.ts';
import { type EcsWorld, ecsWorld } from '../../engine/local-ecs-fixture.ts';
import { awsServer, errorOf } from './aws-server.ts';

const place = { account: '000000000000', region: 'local' };
let world: EcsWorld;
let refusal: Reason | undefined;
let server: Awaited<ReturnType<typeof awsServer>>;
let client: ECSClient;

beforeAll(async () => {
  world = await ecsWorld({ failStart: () => refusal });
  server = await awsServer([ecsService({ place, tasks: world.ecs, clusters: ['baton'], registry: world.registry })]);
  client = new ECSClient(server.client);
});
afterAll(async () => {
  client.destroy();
  await server.close();
  await world.close();
  await putAway(world.dataDir);
});

let runs = 0;
/** What a back end sends for a run that does what the shell script says. */
function aRun(script: string, more: Partial<RunTaskCommandInput> = {}): RunTaskCommandInput {
  runs += 1;
  return {
    cluster: 'arn:aws:ecs:us-east-1:000000000000:cluster/baton',
    taskDefinition: 'baton-agent',
    clientToken: `token-${runs}`,
    startedBy: `baton/main/t${String(runs).padStart(24, '0')}/1`,
    launchType: 'FARGATE',
    networkConfiguration: { awsvpcConfiguration: { subnets: ['subnet-1'] } },
    overrides: {
      containerOverrides: [
        { name: 'agent', command: ['-c', script], environment: [{ name: 'BATON_TASK_ID', value: 'x' }] },
      ],
    },
    ...more,
  };
}
const run = (input: RunTaskCommandInput) => client.send(new RunTaskCommand(input));

async function arnOf(input: RunTaskCommandInput): Promise<string> {
  return (await run(input)).tasks?.[0]?.taskArn ?? '';
}
/** A revision of a family, with a variable that tells which. */
async function registered(family: string, WHICH: string): Promise<string> {
  const { taskDefinition } = await client.send(
    new RegisterTaskDefinitionCommand({
      family,
      containerDefinitions: [{ name: 'agent', image: 'agent:1', environment: [{ name: 'WHICH', value: WHICH }] }],
      tags: [{ key: 'team', value: 'core' }],
    }),
  );
  return taskDefinition?.taskDefinitionArn ?? '';
}
async function described(...tasks: string[]): Promise<Task | undefined> {
  return (await client.send(new DescribeTasksCommand({ cluster: 'baton', tasks }))).tasks?.[0];
}
async function listed(more: Partial<ListTasksCommandInput>): Promise<string[]> {
  return (await client.send(new ListTasksCommand({ cluster: 'baton', ...more }))).taskArns ?? [];
}

describe('a task that is not started just now', () => {
  afterEach(() => {
    refusal = undefined;
  });

  it('for want of capacity is a failure in an answer of status 200', async () => {
    refusal = because('no_capacity', 'Capacity is unavailable at this time.');
    const { tasks, failures } = await run(aRun('exit 0'));
    expect(tasks).toEqual([]);
    expect(failures).toEqual([{ reason: 'Capacity is unavailable at this time.' }]);
  });

  it('for want of rate is an error', async () => {
    refusal = because('start_throttled', 'Rate exceeded');
    expect(await errorOf(run(aRun('exit 0')))).toMatchObject({ name: 'ThrottlingException', message: 'Rate exceeded' });
  });
});

describe('a task that is run', () => {
  it('is a process, and described until it has stopped', async () => {
    const input = aRun('echo it runs; exit 7');
    const told = await run(input);
    expect(told.failures).toEqual([]);
    expect(told.tasks).toMatchObject([
      { startedBy: input.startedBy, desiredStatus: 'RUNNING', version: expect.any(Number) },
    ]);
    const arn = told.tasks?.[0]?.taskArn ?? '';
    await world.event(arn, 'STOPPED');
    expect(world.log(arn)).toBe('it runs\n');
    const task = await described(arn);
    expect(task).toMatchObject({ lastStatus: 'STOPPED', containers: [{ name: 'agent', exitCode: 7 }] });
    expect(task?.stoppedAt?.getTime()).toBeGreaterThanOrEqual(task?.startedAt?.getTime() ?? Number.NaN);
  });

  it('is read from DescribeTasks as from its events', async () => {
    const arn = await arnOf(aRun('exit 0'));
    const { detail } = await world.event(arn, 'STOPPED');
    const shape = JSON.parse(JSON.stringify(await described(arn)));
    expect([shape.createdAt, shape.stoppedAt]).toEqual([detail.createdAt, detail.stoppedAt]);
    expect(describedTask(detail)).not.toHaveProperty('updatedAt');
    expect(readEcsTask(ecsTaskStateChangeDetail.parse(shape))).toEqual(readEcsTask(detail));
  });

  it('is one for one client token', async () => {
    const input = aRun('exit 0');
    const arns = await Promise.all(Array.from({ length: 5 }, () => arnOf(input)));
    expect(new Set(arns).size).toBe(1);
  });

  it('is not run when the token was used with other parameters, and the caller learns which task has it', async () => {
    const input = aRun('exit 0');
    const arn = await arnOf(input);
    const { overrides: _overrides, ...other } = input;
    expect(await errorOf(run(other))).toMatchObject({
      name: 'ConflictException',
      status: 400,
      resourceIds: [arn],
    });
    await world.event(arn, 'STOPPED');
    expect(await listed({ startedBy: input.startedBy, desiredStatus: 'STOPPED' })).toEqual([arn]);
    expect(await listed({ startedBy: input.startedBy })).toEqual([]);
  });

  it('may be several at once', async () => {
    const input = aRun('exit 0', { count: 3 });
    const arns = (await run(input)).tasks?.map(({ taskArn }) => taskArn ?? '') ?? [];
    expect(new Set(arns).size).toBe(3);
    for (const arn of arns) await world.event(arn, 'STOPPED');
    expect((await listed({ startedBy: input.startedBy, desiredStatus: 'STOPPED' })).sort()).toEqual(arns.sort());
  });
});

describe('the task definition of a task', () => {
  const says = async (taskDefinition: string) => {
    const arn = await arnOf(aRun('echo $WHICH', { taskDefinition }));
    const { detail } = await world.event(arn, 'STOPPED');
    return [detail.taskDefinitionArn.split('/')[1], world.log(arn).trim()];
  };

  // T9
  it('is named by ARN, by family and revision, or by its family alone: then the newest active one is taken', async () => {
    const first = await registered('named', 'first');
    const second = await registered('named', 'second');
    expect(await says(first)).toEqual(['named:1', 'first']);
    expect(await says('named:2')).toEqual(['named:2', 'second']);
    expect(await says('named')).toEqual(['named:2', 'second']);
    await client.send(new DeregisterTaskDefinitionCommand({ taskDefinition: second }));
    expect(await says('named')).toEqual(['named:1', 'first']);
    const inactive = { name: 'ClientException', message: 'TaskDefinition is inactive', status: 400 };
    expect(await errorOf(run(aRun('exit 0', { taskDefinition: 'named:2' })))).toMatchObject(inactive);
    expect(await errorOf(run(aRun('exit 0', { taskDefinition: second })))).toMatchObject(inactive);
  });

  it('may be another by the time a token comes again with the same family: that is the same task', async () => {
    await registered('moving', 'first');
    const input = aRun('exit 0', { taskDefinition: 'moving' });
    const arn = await arnOf(input);
    await registered('moving', 'second');
    expect(await arnOf(input)).toBe(arn);
    expect(await errorOf(run({ ...input, taskDefinition: 'moving:2' }))).toMatchObject({ name: 'ConflictException' });
    expect((await world.event(arn, 'STOPPED')).detail.taskDefinitionArn).toMatch(/moving:1$/);
  });

  it('says in which family tasks are listed', async () => {
    const definition = await registered('family-of-its-own', 'x');
    const arn = await arnOf(aRun('exit 0', { taskDefinition: definition }));
    await world.event(arn, 'STOPPED');
    expect(await listed({ family: 'family-of-its-own', desiredStatus: 'STOPPED' })).toEqual([arn]);
    expect(await listed({ family: 'family-of-its', desiredStatus: 'STOPPED' })).toEqual([]);
  });
});

describe('capacity of a task', () => {
  it('is Spot by a strategy instead of a launch type', async () => {
    const arn = await arnOf(
      aRun('sleep 60', {
        launchType: undefined,
        capacityProviderStrategy: [{ capacityProvider: 'FARGATE_SPOT', weight: 1 }],
      }),
    );
    expect(await described(arn)).toMatchObject({ capacityProviderName: 'FARGATE_SPOT', launchType: 'FARGATE' });
    await world.event(arn, 'RUNNING');
    expect(await world.ecs.interrupt(arn, 'spot')).toBe(true);
    expect((await world.event(arn, 'STOPPED')).detail.stopCode).toBe('SpotInterruption');
  });

  it('is on demand by the launch type, and by a strategy that says so', async () => {
    const strategy = { launchType: undefined, capacityProviderStrategy: [{ capacityProvider: 'FARGATE' }] };
    for (const more of [{}, strategy]) {
      const arn = await arnOf(aRun('sleep 60', more));
      await world.event(arn, 'RUNNING');
      expect(await world.ecs.interrupt(arn, 'spot')).toBe(false);
      await client.send(new StopTaskCommand({ cluster: 'baton', task: arn }));
      await world.event(arn, 'STOPPED');
    }
  });
});

describe('tags of a task', () => {
  const tagsOf = async (task: string, include?: ['TAGS']) => {
    const { tasks } = await client.send(new DescribeTasksCommand({ cluster: 'baton', tasks: [task], include }));
    return tasks?.[0]?.tags?.map(({ key, value }) => `${key}=${value}`).sort();
  };

  it('come when asked for, with those of the definition if they are to be propagated', async () => {
    const definition = await registered('tagged', 'x');
    const own = { taskDefinition: definition, tags: [{ key: 'baton:attempt', value: '1' }] };
    const told = await run(aRun('sleep 60', { ...own, propagateTags: 'TASK_DEFINITION' }));
    const [task] = told.tasks ?? [];
    const arn = task?.taskArn ?? '';
    expect(task?.tags).toHaveLength(2);
    expect(await tagsOf(arn)).toBeUndefined();
    expect(await tagsOf(arn, ['TAGS'])).toEqual(['baton:attempt=1', 'team=core']);
    const alone = await arnOf(aRun('exit 0', own));
    expect(await tagsOf(alone, ['TAGS'])).toEqual(['baton:attempt=1']);
    await world.event(arn, 'RUNNING');
    await client.send(new StopTaskCommand({ cluster: 'baton', task: arn }));
    expect(await tagsOf(arn, ['TAGS'])).toEqual([]);
    await world.event(arn, 'STOPPED');
    await world.event(alone, 'STOPPED');
    expect(JSON.stringify(world.events)).not.toContain('baton:attempt');
  });

  it('are part of what a token was used with', async () => {
    const input = aRun('exit 0', { tags: [{ key: 'a', value: '1' }] });
    const arn = await arnOf(input);
    expect(await arnOf(input)).toBe(arn);
    const others = [
      { ...input, tags: [] },
      { ...input, propagateTags: 'TASK_DEFINITION' as const },
    ];
    for (const other of others) {
      expect(await errorOf(run(other))).toMatchObject({ name: 'ConflictException', resourceIds: [arn] });
    }
    await world.event(arn, 'STOPPED');
  });
});

describe('a task that is stopped', () => {
  it('is told the reason, and is stopping before it has stopped', async () => {
    const input = aRun('trap "" TERM; sleep 60');
    const arn = await arnOf(input);
    await world.event(arn, 'RUNNING');
    expect(await listed({ startedBy: input.startedBy })).toEqual([arn]);
    const id = arn.split('/').at(-1) ?? '';
    const { task } = await client.send(new StopTaskCommand({ cluster: 'baton', task: id, reason: 'enough' }));
    expect(task).toMatchObject({
      taskArn: arn,
      desiredStatus: 'STOPPED',
      stopCode: 'UserInitiated',
      stoppedReason: 'enough',
    });
    expect(task?.lastStatus).not.toBe('STOPPED');
    await world.event(arn, 'STOPPED');
    expect(await listed({ startedBy: input.startedBy })).toEqual([]);
    const again = await client.send(new StopTaskCommand({ cluster: 'baton', task: arn, reason: 'again' }));
    expect(again.task).toMatchObject({ lastStatus: 'STOPPED', stoppedReason: 'enough' });
  });

  it('is shown alive by the answer to the stop, however fast it ended', async () => {
    const alive = anEcsTask({ lastStatus: 'RUNNING', desiredStatus: 'RUNNING' });
    let ended = false;
    const fast = {
      ...world.ecs,
      describe: async () => (ended ? { ...alive, lastStatus: 'STOPPED' } : alive),
      stop: async () => {
        ended = true;
        return 'stopping' as const;
      },
    };
    const { operations } = ecsService({ place, tasks: fast, clusters: ['baton'], registry: world.registry });
    const told = await operations['StopTask']?.({ cluster: 'baton', task: alive.taskArn, reason: 'enough' });
    expect(told).toMatchObject({ task: { lastStatus: 'RUNNING', desiredStatus: 'STOPPED', stoppedReason: 'enough' } });
  });

  it('must be one', async () => {
    const unknown = `arn:aws:ecs:local:000000000000:task/baton/${'0'.repeat(32)}`;
    expect(await errorOf(client.send(new StopTaskCommand({ cluster: 'baton', task: unknown })))).toMatchObject({
      name: 'InvalidParameterException',
      message: 'The referenced task was not found.',
    });
    const { failures } = await client.send(new DescribeTasksCommand({ cluster: 'baton', tasks: [unknown] }));
    expect(failures).toEqual([{ arn: unknown, reason: 'MISSING' }]);
  });
});

describe('a listing', () => {
  it('comes in parts', async () => {
    const { startedBy } = aRun('');
    await run(aRun('sleep 60', { startedBy, count: 3 }));
    const first = await client.send(new ListTasksCommand({ cluster: 'baton', startedBy, maxResults: 2 }));
    const { nextToken } = first;
    const second = await client.send(new ListTasksCommand({ cluster: 'baton', startedBy, maxResults: 2, nextToken }));
    expect(first.taskArns).toHaveLength(2);
    expect(second.taskArns).toHaveLength(1);
    expect(second.nextToken).toBeUndefined();
    expect(await listed({ family: 'another' })).toEqual([]);
    const all = [...(first.taskArns ?? []), ...(second.taskArns ?? [])];
    expect(await listed({})).toEqual(expect.arrayContaining(all));
    for (const task of all) await client.send(new StopTaskCommand({ cluster: 'baton', task }));
    for (const task of all) await world.event(task, 'STOPPED');
  });
});

describe('what AWS would refuse', () => {
  const invalid = 'InvalidParameterException';
  it.each<[string, Partial<RunTaskCommandInput>, string, string]>([
    ['an unknown cluster', { cluster: 'elsewhere' }, 'ClusterNotFoundException', 'Cluster not found.'],
    ['the default cluster', { cluster: undefined }, 'ClusterNotFoundException', 'Cluster not found.'],
    ['an unknown family', { taskDefinition: 'other:3' }, 'ClientException', 'TaskDefinition not found.'],
    ['an unknown revision', { taskDefinition: 'baton-agent:99' }, 'ClientException', 'TaskDefinition not found.'],
    [
      'a launch type and a strategy',
      { capacityProviderStrategy: [{ capacityProvider: 'FARGATE_SPOT' }] },
      invalid,
      'both a launch type and capacity provider strategy',
    ],
    [
      'a capacity provider that the cluster does not have',
      { launchType: undefined, capacityProviderStrategy: [{ capacityProvider: 'MY_MACHINES' }] },
      invalid,
      'not associated with the cluster',
    ],
    [
      'a strategy of no weight',
      { launchType: undefined, capacityProviderStrategy: [{ capacityProvider: 'FARGATE', weight: 0 }] },
      invalid,
      'weight above 0',
    ],
    [
      'several capacity providers',
      {
        launchType: undefined,
        capacityProviderStrategy: [{ capacityProvider: 'FARGATE' }, { capacityProvider: 'FARGATE_SPOT' }],
      },
      invalid,
      'one capacity provider here',
    ],
    ['tags of a service', { propagateTags: 'SERVICE' }, invalid, 'propagateTags'],
    [
      '51 tags',
      { tags: Array.from({ length: 51 }, (_, number) => ({ key: `k${number}`, value: '' })) },
      invalid,
      'tags',
    ],
    ['a tag of AWS', { tags: [{ key: 'aws:own', value: 'x' }] }, invalid, 'aws:'],
    ['eleven at once', { count: 11 }, invalid, 'count'],
    [
      'Fargate without a network',
      { networkConfiguration: undefined },
      invalid,
      'Network Configuration must be provided',
    ],
    ['a token of 65 characters', { clientToken: 'x'.repeat(65) }, invalid, 'clientToken'],
    ['a starter with spaces', { startedBy: 'some body' }, invalid, 'startedBy'],
    [
      'an override of a container that is not there',
      { overrides: { containerOverrides: [{ name: 'sidecar', command: ['x'] }] } },
      invalid,
      'container named sidecar is not a container in the TaskDefinition',
    ],
    [
      'overrides above 8,192 characters',
      { overrides: { containerOverrides: [{ name: 'agent', command: ['x'.repeat(8_192)] }] } },
      invalid,
      'at most 8192',
    ],
    [
      'what cannot be honoured here',
      { overrides: { containerOverrides: [{ name: 'agent', memory: 99 }] } },
      invalid,
      'memory',
    ],
  ])('is refused: %s', async (_what, more, name, words) => {
    const input = aRun('exit 0', more);
    expect(await errorOf(run(input))).toMatchObject({ name, status: 400, message: expect.stringContaining(words) });
  });
});
