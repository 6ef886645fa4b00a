import { ECSClient } from '@aws-sdk/client-ecs';
import { describe, expect, it } from '@jest/globals';
import { ecsRegistry } from '../../../runtime/aws/ecs-registry.ts';
import { type Answer, anError, aWire, type Script } from './wire.ts';

const FAMILY = 'baton-agent';
const arnOf = (revision: number) => `arn:aws:ecs:eu-west-1:000000000000:task-definition/${FAMILY}:${revision}`;

async function aRegistry(script: Script) {
  const wire = await aWire(script);
  return { registry: ecsRegistry(new ECSClient({ ...wire.client, maxAttempts: 1 })), wire };
}

const revision = (number: number, status = 'ACTIVE') => ({
  taskDefinition: {
    taskDefinitionArn: arnOf(number),
    family: FAMILY,
    revision: number,
    status,
    registeredAt: 1_900_000_000,
    containerDefinitions: [{ name: 'agent', image: 'i' }],
  },
  tags: [{ key: 'baton:base', value: 'test' }],
});

describe('the task definitions of ECS', () => {
  // T1, T9
  it('are asked for by the bare family, with their tags', async () => {
    const { registry, wire } = await aRegistry(() => ({ body: revision(7) }));
    expect(await registry.newest(FAMILY)).toMatchObject({
      arn: arnOf(7),
      family: FAMILY,
      tags: { 'baton:base': 'test' },
      definition: { containerDefinitions: [{ name: 'agent', image: 'i' }] },
    });
    expect(wire.bodies('DescribeTaskDefinition')).toEqual([{ taskDefinition: FAMILY, include: ['TAGS'] }]);
  });

  // T3
  it('are asked for anew at each use', async () => {
    const { registry } = await aRegistry((_call, nth) => ({ body: revision(nth + 1) }));
    expect((await registry.newest(FAMILY))?.arn).toBe(arnOf(1));
    expect((await registry.newest(FAMILY))?.arn).toBe(arnOf(2));
  });

  it('that are INACTIVE can be described, and started from no more', async () => {
    const { registry } = await aRegistry(() => ({ body: revision(7, 'INACTIVE') }));
    expect(await registry.active(arnOf(7))).toBeUndefined();
    expect(await registry.newest(FAMILY)).toMatchObject({ arn: arnOf(7) });
  });

  it('that ECS does not know are none', async () => {
    const { registry } = await aRegistry(() => anError('ClientException', 'Unable to describe task definition.'));
    expect(await registry.newest(FAMILY)).toBeUndefined();
    expect(await registry.active(arnOf(7))).toBeUndefined();
  });

  it('are registered as they are given, with their tags', async () => {
    const { registry, wire } = await aRegistry(() => ({ body: revision(8) }));
    const definition = { family: 'baton-agent-user', containerDefinitions: [{ name: 'agent', image: 'i' }] };
    expect(await registry.register({ family: 'baton-agent-user', definition, tags: { 'baton:user': 'ada' } })).toBe(
      arnOf(8),
    );
    expect(wire.bodies('RegisterTaskDefinition')).toEqual([
      { ...definition, tags: [{ key: 'baton:user', value: 'ada' }] },
    ]);
  });

  it.each(['The specified task definition is inactive.', 'The specified task definition does not exist.'])(
    'that are gone are put away: %s',
    async (told) => {
      const { registry } = await aRegistry(() => anError('ClientException', told));
      await registry.deregister(arnOf(7));
    },
  );

  it.each<[string, Answer, string, string]>([
    ['are too many at once', anError('ThrottlingException', 'Rate exceeded'), 'compute_throttled', 'soon'],
    ['are away', anError('ServerException', '', 500), 'compute_unavailable', 'soon'],
    ['are not answered', 'hang up', 'compute_unavailable', 'soon'],
    ['are not ours to touch', anError('AccessDeniedException', 'no'), 'compute_denied', 'never'],
    ['are wrong', anError('ClientException', 'Family is empty.'), 'compute_invalid', 'never'],
    ['have no name', { body: {} }, 'compute_unavailable', 'soon'],
  ])('that %s are an error, never an answer', async (_, answer, code, retry) => {
    const { registry } = await aRegistry(() => answer);
    const definition = { family: FAMILY, containerDefinitions: [] };
    await expect(registry.newest(FAMILY)).rejects.toMatchObject({ code, retry });
    await expect(registry.active(arnOf(7))).rejects.toMatchObject({ code, retry });
    await expect(registry.register({ family: FAMILY, definition, tags: {} })).rejects.toMatchObject({ code, retry });
  });

  // All clones are of one family: two users who start at once collide there.
  it('that collide in their family are tried again', async () => {
    const told = 'Too many concurrent attempts to create a new revision of the specified family.';
    const { registry } = await aRegistry(() => anError('ClientException', told));
    await expect(registry.register({ family: FAMILY, definition: {}, tags: {} })).rejects.toMatchObject({
      code: 'compute_throttled',
      message: expect.stringContaining(told),
    });
  });
});
