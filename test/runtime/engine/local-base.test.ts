import { join } from 'node:path';
import { DescribeTasksCommand, ECSClient, RegisterTaskDefinitionCommand } from '@aws-sdk/client-ecs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BASE_MARKER } from '../../../lifecycle/user-definition.ts';
import { deployBase, LOCAL_FAMILY } from '../../../runtime/engine/local-base.ts';
import { localRegistry } from '../../../runtime/engine/local-registry.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { linesOf, openScene, type Scene } from '../../flows/scene.ts';
import { clientOf } from '../endpoint/aws/aws-server.ts';

describe('the base of a world that opens', () => {
  const arnsOf = async (registry: ReturnType<typeof localRegistry>) =>
    (await registry.list({ status: 'ACTIVE' })).map(({ arn }) => arn.split('/')[1]);

  it('is registered with its marker, and not again while it is the newest', async () => {
    const registry = localRegistry({ store: memoryStore({ freezeValues: true }), nowMs: Date.now });
    await deployBase(registry, 'local');
    await deployBase(registry, 'local');
    expect(await arnsOf(registry)).toEqual(['baton-agent:1']);
    expect((await registry.newest(LOCAL_FAMILY))?.tags).toEqual({ [BASE_MARKER]: 'local' });
  });

  // T7
  it.each([
    ['somebody registered one without the marker', { tags: {} }],
    ['another stage did', { tags: { [BASE_MARKER]: 'other' } }],
    ['there is one of another version', { tags: { [BASE_MARKER]: 'local' } }],
  ])('is registered anew when %s', async (_, { tags }) => {
    const registry = localRegistry({ store: memoryStore({ freezeValues: true }), nowMs: Date.now });
    await registry.register({ family: LOCAL_FAMILY, tags, definition: { containerDefinitions: [{ name: 'agent' }] } });
    await deployBase(registry, 'local');
    expect(await arnsOf(registry)).toEqual(['baton-agent:1', 'baton-agent:2']);
    expect(await registry.newest(LOCAL_FAMILY)).toMatchObject({ tags: { [BASE_MARKER]: 'local' } });
  });
});

describe('a new base while a world is open', () => {
  let scene: Scene;
  let client: ECSClient;
  beforeAll(async () => {
    scene = await openScene();
    client = new ECSClient(clientOf(scene.world.url));
  });
  afterAll(async () => {
    client.destroy();
    await scene.close();
  });

  /** What a deployment does, with a variable that reaches agents. */
  const deploy = async (model: string, tags = [{ key: BASE_MARKER, value: 'local' }]): Promise<string> => {
    const { taskDefinition } = await client.send(
      new RegisterTaskDefinitionCommand({
        family: LOCAL_FAMILY,
        tags,
        containerDefinitions: [
          { name: 'agent', image: 'agent:2', environment: [{ name: 'ANTHROPIC_MODEL', value: model }] },
        ],
      }),
    );
    return taskDefinition?.taskDefinitionArn ?? '';
  };

  const seenBy = async (name: string) => {
    const file = join(scene.folder, name);
    const taskId = await scene.submit(`echo "model=$ANTHROPIC_MODEL" > ${file}; echo ${name} > done.txt`);
    const { status, run } = await scene.settled(taskId);
    const { tasks } = await client.send(
      new DescribeTasksCommand({ cluster: 'baton', tasks: [run?.nativeId ?? ''], include: ['TAGS'] }),
    );
    return { status, model: linesOf(file)[0], definition: tasks?.[0]?.taskDefinitionArn, tags: tasks?.[0]?.tags };
  };

  // T3: nothing that was looked up at start-up, or for the start before, is used again.
  it('is what the next run starts from, and the one before it is not', async () => {
    const first = await seenBy('one');
    expect(first).toMatchObject({ status: 'COMPLETED', definition: expect.stringMatching(/baton-agent:1$/) });
    expect(first.model).not.toContain('of-the-new-base');
    const arn = await deploy('of-the-new-base');
    expect(await seenBy('two')).toMatchObject({
      status: 'COMPLETED',
      model: 'model=of-the-new-base',
      definition: arn,
    });
    const next = await deploy('of-the-newest-base');
    const third = await seenBy('three');
    expect(third).toMatchObject({ status: 'COMPLETED', model: 'model=of-the-newest-base', definition: next });
    expect(third.tags?.map(({ key }) => key).sort()).toEqual([
      'baton:attempt',
      BASE_MARKER,
      'baton:stage',
      'baton:task',
    ]);
  });

  // T7
  it('that infrastructure did not write fails the next task with what to do, and a good one mends it', async () => {
    await deploy('of-a-clone', []);
    const taskId = await scene.submit('true');
    expect(await scene.settled(taskId)).toMatchObject({
      status: 'FAILED',
      reason: { code: 'definition_refused', message: expect.stringContaining('Deregister it') },
    });
    await deploy('mended');
    expect(await seenBy('four')).toMatchObject({ status: 'COMPLETED', model: 'model=mended' });
  });
});
