import { BedrockAgentCoreClient } from '@aws-sdk/client-bedrock-agentcore';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { ECSClient } from '@aws-sdk/client-ecs';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SQSClient } from '@aws-sdk/client-sqs';
import { reactions } from '../handlers/index.ts';
import { awsTimings } from '../lifecycle/timings.ts';
import { eventPatternOf } from '../rules/event-pattern.ts';
import { agentcoreSessions } from '../runtime/aws/agentcore-sessions.ts';
import { awsAlarms } from '../runtime/aws/aws-alarms.ts';
import { QUIET_LOGGER } from '../runtime/aws/clients/client-config.ts';
import { deploymentSecret } from '../runtime/aws/deployment-secret.ts';
import { dynamoStore } from '../runtime/aws/dynamo-store.ts';
import { ecsBackend } from '../runtime/aws/ecs-backend.ts';
import { ecsRegistry } from '../runtime/aws/ecs-registry.ts';
import { eventBridgeBus } from '../runtime/aws/eventbridge-bus.ts';
import { s3Payloads } from '../runtime/aws/s3-payloads.ts';
import { definitionsOver } from '../runtime/definitions.ts';
import { compilePattern } from '../runtime/matcher.ts';
import type { Settings } from '../runtime/ports.ts';
import { configurationsOver, limitsOver, repositoriesOver } from '../runtime/repositories.ts';
import { runsOver } from '../runtime/runs.ts';
import { livesOver, sessionBackend } from '../runtime/session-backend.ts';
import { slotsOver } from '../runtime/slots.ts';
import { tasksOver } from '../runtime/tasks.ts';
import { placesOver } from '../runtime/workers.ts';
import type { Compute } from '../schemas/compute.ts';
import type { Envelope } from '../schemas/envelope.ts';
import { recordedEcs } from './recorded-ecs.ts';
import { recordedFleet } from './recorded-fleet.ts';
import { recordedSessions } from './recorded-sessions.ts';
import { type Answer, type RecordedRequest, recordingTransport } from './recording-transport.ts';

const STAGE = 'main';
const FAMILY = 'baton-agent';

const RUNTIME = 'arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/baton_agent-0123456789';

/** Where the story of a budget begins. */
const BEGINNING_MS = Date.parse('2031-05-01T08:00:00.000Z');

interface Item {
  readonly key: { readonly S: string };
  readonly revision: { readonly N: string };
}

/**
 * For what a request was made: for the task; only to look whether its run lives; by its runner, only to show that it does; or for a machine
 * that joins its fleet.
 */
type Ledger = 'task' | 'looks' | 'beats' | 'joins';

interface Ringing {
  readonly atMs: number;
  readonly event: Envelope;
}

/**
 * The deployment in one process: real adapters, real SDK clients, services that answer from memory, and a clock that only moves when
 * told. It counts what AWS would bill: requests, entries, invocations, and the size of what is written.
 */
