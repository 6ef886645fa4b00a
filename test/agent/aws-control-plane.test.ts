import { createHash } from 'node:crypto';
import { type DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { awsControlPlane } from '../../agent/aws-control-plane.ts';
import type { ControlPlane, Patience, RunEvent } from '../../agent/control-plane.ts';
import { runKey } from '../../schemas/record-keys.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import { type DynamoServer, dynalite } from '../aws/dynamo-server.ts';
import { aClaim, anArn, aReport, aRunRecord, aTaskId } from '../builders.ts';
import { type AwsStub, type Fault, type Operation, startAwsStub } from './aws-stub.ts';

const taskId = aTaskId();
const runToken = 'the token of this very attempt';
const run = { taskId, attempt: 1, nativeId: anArn(), runToken };
const key = marshall({ key: runKey(taskId, 1) });
const savedWork = { branch: `baton/${taskId}`, commit: 'abc' };
const progress: RunEvent = { type: 'RunProgressed', seq: 0, data: { text: 'cloning' } };

/** Longer than any answer takes on a busy machine. */
const patient: Patience = () => 20_000;
/** A patience for one try and no other. */
function oneTry(): Patience {
  let asked = 0;
  return () => (asked++ === 0 ? 20_000 : 0);
}

let engine: DynamoServer;
let table: string;
let direct: DynamoDBClient;
let stub: AwsStub;
const clients: { destroy(): void }[] = [];
beforeAll(async () => {
  engine = await dynalite.start();
  table = await engine.createTable();
  direct = engine.client();
});
afterAll(async () => {
  direct?.destroy();
  await engine?.stop();
});
beforeEach(async () => {
  stub = await startAwsStub(engine.endpoint);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await stub.close();
});

/** `sends`: how often the SDK itself sends a request before it gives up. */
function controlPlane(sends = 1): ControlPlane {
  const config = {
    endpoint: stub.url,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: sends,
  };
  const made = {
    dynamoDb: engine.client(config),
    s3: new S3Client(config),
    eventBridge: new EventBridgeClient(config),
  };
  clients.push(...Object.values(made));
  return awsControlPlane({ ...made, table, bucket: 'payloads', bus: 'the-bus' });
}

async function has(fields: Partial<RunRecord> = {}): Promise<void> {
  const tokenHash = createHash('sha256').update(runToken).digest('hex');
  const value = aRunRecord({ tokenHash, ...fields });
  const item = { ...unmarshall(key), revision: 5, writeId: 'of a handler', expiresAt: 4_000_000_000, value };
  await direct.send(new PutItemCommand({ TableName: table, Item: marshall(item) }));
}

async function item(): Promise<Record<string, unknown> & { value: RunRecord }> {
  const { Item = {} } = await direct.send(new GetItemCommand({ TableName: table, Key: key, ConsistentRead: true }));
  return unmarshall(Item) as Record<string, unknown> & { value: RunRecord };
}

const told = (call: Promise<unknown>): Promise<unknown> =>
  call.catch((error: unknown) => (error instanceof Error ? error.name : 'no error'));

describe('a write of the runner', () => {
  it('is one request, raises the revision, leaves a mark of its own and touches nothing else', async () => {
    await has();
    const before = await item();
    await controlPlane().claim(run, patient);
    const after = await item();
    expect(stub.asked).toEqual(['UpdateItem']);
    expect(after).toEqual({
      ...before,
      revision: 6,
      writeId: expect.not.stringMatching('of a handler'),
      value: { ...before.value, claim: { nativeId: run.nativeId, at: expect.any(String) } },
    });
  });

  it('leaves other marks than the write before', async () => {
    await has({ claim: aClaim() });
    const marks = new Set<unknown>();
    for (let n = 0; n < 3; n++) {
      await controlPlane().heartbeat(run, patient);
      marks.add((await item())['writeId']);
    }
    expect(marks.size).toBe(3);
  });

  it('keeps a text that was cut in the middle of an emoji', async () => {
    await has({ claim: aClaim() });
    const message = '🥁'.slice(0, 1);
    const report = aReport({ outcome: 'failed', reason: { code: 'agent_failed', message } });
    stub.fault('UpdateItem', 'answer lost');
    expect(await controlPlane().report(run, report, patient)).toBe('stored');
    expect((await item()).value.report?.reason?.message).toBe('\uFFFD');
  });
});

describe('a write whose answer was lost', () => {
  it.each([
    ['by the SDK', 3],
    ['by the runner', 1],
  ])('is known as its own when it is sent again %s', async (_, sends) => {
    await has();
    stub.fault('UpdateItem', 'answer lost');
    expect(await controlPlane(sends).claim(run, patient)).toBe('claimed');
    stub.fault('UpdateItem', 'answer lost');
    expect(await controlPlane(sends).report(run, aReport({ savedWork }), patient)).toBe('stored');
    expect(stub.asked.filter((operation) => operation === 'UpdateItem')).toHaveLength(4);
    expect((await item())['revision']).toBe(7);
  });

  it('is known as its own also when others wrote meanwhile', async () => {
    await has({ claim: aClaim() });
    stub.fault('UpdateItem', 'answer lost');
    const release = stub.hold('GetItem');
    const reporting = controlPlane().report(run, aReport(), patient);
    await until('it looks what refused it', () => stub.asked.includes('GetItem'));
    await controlPlane().heartbeat(run, patient);
    release();
    expect(await reporting).toBe('stored');
  });

  it('is not mistaken for what another call had written', async () => {
    await has({ claim: aClaim(), report: aReport({ agentExitCode: 7 }) });
    stub.fault('UpdateItem', 'unsent');
    expect(await controlPlane().report(run, aReport(), patient)).toBe('already');
    expect((await item()).value.report?.agentExitCode).toBe(7);
  });
});

describe('a trouble that passes', () => {
  const troubles: [operation: Operation, fault: Fault][] = [
    ['UpdateItem', { status: 400, error: 'ProvisionedThroughputExceededException' }],
    ['UpdateItem', { status: 400, error: 'ThrottlingException' }],
    ['UpdateItem', { status: 400, error: 'ExpiredTokenException' }],
    ['UpdateItem', { status: 429, error: 'Whatever' }],
    ['UpdateItem', { status: 500, error: 'InternalServerError' }],
    ['UpdateItem', 'unsent'],
    ['GetObject', { status: 503, error: 'SlowDown' }],
    ['GetObject', { status: 400, error: 'ExpiredToken' }],
    ['GetObject', 'unsent'],
    ['PutEvents', { status: 400, error: 'ThrottlingException' }],
    ['PutEvents', { status: 500, error: 'InternalException' }],
    ['PutEvents', 'unsent'],
  ];
  const ask: Partial<Record<Operation, (patience: Patience) => Promise<unknown>>> = {
    UpdateItem: (patience) => controlPlane().confirm(run, patience),
    GetObject: (patience) => controlPlane().payload('ref', patience),
    PutEvents: (patience) => controlPlane().event(run, progress, patience),
  };
  beforeEach(async () => {
    await has({ claim: aClaim() });
    const payload = {
      schemaVersion: 1,
      taskId,
      attempt: 1,
      runToken,
      repository: '/srv/repository',
      branch: `baton/${taskId}`,
      prompt: 'Do it.',
      agentCommand: 'agent',
      deadlineAt: new Date().toISOString(),
    };
    stub.objects.set('payloads/payloads/ref', JSON.stringify(payload));
  });

  it.each(troubles)('of %s (%j) is waited for', async (operation, fault) => {
    stub.fault(operation, fault, 2);
    await ask[operation]?.(patient);
    expect(stub.asked).toEqual([operation, operation, operation]);
  });

  it.each(troubles)('of %s (%j) ends the call when the patience ends', async (operation, fault) => {
    stub.fault(operation, fault, 2);
    await expect(ask[operation]?.(oneTry())).rejects.toMatchObject({ name: 'Unavailable' });
    expect(stub.asked).toEqual([operation]);
  });

  it('is not waited for any longer once a stop has shortened the patience', async () => {
    let leftMs = 20_000;
    stub.fault('UpdateItem', { status: 500, error: 'InternalServerError' }, 100);
    const confirming = told(controlPlane().confirm(run, () => leftMs));
    await until('it has tried again', () => stub.asked.length > 1);
    leftMs = 0;
    expect(await confirming).toBe('Unavailable');
  });

  it('of an answer that does not come ends with the patience', async () => {
    const release = stub.hold('UpdateItem');
    let asked = 0;
    const patience: Patience = () => (asked++ === 0 ? 100 : 0);
    expect(await told(controlPlane().confirm(run, patience))).toBe('Unavailable');
    release();
  });

  it('while it looks what refused a write is waited for', async () => {
    stub.fault('GetItem', { status: 400, error: 'ThrottlingException' });
    expect(await controlPlane().claim(run, patient)).toBe('already');
    expect(stub.asked).toEqual(['UpdateItem', 'GetItem', 'UpdateItem', 'GetItem']);
  });
});

describe('a refusal', () => {
  it.each<[Operation, number, string]>([
    ['UpdateItem', 400, 'AccessDeniedException'],
    ['UpdateItem', 400, 'ResourceNotFoundException'],
    ['UpdateItem', 400, 'UnrecognizedClientException'],
    ['GetObject', 403, 'AccessDenied'],
    ['GetObject', 404, 'NoSuchBucket'],
    ['PutEvents', 400, 'AccessDeniedException'],
  ])('of %s (%i %s) is final, and says what was asked', async (operation, status, error) => {
    stub.fault(operation, { status, error }, 3);
    const asking = {
      UpdateItem: () => controlPlane(3).claim(run, patient),
      GetObject: () => controlPlane(3).payload('ref', patient),
      PutEvents: () => controlPlane(3).event(run, progress, patient),
    };
    const refused = asking[operation as keyof typeof asking]();
    await expect(refused).rejects.toMatchObject({
      name: 'Refused',
      message: expect.stringMatching(new RegExp(`${operation}: ${error}`)),
    });
    expect(stub.asked).toEqual([operation]);
  });
});

describe('an event', () => {
  it('goes to the bus of the deployment', async () => {
    await controlPlane().event(run, progress, patient);
    expect(stub.entries).toEqual([
      expect.objectContaining({ EventBusName: 'the-bus', Source: 'baton.agent', DetailType: 'RunProgressed' }),
    ]);
  });

  it('that the bus did not take, although it answered, is put again', async () => {
    stub.entryFaults.push('InternalFailure', 'ThrottlingException');
    await controlPlane().event(run, progress, patient);
    expect(stub.asked).toEqual(['PutEvents', 'PutEvents', 'PutEvents']);
    expect(stub.entries).toHaveLength(1);
  });

  it('that the bus does not take before the patience ends is given up', async () => {
    stub.entryFaults.push('InternalFailure', 'InternalFailure');
    expect(await told(controlPlane().event(run, progress, oneTry()))).toBe('Unavailable');
    expect(stub.entries).toEqual([]);
  });

  it('that the bus never takes from this source is refused', async () => {
    stub.entryFaults.push('NotAuthorizedForSourceException');
    await expect(controlPlane().event(run, progress, patient)).rejects.toMatchObject({
      name: 'Refused',
      message: expect.stringContaining('NotAuthorizedForSourceException'),
    });
    expect(stub.asked).toEqual(['PutEvents']);
  });
});

/** Waits until something is so; fails after ten seconds. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  const endsAt = Date.now() + 10_000;
  while (!isSo()) {
    if (Date.now() > endsAt) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
