import { describe, expect, test } from '@jest/globals';
import { awsTimings } from '../../../lifecycle/timings.ts';
import { rules } from '../../../rules/index.ts';
import * as bus from '../../../runtime/aws/adapters/bus.ts';
import * as clock from '../../../runtime/aws/adapters/clock.ts';
import * as configurations from '../../../runtime/aws/adapters/configurations.ts';
import * as contexts from '../../../runtime/aws/adapters/contexts.ts';
import * as definitions from '../../../runtime/aws/adapters/definitions.ts';
import * as ecs from '../../../runtime/aws/adapters/ecs.ts';
import * as effects from '../../../runtime/aws/adapters/effects.ts';
import * as letters from '../../../runtime/aws/adapters/letters.ts';
import * as payloads from '../../../runtime/aws/adapters/payloads.ts';
import * as repositories from '../../../runtime/aws/adapters/repositories.ts';
import * as runs from '../../../runtime/aws/adapters/runs.ts';
import * as screening from '../../../runtime/aws/adapters/screening.ts';
import { secretOf } from '../../../runtime/aws/adapters/secret.ts';
import * as settings from '../../../runtime/aws/adapters/settings.ts';
import * as slots from '../../../runtime/aws/adapters/slots.ts';
import * as tasks from '../../../runtime/aws/adapters/tasks.ts';
import * as webhooks from '../../../runtime/aws/adapters/webhooks.ts';
import { dynamoDb } from '../../../runtime/aws/clients/dynamodb.ts';
import { once } from '../../../runtime/aws/clients/once.ts';
import { eventSchema } from '../../../runtime/aws/event-schema.ts';
import type { Adapters } from '../../../runtime/aws/start-function.ts';
import { parsedEvent } from '../../../runtime/parsed-event.ts';
import { portEnvironment } from '../../../schemas/environment.ts';
import { anEcsEvent, aRequest } from '../../builders.ts';

describe('the ports on AWS', () => {
  const adapters = {
    bus,
    clock,
    configurations,
    contexts,
    screening,
    definitions,
    ecs,
    effects,
    letters,
    payloads,
    repositories,
    runs,
    settings,
    slots,
    tasks,
    webhooks,
  } satisfies Required<Adapters>;

  test('are those that infrastructure sets an environment for, and all that any rule uses', () => {
    expect(Object.keys(adapters).sort()).toEqual(Object.keys(portEnvironment).sort());
    for (const port of rules.flatMap(({ uses }) => uses)) expect(adapters).toHaveProperty(port);
  });

  test('take the agent command from the deployment, and from a request only where that is allowed by name', () => {
    const least = { BATON_STAGE: 'main', BATON_COMPUTES: ['ecs' as const] };
    expect(settings.open(least)).toMatchObject({
      stage: 'main',
      timings: awsTimings,
      agentCommandAllowed: false,
      computes: ['ecs'],
    });
    const more = { ...least, BATON_AGENT_COMMAND: 'codex exec', BATON_AGENT_COMMAND_ALLOWED: true };
    expect(settings.open(more)).toMatchObject({ defaultAgentCommand: 'codex exec', agentCommandAllowed: true });
  });

  test('let the tasks of a user wait for one another', () => {
    const { slotKeyOf } = settings.open({ BATON_STAGE: 'main', BATON_COMPUTES: [] });
    expect(slotKeyOf({ repository: '/r', prompt: 'p', userId: 'ada' })).toBe('user:ada');
  });
});

describe('a client', () => {
  test('is made at its first use and is the same ever after', () => {
    process.env['AWS_REGION'] = 'us-east-1';
    expect(dynamoDb()).toBe(dynamoDb());
    delete process.env['AWS_REGION'];
  });

  test('is made again only when its making failed', () => {
    let made = 0;
    const client = once(() => {
      made++;
      if (made === 1) throw new Error('no region');
      return { made };
    });
    expect(client).toThrow('no region');
    expect(client()).toEqual({ made: 2 });
    expect(client()).toEqual({ made: 2 });
  });
});

describe('the secret of the deployment', () => {
  test('is one for all ports of a function, so that it is asked for once', () => {
    const arn = { BATON_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:000000000000:secret:baton' };
    expect(secretOf(arn)).toBe(secretOf({ ...arn }));
    expect(secretOf(arn)).not.toBe(secretOf({ BATON_SECRET_ARN: `${arn.BATON_SECRET_ARN}-2` }));
  });
});

describe('an event at the door of a function', () => {
  const on = rules.flatMap((rule) => rule.on);
  const schema = eventSchema(on);

  test.each([
    ['a request whose data does not fit', aRequest('TaskRequested', { prompt: 7 })],
    ['a request that fits', aRequest('TaskCancelRequested', { taskId: `t${'0'.repeat(24)}`, extra: 1 })],
    ['a state change of ECS', anEcsEvent()],
  ])('is parsed as on the in-process bus: %s', (_, event) => {
    expect(schema.parse(event)).toEqual(parsedEvent(event, on));
  });

  test('is refused when the in-process bus refuses it, in the same words', () => {
    const { detail, ...rest } = anEcsEvent();
    const broken = { ...rest, detail: { ...(detail as object), taskArn: 7 } };
    const { error } = schema.safeParse(broken);
    expect(() => parsedEvent(broken, on)).toThrow(error?.issues[0]?.message ?? 'nothing');
  });
});
