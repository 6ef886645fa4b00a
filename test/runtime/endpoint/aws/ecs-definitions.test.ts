import {
  DeregisterTaskDefinitionCommand,
  DescribeTaskDefinitionCommand,
  ECSClient,
  ListTaskDefinitionsCommand,
  type ListTaskDefinitionsCommandInput,
  RegisterTaskDefinitionCommand,
  type RegisterTaskDefinitionCommandInput,
} from '@aws-sdk/client-ecs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BASE_MARKER } from '../../../../lifecycle/user-definition.ts';
import { ecsRegistry } from '../../../../runtime/aws/ecs-registry.ts';
import { definitionsOver } from '../../../../runtime/definitions.ts';
import { definitionOperations } from '../../../../runtime/endpoint/aws/ecs-definitions.ts';
import { jsonProtocol } from '../../../../runtime/endpoint/aws/json-protocol.ts';
import { localRegistry } from '../../../../runtime/engine/local-registry.ts';
import { memoryStore } from '../../../../runtime/engine/memory-store.ts';
import { at } from '../../../builders.ts';
import { awsServer, errorOf } from './aws-server.ts';

const store = memoryStore({ freezeValues: true });
let seconds = 0;
const clock = { now: () => at(seconds) };
const registry = localRegistry({ store, nowMs: () => Date.parse(clock.now()) });
let server: Awaited<ReturnType<typeof awsServer>>;
let client: ECSClient;

beforeAll(async () => {
  server = await awsServer([
    {
      signingName: 'ecs',
      targetPrefix: 'AmazonEC2ContainerServiceV20141113',
      protocol: jsonProtocol('1.1'),
      operations: definitionOperations(registry),
    },
  ]);
  client = new ECSClient(server.client);
});
afterAll(async () => {
  client.destroy();
  await server.close();
});

const base = (family: string, image = 'agent:1') => ({
  family,
  cpu: '2048',
  memory: '4096',
  requiresCompatibilities: ['FARGATE' as const],
  containerDefinitions: [{ name: 'agent', image }],
  tags: [{ key: BASE_MARKER, value: 'test' }],
});
const register = (family: string, image?: string) =>
  client.send(new RegisterTaskDefinitionCommand(base(family, image)));
const describeOf = (taskDefinition: string) =>
  client.send(new DescribeTaskDefinitionCommand({ taskDefinition, include: ['TAGS'] }));

