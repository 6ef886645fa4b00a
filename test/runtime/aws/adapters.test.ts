import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { awsTimings } from '../../../lifecycle/timings.ts';
import { rules } from '../../../rules/index.ts';
import * as agentcore from '../../../runtime/aws/adapters/agentcore.ts';
import * as bus from '../../../runtime/aws/adapters/bus.ts';
import * as clock from '../../../runtime/aws/adapters/clock.ts';
import * as configurations from '../../../runtime/aws/adapters/configurations.ts';
import * as contexts from '../../../runtime/aws/adapters/contexts.ts';
import * as definitions from '../../../runtime/aws/adapters/definitions.ts';
import * as ec2 from '../../../runtime/aws/adapters/ec2.ts';
import * as ecs from '../../../runtime/aws/adapters/ecs.ts';
import * as effects from '../../../runtime/aws/adapters/effects.ts';
import * as letters from '../../../runtime/aws/adapters/letters.ts';
import * as machines from '../../../runtime/aws/adapters/machines.ts';
import * as payloads from '../../../runtime/aws/adapters/payloads.ts';
import * as repositories from '../../../runtime/aws/adapters/repositories.ts';
import * as runs from '../../../runtime/aws/adapters/runs.ts';
import * as screening from '../../../runtime/aws/adapters/screening.ts';
import { secretOf } from '../../../runtime/aws/adapters/secret.ts';
import * as settings from '../../../runtime/aws/adapters/settings.ts';
import * as slots from '../../../runtime/aws/adapters/slots.ts';
import * as tasks from '../../../runtime/aws/adapters/tasks.ts';
import * as webhooks from '../../../runtime/aws/adapters/webhooks.ts';
import * as workers from '../../../runtime/aws/adapters/workers.ts';
import { bedrockAgentcore } from '../../../runtime/aws/clients/bedrock-agentcore.ts';
import { dynamoDb } from '../../../runtime/aws/clients/dynamodb.ts';
import { ecs as ecsClient } from '../../../runtime/aws/clients/ecs.ts';
import { once } from '../../../runtime/aws/clients/once.ts';
import { eventSchema } from '../../../runtime/aws/event-schema.ts';
import type { Adapters } from '../../../runtime/aws/start-function.ts';
import { parsedEvent } from '../../../runtime/parsed-event.ts';
import { portEnvironment } from '../../../schemas/environment.ts';
import { anEcsEvent, aRequest, aSession } from '../../builders.ts';

const SESSIONS = {
  BATON_AGENTCORE_RUNTIME_ARN: aSession().runtimeArn,
  BATON_AGENTCORE_QUALIFIER: 'live',
  BATON_TABLE: 'baton',
  BATON_RECORD_RETENTION_D: 90,
};

/** What Lambda sets, and more, while something is done. */
async function withVariables(more: Readonly<Record<string, string>>, work: () => Promise<void>): Promise<void> {
  const set = { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', ...more };
  Object.assign(process.env, set);
  try {
    await work();
  } finally {
    for (const name of Object.keys(set)) delete process.env[name];
  }
}

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
    agentcore,
    workers,
    ec2,
    machines,
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
      fleets: [],
    });
    expect(settings.open({ ...least, BATON_FLEETS: ['main', 'big'] })).toMatchObject({ fleets: ['main', 'big'] });
    const more = { ...least, BATON_AGENT_COMMAND: 'codex exec', BATON_AGENT_COMMAND_ALLOWED: true };
    expect(settings.open(more)).toMatchObject({ defaultAgentCommand: 'codex exec', agentCommandAllowed: true });
  });

  test('let the tasks of a user wait for one another', () => {
    const { slotKeyOf } = settings.open({ BATON_STAGE: 'main', BATON_COMPUTES: [] });
    expect(slotKeyOf({ repository: '/r', prompt: 'p', userId: 'ada' })).toBe('user:ada');
  });
});

// A21
describe('a client', () => {
  test('is one for all deliveries of a function, however often its ports are opened', async () => {
    let connections = 0;
    let calls = 0;
    const service = createServer((_request, response) => {
      calls++;
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    }).on('connection', () => connections++);
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
    const { port } = service.address() as AddressInfo;
    await withVariables({ AWS_ENDPOINT_URL_BEDROCK_AGENTCORE: `http://127.0.0.1:${port}` }, async () => {
      for (const backend of [agentcore.open(SESSIONS), agentcore.open({ ...SESSIONS })]) {
        for (let n = 0; n < 2; n++) expect(await backend.stop(aSession(), 'cancelled')).toBe('stopping');
      }
    });
    service.close();
    service.closeAllConnections();
    expect({ calls, connections }).toEqual({ calls: 4, connections: 1 });
  });

  test.each<[string, () => unknown]>([
    ['DynamoDB', dynamoDb],
    ['ECS', ecsClient],
    ['AgentCore', bedrockAgentcore],
  ])('is made at its first use and is the same ever after: %s', (_, client) =>
    withVariables({}, async () => expect(client()).toBe(client())),
  );

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
