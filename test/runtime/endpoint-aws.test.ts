import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { DynamoDBClient, GetItemCommand, PutItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { DescribeTasksCommand, ECSClient, StopTaskCommand } from '@aws-sdk/client-ecs';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { CreateScheduleCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetQueueAttributesCommand, GetQueueUrlCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { alarmEvent } from '../../runtime/alarm-event.ts';
import { loopbackServer } from '../../runtime/endpoint/loopback-server.ts';
import { taskIdFor } from '../../runtime/task-id.ts';
import { worldFile } from '../../schemas/world-api.ts';
import { eventually, openScene, type Scene } from '../flows/scene.ts';
import { clientOf, errorOf } from './endpoint/aws/aws-server.ts';

let scene: Scene;
let clients: ReturnType<typeof clientsOf>;
beforeAll(async () => {
  scene = await openScene();
  clients = clientsOf(scene.world.url);
});
afterAll(async () => {
  for (const client of Object.values(clients)) client.destroy();
  await scene.close();
});

/** Who may read the data directory of the world, and so knows the key to its payloads. */
function ownersClient(): S3Client {
  const { accessKeyId = '' } = worldFile.parse(JSON.parse(readFileSync(join(scene.dataDir, 'world.json'), 'utf8')));
  return new S3Client({ ...clientOf(scene.world.url), credentials: { accessKeyId, secretAccessKey: 'any' } });
}

/** Nothing but the address differs from what they are in an account. */
const clientsOf = (url: string) => ({
  events: new EventBridgeClient(clientOf(url)),
  ecs: new ECSClient(clientOf(url)),
  s3: new S3Client(clientOf(url)),
  sqs: new SQSClient(clientOf(url)),
  schedules: new SchedulerClient(clientOf(url)),
  table: new DynamoDBClient(clientOf(url)),
  secrets: new SecretsManagerClient(clientOf(url)),
});

/** A request as a person would write it: nothing but data. Answers the id of the task. */
async function requested(agentCommand: string): Promise<string> {
  const data = { repository: scene.remote, prompt: 'Say hello.', agentCommand };
  const entry = { EventBusName: 'baton', Source: 'baton.request', DetailType: 'TaskRequested' };
  const told = await clients.events.send(
    new PutEventsCommand({ Entries: [{ ...entry, Detail: JSON.stringify({ data }) }] }),
  );
  expect(told.FailedEntryCount).toBe(0);
  const taskId = taskIdFor('local', { eventId: told.Entries?.[0]?.EventId ?? '' });
  return eventually(async () => {
    const known = await scene.world.list();
    return known.find((task) => task.taskId === taskId)?.taskId;
  }, 'the task of the event');
}

describe('a request that is put on the bus by a client of AWS', () => {
  it('becomes a task that completes', async () => {
    const taskId = await requested('cat > hello.txt');
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'COMPLETED', result: { filesChanged: 1 } });
    expect(scene.inRemote('show', `baton/${taskId}:hello.txt`)).toBe('Say hello.');
  });

  it('is not taken in the name of a handler or the alarm clock', async () => {
    const entries = ['baton', 'baton.alarm'].map((Source) => ({
      EventBusName: 'baton',
      Source,
      DetailType: 'TaskCompleted',
      Detail: '{}',
    }));
    const { FailedEntryCount, Entries } = await clients.events.send(new PutEventsCommand({ Entries: entries }));
    expect(FailedEntryCount).toBe(2);
    expect(new Set(Entries?.map(({ ErrorCode }) => ErrorCode))).toEqual(new Set(['NotAuthorizedForSourceException']));
  });

  it('is seen by nobody on another bus', async () => {
    const before = scene.events.length;
    const entry = { Source: 'baton.request', DetailType: 'TaskRequested', Detail: '{"data":{}}' };
    await clients.events.send(new PutEventsCommand({ Entries: [entry] }));
    expect(scene.events.length).toBe(before);
    expect(scene.deadLetters).toEqual([]);
  });
});

describe('the run of a task', () => {
  it('is a task of ECS with its payload on S3, and a stop from outside is a loss', async () => {
    const taskId = await requested('sleep 60');
    const owner = ownersClient();
    const { run } = await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
    const arn = run?.nativeId ?? '';
    const cluster = 'baton';
    const { tasks } = await clients.ecs.send(new DescribeTasksCommand({ cluster, tasks: [arn] }));
    expect(tasks).toMatchObject([{ taskArn: arn, startedBy: run?.startedBy, lastStatus: 'RUNNING' }]);

    const variables = tasks?.[0]?.overrides?.containerOverrides?.[0]?.environment ?? [];
    const reference = variables.find(({ name }) => name === 'BATON_PAYLOAD')?.value ?? '';
    const Bucket = 'baton-payloads';
    const ofPayload = { Bucket, Key: `payloads/${reference}` };
    // The reference stands in native events, which everybody may read: alone it opens nothing.
    await expect(clients.s3.send(new GetObjectCommand(ofPayload))).rejects.toMatchObject({
      name: 'InvalidAccessKeyId',
    });
    const { Body } = await owner.send(new GetObjectCommand(ofPayload));
    expect(JSON.parse((await Body?.transformToString()) ?? '')).toMatchObject({ prompt: 'Say hello.' });

    await clients.ecs.send(new StopTaskCommand({ cluster, task: arn, reason: 'somebody stopped it' }));
    await scene.until(taskId, ({ attempt }) => attempt === 2, 'to be tried again');
    await scene.world.cancel(taskId);
    await scene.settled(taskId);
    const { Contents } = await owner.send(new ListObjectsV2Command({ Bucket, Prefix: `payloads/${taskId}.` }));
    expect(Contents).toBeUndefined();
  });
});

