import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { rules } from '../../../../rules/index.ts';
import { agentcoreService } from '../../../../runtime/endpoint/aws/agentcore.ts';
import { archiveOperations } from '../../../../runtime/endpoint/aws/archive-operations.ts';
import { autoScalingService } from '../../../../runtime/endpoint/aws/auto-scaling.ts';
import { AwsError } from '../../../../runtime/endpoint/aws/aws-error.ts';
import type { AwsService } from '../../../../runtime/endpoint/aws/aws-service.ts';
import { memoryBucket } from '../../../../runtime/endpoint/aws/buckets.ts';
import { dynamoDbService } from '../../../../runtime/endpoint/aws/dynamodb.ts';
import { ec2Service } from '../../../../runtime/endpoint/aws/ec2.ts';
import { ecsService } from '../../../../runtime/endpoint/aws/ecs.ts';
import { eventBridgeService } from '../../../../runtime/endpoint/aws/eventbridge.ts';
import { listedRules } from '../../../../runtime/endpoint/aws/listed-rules.ts';
import { memorySchedules } from '../../../../runtime/endpoint/aws/memory-schedules.ts';
import { replayOperations } from '../../../../runtime/endpoint/aws/replay-operations.ts';
import { s3Service } from '../../../../runtime/endpoint/aws/s3.ts';
import { schedulerService } from '../../../../runtime/endpoint/aws/scheduler.ts';
import { sqsService } from '../../../../runtime/endpoint/aws/sqs.ts';
import { ssmService } from '../../../../runtime/endpoint/aws/ssm.ts';
import { archivesOver } from '../../../../runtime/engine/archives.ts';
import type { CommandRecord, InstanceRecord } from '../../../../runtime/engine/local-fleet-records.ts';
import { localRegistry } from '../../../../runtime/engine/local-registry.ts';
import { memoryArchive } from '../../../../runtime/engine/memory-archive.ts';
import { memoryStore } from '../../../../runtime/engine/memory-store.ts';
import { replaysOver } from '../../../../runtime/engine/replay.ts';
import { realScheduler } from '../../../../runtime/engine/scheduler.ts';
import { runKey } from '../../../../runtime/records.ts';
import { anEcsTask, aRunRecord, aTaskId, at } from '../../../builders.ts';
import { place } from './aws-server.ts';

const COMMAND_ID = '00000000-0000-4000-8000-000000000000';
const store = memoryStore();
await store.put(runKey(aTaskId(), 1), aRunRecord(), 'absent');
const now = () => at(0);
const book = memorySchedules({
  scheduler: realScheduler(),
  targets: [{ arn: 'arn:q', deliver: async () => undefined }],
});
afterAll(() => book.stop());
const queue = { name: 'q', arn: 'arn:q', url: 'http://h/0/q', send: async () => 'id', attributes: () => ({}) };
const tasks = {
  startOnce: async () => ({ outcome: 'conflict' as const, taskArn: 'arn:t' }),
  taskArns: () => ['arn:t'],
  describe: async () => anEcsTask(),
  tags: async () => ({ a: 'b' }),
  stop: async () => 'stopping' as const,
};
const sessions = {
  invoke: async () => ({ status: 200, contentType: 'text/plain', body: Buffer.from('{}') }),
  stop: async () => undefined,
};
const archive = memoryArchive(Date.now);
const archives = archivesOver({ store, nowMs: Date.now });
const names = { fleet: 'main', group: 'baton', hook: 'b' };
const worker: InstanceRecord = {
  ...{ schemaVersion: 1, instanceId: 'i-1', fleet: 'main', state: 'running', launchedAt: at(0), changedAt: at(0) },
};
const command: CommandRecord = {
  ...{ schemaVersion: 1, commandId: COMMAND_ID, instanceId: 'i-1', document: 'baton', parameters: {}, comment: '' },
  ...{ requestedAt: at(0), deliverySeconds: 60, executionSeconds: 60, responseCode: 0 },
  ...{ status: 'Success', details: 'Success' },
};
const fleet = {
  documents: () => ['baton'],
  send: async () => command,
  cancel: async () => undefined,
  command: async () => command,
  commands: async () => [command],
  output: () => '',
  instances: async () => [worker],
  terminate: async () => worker,
  protect: async () => undefined,
  completeLifecycle: async () => undefined,
};
const kept = { place, ownBus: 'baton', archive, archives, now };
const bus = { publish: async () => undefined, pending: () => 0 };
const replays = replaysOver({ store, bus, scheduler: realScheduler(), archive, archives, random: Math.random });
const services: AwsService[] = [
  eventBridgeService({
    place,
    now,
    buses: [{ name: 'baton', publish: async () => undefined }],
    rules: listedRules(rules, 'baton', place),
    more: { ...archiveOperations(kept), ...replayOperations({ ...kept, replays, rules: [] }) },
  }),
  ecsService({ place, tasks, clusters: ['baton'], registry: localRegistry({ store, nowMs: Date.now }) }),
  s3Service({ buckets: [memoryBucket('b', now)] }),
  sqsService({ queues: [queue] }),
  schedulerService({ place, groups: ['baton', 'default'], book, now }),
  agentcoreService({ sessions, runtimes: ['arn:r'], qualifiers: ['DEFAULT'] }),
  ssmService(fleet),
  ec2Service(fleet, place),
  autoScalingService(fleet, names, place),
  dynamoDbService({ place, table: 'baton', store }),
];