describe('a task definition', () => {
  it('gets revisions that count on, and by its bare family the newest active one is described', async () => {
    const first = (await register('one')).taskDefinition;
    const second = (await register('one', 'agent:2')).taskDefinition;
    expect([first?.revision, second?.revision]).toEqual([1, 2]);
    expect((await describeOf('one')).taskDefinition).toMatchObject({
      taskDefinitionArn: second?.taskDefinitionArn,
      status: 'ACTIVE',
      containerDefinitions: [{ image: 'agent:2' }],
    });
    await client.send(new DeregisterTaskDefinitionCommand({ taskDefinition: 'one:2' }));
    expect((await describeOf('one')).taskDefinition?.revision).toBe(1);
    expect((await describeOf(second?.taskDefinitionArn ?? '')).taskDefinition?.status).toBe('INACTIVE');
    expect((await register('one')).taskDefinition?.revision).toBe(3);
  });

  it('shows its tags when they are asked for', async () => {
    await register('tagged');
    const plain = await client.send(new DescribeTaskDefinitionCommand({ taskDefinition: 'tagged' }));
    expect(plain.tags).toBeUndefined();
    expect((await describeOf('tagged')).tags).toEqual([{ key: BASE_MARKER, value: 'test' }]);
  });

  it('that is not there is an error, as on AWS', async () => {
    expect(await errorOf(describeOf('nothing'))).toMatchObject({
      name: 'ClientException',
      message: 'Unable to describe task definition.',
    });
  });

  // The SDK leaves them out; other clients may not.
  it.each([
    'taskDefinitionArn',
    'revision',
    'status',
    'requiresAttributes',
    'compatibilities',
    'registeredAt',
    'registeredBy',
    'deregisteredAt',
    'deleteRequestedAt',
  ])('is refused with %s, which only a description has', async (name) => {
    const { tags: _tags, ...asked } = base('described');
    const told = definitionOperations(registry)['RegisterTaskDefinition']?.({ ...asked, [name]: 'x' });
    await expect(told).rejects.toMatchObject({ code: 'ClientException', message: expect.stringMatching(name) });
  });

  it.each<[string, Partial<RegisterTaskDefinitionCommandInput>, string]>([
    ['no family', { family: undefined }, 'family'],
    ['a family with a colon', { family: 'one:1' }, 'Family contains invalid characters.'],
    ['no containers', { containerDefinitions: undefined }, 'containerDefinitions'],
    ['an empty list of containers', { containerDefinitions: [] }, 'Container list cannot be empty.'],
    ['a container without a name', { containerDefinitions: [{ image: 'x' }] }, 'containerDefinitions.0.name'],
    ['51 tags', { tags: Array.from({ length: 51 }, (_, key) => ({ key: `k${key}`, value: '' })) }, 'tags'],
    ['a tag of AWS', { tags: [{ key: 'aws:cloudformation:stack-name', value: 'x' }] }, 'aws: is reserved'],
  ])('is refused with %s', async (_, more, words) => {
    const asked = { ...base('refused'), ...more } as RegisterTaskDefinitionCommandInput;
    expect(await errorOf(client.send(new RegisterTaskDefinitionCommand(asked)))).toMatchObject({
      name: 'ClientException',
      status: 400,
      message: expect.stringContaining(words),
    });
    expect(await errorOf(describeOf('refused'))).toMatchObject({ message: 'Unable to describe task definition.' });
  });

  it('is refused when a container mounts what is no volume', async () => {
    const mounting = { name: 'agent', image: 'x', mountPoints: [{ sourceVolume: 'user', containerPath: '/x' }] };
    const asked = { ...base('mounting'), containerDefinitions: [mounting] };
    expect(await errorOf(client.send(new RegisterTaskDefinitionCommand(asked)))).toMatchObject({
      message: "Unknown volume 'user' in container 'agent'.",
    });
  });

  it('is listed by its family, page by page, newest first if asked so, and by status', async () => {
    seconds += 60;
    for (let revision = 0; revision < 3; revision++) await register('listed');
    await register('listed-too');
    const list = async (more: ListTaskDefinitionsCommandInput) => {
      const { taskDefinitionArns = [], nextToken } = await client.send(
        new ListTaskDefinitionsCommand({ familyPrefix: 'listed', ...more }),
      );
      return { names: taskDefinitionArns.map((arn) => arn.split('/')[1]), nextToken };
    };
    expect((await list({})).names).toEqual(['listed:1', 'listed:2', 'listed:3']);
    const first = await list({ sort: 'DESC', maxResults: 2 });
    expect(first.names).toEqual(['listed:3', 'listed:2']);
    const rest = await list({ sort: 'DESC', maxResults: 2, nextToken: first.nextToken });
    expect(rest).toEqual({ names: ['listed:1'], nextToken: undefined });

    await client.send(new DeregisterTaskDefinitionCommand({ taskDefinition: 'listed:2' }));
    expect((await list({})).names).toEqual(['listed:1', 'listed:3']);
    expect((await list({ status: 'INACTIVE' })).names).toEqual(['listed:2']);
    expect((await list({ status: 'DELETE_IN_PROGRESS' })).names).toEqual([]);
    expect((await list({ familyPrefix: undefined })).names).toEqual(
      expect.arrayContaining(['listed:1', 'listed:3', 'listed-too:1']),
    );
  });

  it('tells when it was registered and deregistered, and by whom', async () => {
    await register('dated');
    seconds += 5;
    const { taskDefinition } = await client.send(new DeregisterTaskDefinitionCommand({ taskDefinition: 'dated:1' }));
    expect(taskDefinition).toMatchObject({
      status: 'INACTIVE',
      registeredAt: new Date(at(seconds - 5)),
      deregisteredAt: new Date(at(seconds)),
      registeredBy: 'arn:aws:iam::000000000000:root',
      compatibilities: ['EC2', 'FARGATE'],
    });
  });

  it.each([
    ['dated', 'revision is missing'],
    ['dated:9', 'Unable to describe task definition.'],
  ])('is not deregistered as %s', async (taskDefinition, message) => {
    expect(await errorOf(client.send(new DeregisterTaskDefinitionCommand({ taskDefinition })))).toMatchObject({
      name: 'ClientException',
      message,
    });
  });

  it('cannot be registered as fast as one likes', async () => {
    seconds += 60;
    const impatient = new ECSClient({ ...server.client, maxAttempts: 1 });
    const asked = Array.from({ length: 21 }, () => impatient.send(new RegisterTaskDefinitionCommand(base('fast'))));
    const refusals = (await Promise.allSettled(asked)).filter(({ status }) => status === 'rejected');
    expect(refusals).toMatchObject([{ reason: { name: 'ThrottlingException' } }]);
    impatient.destroy();
  });
});

describe('clones for users over the SDK', () => {
  it('are made of what ECS describes, which it takes back without its own fields', async () => {
    seconds += 60;
    await register('baton-agent');
    const definitions = definitionsOver({
      store,
      registry: ecsRegistry(client),
      clock,
      stage: 'test',
      baseFamily: 'baton-agent',
    });
    const asked = { userId: 'ada', configuration: 'c', terms: { size: { cpu: 4096, memory: 8192 } }, by: 'start-1' };
    const ready = await definitions.ofUser(asked);
    expect(ready).toEqual({ outcome: 'ready', arn: expect.stringMatching(/task-definition\/baton-agent-user:1$/) });
    expect(await definitions.ofUser({ ...asked, by: 'start-2' })).toEqual(ready);
    const { taskDefinition, tags } = await describeOf('baton-agent-user');
    expect(taskDefinition).toMatchObject({ cpu: '4096', containerDefinitions: [{ name: 'agent', image: 'agent:1' }] });
    expect(tags?.map(({ key }) => key)).not.toContain(BASE_MARKER);
  });

  it('are refused where there is no base', async () => {
    const definitions = definitionsOver({
      store,
      registry: ecsRegistry(client),
      clock,
      stage: 'test',
      baseFamily: 'no',
    });
    expect(await definitions.ofUser({ userId: 'ada', configuration: 'c', terms: {}, by: 'start' })).toMatchObject({
      outcome: 'refused',
      reason: { code: 'definition_refused' },
    });
  });
});