describe('the record of a task', () => {
  it('is an item of the table, found by its key and by its user', async () => {
    const taskId = await requested('true');
    const task = await scene.settled(taskId);
    const Key = { key: { S: `TASK#${taskId}` } };
    const { Item } = await clients.table.send(new GetItemCommand({ TableName: 'baton', Key, ConsistentRead: true }));
    expect(Item).toMatchObject({
      by: { S: 'local' },
      open: { BOOL: false },
      value: { M: { status: { S: 'COMPLETED' } } },
    });
    expect(Item?.['place']?.S).toBe(`${task.submittedAt}#TASK#${taskId}`);
    const { Items } = await clients.table.send(
      new QueryCommand({
        TableName: 'baton',
        IndexName: 'by-place',
        KeyConditionExpression: '#by = :by',
        ExpressionAttributeNames: { '#by': 'by' },
        ExpressionAttributeValues: { ':by': { S: 'local' } },
        ScanIndexForward: false,
        Limit: 1,
      }),
    );
    expect(Items).toEqual([Item]);
    const put = clients.table.send(new PutItemCommand({ TableName: 'baton', Item: Key }));
    expect(await errorOf(put)).toMatchObject({ name: 'AccessDeniedException' });
  });
});

describe('a page of the web', () => {
  it('may not send what makes a call one for AWS', async () => {
    const response = await fetch(scene.world.url, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://example.com',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,x-amz-target',
      },
    });
    expect(response.ok).toBe(false);
    const granted = [...response.headers.keys()].filter((name) => name.startsWith('access-control-'));
    expect(granted).toEqual([]);
  });

  it('is refused under a name of its own', async () => {
    const { port } = scene.world;
    const options = { port, host: '127.0.0.1', method: 'POST', headers: { host: `evil.example:${port}`, ...signed } };
    const status = await new Promise((resolve, reject) => {
      const asked = request(options, (response) => resolve(response.resume().statusCode));
      asked.on('error', reject);
      asked.end('{}');
    });
    expect(status).toBe(403);
  });
  const signed = {
    'x-amz-target': 'AWSEvents.ListEventBuses',
    authorization: 'AWS4-HMAC-SHA256 Credential=a/20260101/local/events/aws4_request, SignedHeaders=host, Signature=0',
  };
});

describe('both alarm clocks', () => {
  const rang = (taskId: string) =>
    eventually(
      () => scene.events.find((event) => event['detail-type'] === 'AlarmRang' && said(event).taskId === taskId),
      'the alarm',
    );
  const said = (event: { detail: unknown }) => (event.detail as { data: { taskId: string } }).data;

  it('ring in the world: the queue at the time of its message', async () => {
    const { QueueUrl } = await clients.sqs.send(new GetQueueUrlCommand({ QueueName: 'baton-alarms' }));
    const at = new Date(Date.now() + 300).toISOString();
    const MessageBody = JSON.stringify(alarmEvent('tqueue', at));
    await clients.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody, DelaySeconds: 1 }));
    expect(said(await rang('tqueue'))).toEqual({ taskId: 'tqueue', at });
  });

  it('ring in the world: the schedule when it is due', async () => {
    const { QueueUrl } = await clients.sqs.send(new GetQueueUrlCommand({ QueueName: 'baton-alarms' }));
    const asked = { QueueUrl, AttributeNames: ['QueueArn' as const] };
    const { Attributes } = await clients.sqs.send(new GetQueueAttributesCommand(asked));
    const at = new Date().toISOString();
    await clients.schedules.send(
      new CreateScheduleCommand({
        Name: 'tschedule-1',
        GroupName: 'baton',
        ScheduleExpression: `at(${at.slice(0, 19)})`,
        FlexibleTimeWindow: { Mode: 'OFF' },
        ActionAfterCompletion: 'DELETE',
        Target: {
          Arn: Attributes?.QueueArn,
          RoleArn: 'arn:aws:iam::000000000000:role/clock',
          Input: JSON.stringify(alarmEvent('tschedule', at)),
        },
      }),
    );
    expect(said(await rang('tschedule'))).toEqual({ taskId: 'tschedule', at });
  });
});

describe('a world that is not open', () => {
  it('tells clients of AWS to try again', async () => {
    const server = await loopbackServer(0);
    const events = new EventBridgeClient(clientOf(server.url));
    const entry = { Source: 'a', DetailType: 'b', Detail: '{}' };
    const error = await errorOf(events.send(new PutEventsCommand({ Entries: [entry] })));
    expect(error).toMatchObject({ name: 'ServiceUnavailable', status: 503 });
    events.destroy();
    await server.close();
  });
});

describe('what the embedded world does not have', () => {
  it('is no service of it: its secret is told to nobody', async () => {
    const error = await errorOf(clients.secrets.send(new GetSecretValueCommand({ SecretId: 'baton' })));
    expect(error).toMatchObject({ name: 'UnknownOperationException', status: 400 });
  });
});