/** Members that the operations look at; more of them are right than in any JSON. */
const NAMES = [
  ...['Entries', 'EventPattern', 'Event', 'Name', 'Rule', 'EventBusName', 'NextToken', 'Limit', 'NamePrefix'],
  ...['cluster', 'tasks', 'task', 'taskDefinition', 'count', 'startedBy', 'overrides', 'nextToken', 'clientToken'],
  ...['family', 'containerDefinitions', 'launchType', 'capacityProviderStrategy', 'propagateTags', 'tags', 'include'],
  ...['familyPrefix', 'status', 'sort', 'maxResults'],
  ...['Bucket', 'Key', 'Keys', 'Quiet', 'Body', 'Prefix', 'MaxKeys', 'ContinuationToken', 'StartAfter'],
  ...['ArchiveName', 'EventSourceArn', 'RetentionDays', 'ReplayName', 'EventStartTime', 'EventEndTime', 'Destination'],
  ...['QueueUrl', 'QueueName', 'MessageBody', 'DelaySeconds', 'AttributeNames'],
  ...['GroupName', 'ScheduleExpression', 'FlexibleTimeWindow', 'Target'],
  ...['agentRuntimeArn', 'qualifier', 'runtimeSessionId', 'contentType', 'payload'],
  ...[
    'InstanceIds',
    'InstanceId',
    'DocumentName',
    'Parameters',
    'CommandId',
    'Filters',
    'TimeoutSeconds',
    'MaxResults',
  ],
  ...[
    'AutoScalingGroupName',
    'AutoScalingGroupNames',
    'ShouldDecrementDesiredCapacity',
    'ProtectedFromScaleIn',
    'LifecycleHookName',
    'Filter',
  ],
  ...['TableName', 'IndexName', 'KeyConditionExpression', 'FilterExpression', 'ExclusiveStartKey', 'UpdateExpression'],
  ...['ConditionExpression', 'ExpressionAttributeNames', 'ExpressionAttributeValues', 'ReturnValues'],
];
const likely: readonly unknown[] = [
  ...[
    'baton',
    'b',
    'q',
    'http://h/0/q',
    'by-place',
    'default',
    'baton-agent',
    'baton-agent:1',
    'arn:t',
    'arn:r',
    'DEFAULT',
    'a-session-id-of-more-than-33-characters',
    'at(2999-01-01T00:00:00)',
    '__proto__',
  ],
  ...[
    '#a = :b',
    'SET #a = :b',
    'ADD a :b',
    'REMOVE a[0].b',
    'a = :b AND (b < :b OR NOT begins_with(c, :b))',
    '{"source":["a"]}',
  ],
  ...[1, 0, -1, 1e300, null, true, [], {}],
  { key: { S: runKey(aTaskId(), 1) } },
  { ':b': { S: 'x' } },
  { ':b': { N: 'x' } },
  { ':b': { L: 7 } },
  { ':b': { M: null } },
  { ':b': { S: 7 } },
  { '#a': 'a' },
  { Mode: 'OFF' },
  COMMAND_ID,
  'i-1',
  ['i-1'],
  'true',
  { a: ['b'] },
  [{ key: 'Status', value: 'Success' }],
  [{ Name: 'instance-id', Value: ['i-1'] }],
  { Arn: 'arn:q', RoleArn: 'r' },
  [{ Source: 'a', DetailType: 'b', Detail: '{}', Time: 1e300 }],
  [{ Source: 'a', DetailType: 'b', Detail: '{}' }],
  [{ name: 'agent', image: 'x', mountPoints: [] }],
  [{ capacityProvider: 'FARGATE_SPOT', weight: 1 }],
  [{ key: 'a', value: 'b' }],
];
/** Without these, nearly all that is asked would be refused before it is looked at. */
const BASICS = {
  ...{ TableName: 'baton', cluster: 'baton', Bucket: 'b' },
  ...{ agentRuntimeArn: 'arn:r', payload: Buffer.from('{}') },
};
const value = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...likely) }, fc.jsonValue(), fc.string());
const input = fc.dictionary(
  fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...NAMES) }, { weight: 1, arbitrary: fc.string() }),
  value,
  {
    maxKeys: 12,
  },
);