export function recordedAws(compute: Compute = 'ecs') {
  let nowMs = BEGINNING_MS;
  const clock = { now: () => new Date(nowMs).toISOString() };
  const table = new Map<string, Item>();
  const objects = new Map<string, string>();
  const pending: Envelope[] = [];
  const alarms: Ringing[] = [];
  const ecsTasks = recordedEcs({ family: FAMILY, stage: STAGE });
  const sessions = recordedSessions();
  const fleet = recordedFleet(STAGE);
  const requests: Record<Ledger, RecordedRequest[]> = { task: [], looks: [], beats: [], joins: [] };
  const invocations: Record<Ledger, string[]> = { task: [], looks: [], beats: [], joins: [] };
  let ledger: Ledger | undefined = 'task';
  let copies = 1;
  let events = 0;

  const services: Readonly<Record<string, (input: Record<string, unknown>) => Answer>> = {
    'dynamodb GetItem': ({ Key }) => ({ json: itemOr((Key as Pick<Item, 'key'>).key.S) }),
    'dynamodb PutItem': putItem,
    'events PutEvents': putEvents,
    'sqs SendMessage': ({ MessageBody, DelaySeconds }) => {
      ring(nowMs + Number(DelaySeconds) * 1000, String(MessageBody));
      return { json: { MessageId: 'm', MD5OfMessageBody: undefined } };
    },
    'scheduler CreateSchedule': ({ ScheduleExpression, Target }) => {
      const at = /^at\((.+)\)$/.exec(String(ScheduleExpression))?.[1];
      ring(Date.parse(`${at}Z`), (Target as { Input: string }).Input);
      return { json: { ScheduleArn: 'arn:aws:scheduler:us-east-1:000000000000:schedule/baton/s' } };
    },
    's3 PutObject': ({ key, text }) => {
      objects.set(String(key), String(text));
      return { text: '' };
    },
    's3 GetObject': ({ key }) => ({ text: objects.get(String(key)) ?? '' }),
    's3 DeleteObject': ({ key }) => {
      objects.delete(String(key));
      return { text: '' };
    },
    ...ecsTasks.services,
    'secretsmanager GetSecretValue': () => ({ json: { SecretString: 'a secret of this story' } }),
    ...sessions.services,
    ...fleet.services,
  };

  const client = {
    region: 'us-east-1',
    credentials: { accessKeyId: 'none', secretAccessKey: 'none' },
    maxAttempts: 1,
    logger: QUIET_LOGGER,
    requestHandler: recordingTransport((request) => {
      if (ledger) requests[ledger].push(request);
      const service = services[`${request.service} ${request.operation}`];
      if (!service) throw new Error(`the story needs no ${request.service} ${request.operation}`);
      return service(request.input);
    }),
  };
  const store = dynamoStore({
    client: new DynamoDBClient(client),
    table: 'baton',
    retentionDays: 90,
    now: () => nowMs,
  });
  const secret = deploymentSecret({ client: new SecretsManagerClient(client), secretArn: 'arn:aws:secretsmanager:s' });
  const bus = eventBridgeBus({ client: new EventBridgeClient(client), bus: 'baton' });
  const runs = runsOver({ store, clock, secret });
  const tasks = tasksOver({
    store,
    runs,
    clock,
    timings: () => awsTimings,
    alarms: awsAlarms({
      sqs: new SQSClient({ ...client, md5: false }),
      scheduler: new SchedulerClient(client),
      queueUrl: 'https://sqs.us-east-1.amazonaws.com/000000000000/baton-alarms',
      queueArn: 'arn:aws:sqs:us-east-1:000000000000:baton-alarms',
      group: 'baton',
      roleArn: 'arn:aws:iam::000000000000:role/baton-alarms',
      now: clock.now,
    }),
  });
  const ecs = new ECSClient(client);
  const limitOf = limitsOver(repositoriesOver({ store }), () => 10);
  const fleetPorts = fleet.portsOver({ client, store, clock });
  const settings: Settings = {
    stage: STAGE,
    timings: awsTimings,
    defaultAgentCommand: 'claude -p',
    agentCommandAllowed: false,
    screening: 'off',
    computes: [compute],
    fleets: ['main'],
    slotKeyOf: ({ userId }) => `user:${userId}`,
  };
  const ports: Readonly<Record<string, unknown>> = {
    tasks,
    runs,
    settings,
    clock,
    repositories: repositoriesOver({ store }),
    configurations: configurationsOver({ store }),
    slots: slotsOver({ store, tasks, clock, limitOf: placesOver(fleetPorts.workers, limitOf) }),
    payloads: s3Payloads({ client: new S3Client(client), bucket: 'baton-payloads', secret }),
    definitions: definitionsOver({ store, registry: ecsRegistry(ecs), clock, stage: STAGE, baseFamily: FAMILY }),
    ...fleetPorts,
    agentcore: sessionBackend({
      sessions: agentcoreSessions(new BedrockAgentCoreClient(client)),
      runtimeArn: RUNTIME,
      qualifier: 'DEFAULT',
      lifeOf: livesOver({ tasks, runs, clock, timings: () => awsTimings }),
    }),
    ecs: ecsBackend({
      client: ecs,
      cluster: 'arn:aws:ecs:us-east-1:000000000000:cluster/baton',
      taskFamily: FAMILY,
      subnets: ['subnet-1'],
      securityGroups: ['sg-1'],
    }),
  };
  const surroundings = {
    now: clock.now,
    republishAgeSeconds: () => awsTimings.REPUBLISH_AGE_S,
    journal: { ignored: () => undefined, duplicate: () => undefined },
  };
  const targets = reactions.map((reaction) => ({ reaction, fits: compilePattern(eventPatternOf(reaction.rule)) }));

  return {
    clock,
    tasks,
    requests,
    invocations,
    /** Starts that ECS was asked for. */
    started: ecsTasks.started,
    /** Sessions that AgentCore was asked for. */
    sessions: sessions.begun,
    fleet,
    /** What runners do is not what the control plane does: it is not recorded, or apart. */
    asRunner: <Done>(does: (runner: typeof runs) => Promise<Done>, into?: 'beats'): Promise<Done> =>
      recordedInto(into, () => does(runs)),
    /** From now on every event is delivered this often to each rule. */
    deliver(times: number) {
      copies = times;
    },
    /** An event from outside; then all that follows from it. */
    async happens(event: Envelope, into: Ledger = 'task'): Promise<void> {
      pending.push(event);
      await recordedInto(into, settle);
    },
    /** Time passes; alarms ring when it is their time. Without a time: until none is left. */
    async passes(toMs = Number.POSITIVE_INFINITY): Promise<void> {
      for (;;) {
        alarms.sort((a, b) => a.atMs - b.atMs);
        const next = alarms[0];
        if (!next || next.atMs > toMs) break;
        alarms.shift();
        nowMs = Math.max(nowMs, next.atMs);
        pending.push(next.event);
        await recordedInto((await isLook(next.event)) ? 'looks' : 'task', settle);
      }
      if (Number.isFinite(toMs)) nowMs = Math.max(nowMs, toMs);
    },
    nowMs: () => nowMs,
  };

  async function recordedInto<Done>(into: Ledger | undefined, does: () => Promise<Done>): Promise<Done> {
    const before = ledger;
    ledger = into;
    try {
      return await does();
    } finally {
      ledger = before;
    }
  }

  /** Does this alarm ring for nothing else than a look at signs of life? */
  async function isLook({ detail }: Envelope): Promise<boolean> {
    const { taskId } = (detail as { data: { taskId: string } }).data;
    const task = await recordedInto(undefined, () => tasks.get(taskId));
    const due = Object.entries(task?.due ?? {}).flatMap(([purpose, at]) => (at <= clock.now() ? [purpose] : []));
    return due.length > 0 && due.every((purpose) => purpose === 'life');
  }

  async function settle(): Promise<void> {
    for (let event = pending.shift(); event; event = pending.shift()) {
      for (const { reaction, fits } of targets) {
        if (!fits(event)) continue;
        for (let copy = 0; copy < copies; copy++) {
          if (ledger) invocations[ledger].push(reaction.rule.name);
          await bus.publish(await reaction.run(event, ports, surroundings, { tries: 1 }));
        }
      }
    }
  }

  function putItem({ Item: item, ConditionExpression, ExpressionAttributeValues }: Record<string, unknown>): Answer {
    const next = item as Item;
    const old = table.get(next.key.S);
    const expected = Object.values((ExpressionAttributeValues ?? {}) as Record<string, { N?: string }>)[0]?.N;
    const holds = /attribute_not_exists/.test(String(ConditionExpression)) ? !old : old?.revision.N === expected;
    if (!holds)
      return {
        error: 'ConditionalCheckFailedException',
        json: { message: 'The conditional request failed', Item: old },
      };
    table.set(next.key.S, next);
    return { json: {} };
  }

  function itemOr(key: string): object {
    const item = table.get(key);
    return item ? { Item: item } : {};
  }

  function putEvents({ Entries }: Record<string, unknown>): Answer {
    const entries = Entries as { Source: string; DetailType: string; Detail: string; Resources?: string[] }[];
    for (const { Source, DetailType, Detail, Resources = [] } of entries) {
      pending.push({
        version: '0',
        id: `event-${++events}`,
        'detail-type': DetailType,
        source: Source,
        account: '000000000000',
        time: clock.now(),
        region: 'us-east-1',
        resources: Resources,
        detail: JSON.parse(Detail) as object,
      });
    }
    return { json: { FailedEntryCount: 0, Entries: entries.map((_, place) => ({ EventId: `e${place}` })) } };
  }

  function ring(atMs: number, body: string): void {
    alarms.push({ atMs, event: JSON.parse(body) as Envelope });
  }
}