describe('an operation', () => {
  it.each(
    services.flatMap(({ signingName, operations }) =>
      Object.entries(operations).map(([name, run]) => [`${signingName} ${name}`, run] as const),
    ),
  )('answers or refuses any JSON: %s', async (_name, run) => {
    await fc.assert(
      fc.asyncProperty(input, async (given) => {
        try {
          await run({ ...BASICS, ...given });
        } catch (error) {
          if (!(error instanceof AwsError)) throw error;
          expect(error.status).toBeLessThan(500);
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe('a request', () => {
  const word = fc.oneof(
    fc.constantFrom(
      'b',
      'payloads',
      '%',
      '%2F',
      '..',
      '',
      'schedules',
      'list-type',
      '2',
      'delete',
      'prefix',
      'STREAMING-X',
    ),
    fc.string(),
  );
  const call = fc.record({
    method: fc.constantFrom('GET', 'PUT', 'POST', 'HEAD', 'DELETE', 'PATCH'),
    path: fc.array(word, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
    query: fc.array(fc.tuple(word, word), { maxLength: 3 }).map((pairs) => new URLSearchParams(pairs)),
    headers: fc.dictionary(
      fc.constantFrom('x-amz-content-sha256', 'x-amz-decoded-content-length', 'content-md5', 'x-amz-target'),
      word,
    ),
    body: fc
      .oneof(
        fc.constantFrom('1\r\na\r\n0\r\n\r\n', '<Delete><Object><Key>&#x110000;</Key></Object></Delete>', '{"a":'),
        fc.string(),
      )
      .map((text) => Buffer.from(text)),
  });

  it.each(services.map(({ signingName, protocol }) => [signingName, protocol] as const))(
    'is read or refused, whatever it says: %s',
    (_name, protocol) => {
      fc.assert(
        fc.property(call, (given) => {
          try {
            protocol.read(given);
          } catch (error) {
            if (!(error instanceof AwsError)) throw error;
          }
        }),
        { numRuns: 500 },
      );
    },
  );
});
