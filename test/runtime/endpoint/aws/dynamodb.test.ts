import { createHash } from 'node:crypto';
import {
  type AttributeValue,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ListTablesCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
  ScanCommand,
  type ScanCommandInput,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { fromAttribute, toAttribute } from '../../../../runtime/aws/attribute-values.ts';
import { dynamoStore } from '../../../../runtime/aws/dynamo-store.ts';
import { dynamoDbService } from '../../../../runtime/endpoint/aws/dynamodb.ts';
import { memoryStore } from '../../../../runtime/engine/memory-store.ts';
import type { RecordStore } from '../../../../runtime/ports.ts';
import { runKey, taskKey } from '../../../../runtime/records.ts';
import { aRunRecord, aTask, aTaskId, at } from '../../../builders.ts';
import { awsServer, errorOf, place } from './aws-server.ts';

const store = memoryStore({ freezeValues: true });
let server: Awaited<ReturnType<typeof awsServer>>;
let client: DynamoDBClient;
/** What operators have of a table on AWS, on this one. */
let records: RecordStore;

beforeAll(async () => {
  server = await awsServer([dynamoDbService({ place, table: 'baton', store })]);
  client = new DynamoDBClient(server.client);
  records = dynamoStore({ client, table: 'baton', retentionDays: 90 });
});
afterAll(async () => {
  client.destroy();
  await server.close();
});
beforeEach(async () => {
  for (const { key } of await store.list('', { limit: 1_000 })) await store.delete(key);
});

const TableName = 'baton';
const keyed = (key: string): Record<string, AttributeValue> => ({ key: { S: key } });
const plain = (item: Record<string, AttributeValue> | undefined) => item && fromAttribute({ M: item });
const get = async (key: string) => plain((await client.send(new GetItemCommand({ TableName, Key: keyed(key) }))).Item);
const keysOf = (items: readonly Record<string, AttributeValue>[] = []) => items.map(({ key }) => key?.S);
const query = (more: Partial<QueryCommandInput>) => client.send(new QueryCommand({ TableName, ...more }));
const scan = (more: Partial<ScanCommandInput> = {}) => client.send(new ScanCommand({ TableName, ...more }));

/** Writes a task as the tasks port does. */
async function kept(name: string, more: { userId?: string; submittedAt?: string } = {}): Promise<string> {
  const task = aTask({ status: 'SUBMITTED', taskId: aTaskId(name), userId: 'ann', submittedAt: at(0), ...more });
  const index = { by: task.userId, at: task.submittedAt, open: true };
  await store.put(taskKey(task.taskId), task, 'absent', index);
  return taskKey(task.taskId);
}

describe('the table of a world', () => {
  it('is described with its key and its index', async () => {
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    expect(Table).toMatchObject({
      TableName,
      TableStatus: 'ACTIVE',
      KeySchema: [{ AttributeName: 'key', KeyType: 'HASH' }],
      GlobalSecondaryIndexes: [{ IndexName: 'by-place', Projection: { ProjectionType: 'ALL' } }],
    });
    const arn = await client.send(new DescribeTableCommand({ TableName: Table?.TableArn }));
    expect(arn.Table).toEqual(Table);
  });

  it('shows a task as the item that it is on AWS', async () => {
    const key = await kept('red');
    const stored = await store.get(key);
    expect(await get(key)).toEqual({
      key,
      revision: 1,
      value: JSON.parse(JSON.stringify(stored?.value)),
      by: 'ann',
      place: `${at(0)}#${key}`,
      open: true,
    });
    expect(await records.get(key)).toEqual(JSON.parse(JSON.stringify(stored)));
  });

  it('shows a settled task and a rejection as closed', async () => {
    const settled = aTask({ status: 'COMPLETED', taskId: aTaskId('ended'), settledAt: at(9) });
    await store.put(taskKey(settled.taskId), settled, 'absent');
    expect(await get(taskKey(settled.taskId))).toMatchObject({ open: false });
    const rejection = { status: 'REJECTED', taskId: aTaskId('never'), userId: 'bob', at: at(3) };
    await store.put(taskKey(rejection.taskId), rejection, 'absent');
    expect(await get(taskKey(rejection.taskId))).toMatchObject({ by: 'bob', open: false });
  });

  it('shows nothing that is neither a task nor a run', async () => {
    for (const key of ['PAYLOAD#t1.x', 'SLOT#a', 'EVENT#1', 'ECSTASK#1', 'JOURNAL#t1']) {
      await store.put(key, 'a secret', 'absent');
      expect(await get(key)).toBeUndefined();
    }
    expect((await scan()).Items).toEqual([]);
  });

  it('is the only one', async () => {
    const elsewhere = client.send(new GetItemCommand({ TableName: 'other', Key: keyed('TASK#a') }));
    expect(await errorOf(elsewhere)).toMatchObject({ name: 'ResourceNotFoundException', status: 400 });
  });

  it('is written by nobody', async () => {
    const put = client.send(new PutItemCommand({ TableName, Item: keyed('TASK#a') }));
    expect(await errorOf(put)).toMatchObject({
      name: 'AccessDeniedException',
      status: 400,
      message: expect.stringMatching(/is not authorized to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:/),
    });
    expect(await errorOf(client.send(new ListTablesCommand({})))).toMatchObject({ name: 'AccessDeniedException' });
    expect(await errorOf(records.put('RUN#t1#001', {}, 'any'))).toMatchObject({ code: 'service_denied' });
    expect(await store.list('', { limit: 9 })).toEqual([]);
  });
});

describe('listings', () => {
  it('show the tasks of one user in the order of their time, newest first or last', async () => {
    const keys = [
      await kept('a', { submittedAt: at(1) }),
      await kept('b', { submittedAt: at(3) }),
      await kept('c', { submittedAt: at(2) }),
    ];
    await kept('d', { userId: 'bob' });
    const ofAnn = {
      IndexName: 'by-place',
      KeyConditionExpression: '#by = :by',
      ExpressionAttributeNames: { '#by': 'by' },
      ExpressionAttributeValues: { ':by': { S: 'ann' } },
    };
    expect(keysOf((await query(ofAnn)).Items)).toEqual([keys[0], keys[2], keys[1]]);
    expect(keysOf((await query({ ...ofAnn, ScanIndexForward: false })).Items)).toEqual([keys[1], keys[2], keys[0]]);
    const behind = await query({
      ...ofAnn,
      KeyConditionExpression: '#by = :by AND place > :from',
      ExpressionAttributeValues: { ...ofAnn.ExpressionAttributeValues, ':from': { S: at(2) } },
    });
    expect(keysOf(behind.Items)).toEqual([keys[2], keys[1]]);
    expect(await query({ ...ofAnn, Select: 'COUNT' })).toMatchObject({ Count: 3, ScannedCount: 3 });
  });

  it('come in parts, where the limit counts before the filter', async () => {
    const all = [await kept('a'), await kept('b'), await kept('c')];
    const filter = {
      FilterExpression: 'begins_with(#key, :beginning)',
      ExpressionAttributeNames: { '#key': 'key' },
      ExpressionAttributeValues: { ':beginning': { S: 'TASK#tc' } },
    };
    const found: (string | undefined)[] = [];
    let from: Record<string, AttributeValue> | undefined;
    let parts = 0;
    do {
      const part = await scan({ ...filter, Limit: 2, ExclusiveStartKey: from });
      found.push(...keysOf(part.Items));
      from = part.LastEvaluatedKey;
      parts += 1;
    } while (from);
    expect([found, parts]).toEqual([[all[2]], 2]);
    const index = await scan({ IndexName: 'by-place', Limit: 1 });
    const { LastEvaluatedKey } = index;
    expect(Object.keys(LastEvaluatedKey ?? {}).sort()).toEqual(['by', 'key', 'place']);
    const rest = await scan({ IndexName: 'by-place', ExclusiveStartKey: LastEvaluatedKey });
    expect(keysOf([...(index.Items ?? []), ...(rest.Items ?? [])])).toEqual(all);
  });

  it('answer the store of operators as the world does', async () => {
    for (const [index, name] of ['a', 'b', 'c'].entries()) await kept(name, { submittedAt: at(index) });
    await kept('d', { userId: 'bob', submittedAt: at(9) });
    const json = (value: unknown) => JSON.parse(JSON.stringify(value));
    for (const asked of [
      { limit: 2 },
      { by: 'ann', limit: 2 },
      { by: 'ann', open: true, limit: 9 },
      { open: false, limit: 9 },
    ]) {
      expect(await records.query(asked)).toEqual(json(await store.query(asked)));
    }
    expect(await records.list('TASK#tb', { limit: 5 })).toEqual(json(await store.list('TASK#tb', { limit: 5 })));
  });

  it('show runs beside tasks on the table, and tasks alone on the index', async () => {
    const task = await kept('a');
    const run = runKey(aTaskId('a'), 1);
    await store.put(run, aRunRecord(), 'absent');
    expect(keysOf((await scan()).Items)).toEqual([run, task]);
    expect(keysOf((await scan({ IndexName: 'by-place' })).Items)).toEqual([task]);
    const one = await query({
      KeyConditionExpression: '#key = :key',
      ExpressionAttributeNames: { '#key': 'key' },
      ExpressionAttributeValues: { ':key': { S: run } },
    });
    expect(keysOf(one.Items)).toEqual([run]);
  });

  it.each<[string, Partial<QueryCommandInput>, string]>([
    [
      'without the partition',
      { KeyConditionExpression: 'place > :x', ExpressionAttributeValues: { ':x': { S: '' } } },
      'missed key schema element: by',
    ],
    ['of another index', { IndexName: 'by-status' }, 'does not have the specified index'],
    ['that read an index consistently', { ConsistentRead: true }, 'Consistent reads are not supported'],
    ['that show a part of an item', { ProjectionExpression: 'place' }, 'ProjectionExpression is not served here'],
  ])('%s are refused', async (_what, more, words) => {
    expect(await errorOf(query({ IndexName: 'by-place', ...more }))).toMatchObject({
      name: 'ValidationException',
      message: expect.stringContaining(words),
    });
  });
});

describe('the record of a run', () => {
  const token = 'the token';
  const tokenHash = createHash('sha256').update(token).digest('hex');
  const key = runKey(aTaskId(), 1);
  beforeEach(async () => {
    await store.put(key, aRunRecord({ tokenHash }), 'absent');
  });

  const update = (more: Partial<UpdateItemCommandInput> = {}) =>
    client.send(
      new UpdateItemCommand({
        TableName,
        Key: keyed(key),
        UpdateExpression: 'SET #value.heartbeatAt = :at, revision = revision + :one, writeId = :id',
        ConditionExpression: '#value.tokenHash = :hash AND attribute_not_exists(#value.closed)',
        ExpressionAttributeNames: { '#value': 'value' },
        ExpressionAttributeValues: {
          ':at': { S: at(5) },
          ':one': { N: '1' },
          ':id': { S: 'a write' },
          ':hash': { S: tokenHash },
        },
        ...more,
      }),
    );

  it('is changed by whoever shows the hash of its token', async () => {
    const { Attributes } = await update({ ReturnValues: 'ALL_NEW' });
    const stored = await store.get(key);
    expect(stored).toMatchObject({ revision: 2, value: { heartbeatAt: at(5), tokenHash } });
    expect(plain(Attributes)).toEqual({ key, revision: 2, value: stored?.value });
  });

  it('stays as it is when the condition fails, and is shown where that is asked for', async () => {
    await store.put(key, aRunRecord({ tokenHash, closed: true }), 'any');
    const failed = { name: 'ConditionalCheckFailedException', status: 400 };
    const [silent, telling] = [
      await errorOf(update()),
      await errorOf(update({ ReturnValuesOnConditionCheckFailure: 'ALL_OLD' })),
    ];
    expect(silent).toMatchObject(failed);
    expect(silent['Item']).toBeUndefined();
    expect(plain(telling['Item'] as Record<string, AttributeValue>)).toMatchObject({ key, value: { closed: true } });
    expect((await store.get(key))?.revision).toBe(2);
  });

  it('is not shown to be there by a wrong hash, and does not come to be', async () => {
    const values = { ':at': { S: at(5) }, ':one': { N: '1' }, ':id': { S: 'x' }, ':hash': { S: 'wrong' } };
    expect(await errorOf(update({ ExpressionAttributeValues: values }))).toMatchObject({
      name: 'ConditionalCheckFailedException',
    });
    const absent = runKey(aTaskId('absent'), 1);
    expect(await errorOf(update({ Key: keyed(absent) }))).toMatchObject({ name: 'ConditionalCheckFailedException' });
    expect(await store.get(absent)).toBeUndefined();
  });

  it('loses none of many changes at once', async () => {
    await Promise.all(Array.from({ length: 10 }, () => update()));
    expect((await store.get(key))?.revision).toBe(11);
  });

  it('is decided again when another write came between', async () => {
    let hurries = 2;
    const busy: RecordStore = {
      ...store,
      async put(...written) {
        if (hurries-- > 0) await store.put(key, aRunRecord({ tokenHash, confirmedAt: at(hurries) }), 'any');
        return store.put(...written);
      },
    };
    const { operations } = dynamoDbService({ place, table: TableName, store: busy });
    await operations['UpdateItem']?.({
      TableName,
      Key: keyed(key),
      UpdateExpression: 'SET #value.heartbeatAt = :at',
      ConditionExpression: '#value.tokenHash = :hash',
      ExpressionAttributeNames: { '#value': 'value' },
      ExpressionAttributeValues: { ':at': { S: at(5) }, ':hash': { S: tokenHash } },
    });
    const { revision, value } = (await store.get(key)) ?? {};
    expect([revision, value]).toEqual([4, aRunRecord({ tokenHash, confirmedAt: at(0), heartbeatAt: at(5) })]);
  });

  it.each<[string, Partial<UpdateItemCommandInput>]>([
    ['without a condition', { ConditionExpression: undefined }],
    ['by another condition', { ConditionExpression: 'attribute_exists(#value.tokenHash)' }],
    ['that may do without the hash', { ConditionExpression: '#value.tokenHash = :hash OR attribute_exists(#value)' }],
    ['that negates it', { ConditionExpression: 'NOT #value.tokenHash = :hash' }],
    ['that compares the hash with itself', { ConditionExpression: '#value.tokenHash = #value.tokenHash' }],
    ['of a task', { Key: keyed(taskKey(aTaskId())) }],
  ])('is not changed by an update %s', async (_what, more) => {
    const values = more.ConditionExpression?.includes(':hash') || more.Key ? {} : unhashed;
    expect(await errorOf(update({ ...values, ...more }))).toMatchObject({ name: 'AccessDeniedException' });
  });
  const unhashed = { ExpressionAttributeValues: { ':at': { S: at(5) }, ':one': { N: '1' }, ':id': { S: 'x' } } };

  it.each<[string, string, AttributeValue]>([
    ['its token', '#value.tokenHash', { S: 'another' }],
    ['its end', '#value.closed', { BOOL: false }],
    ['its attempt', '#value.attempt', { N: '2' }],
    ['the shape of it', '#value.heartbeatAt', { N: '5' }],
    ['the whole of it', '#value', { S: 'nothing' }],
    ['what is no part of it', 'by', { S: 'ann' }],
    ['its key', '#key', { S: 'TASK#a' }],
  ])('keeps %s whatever its runner says', async (_what, path, value) => {
    const names = path === '#key' ? { '#value': 'value', '#key': 'key' } : { '#value': 'value' };
    const asked = update({
      UpdateExpression: `SET ${path === 'by' ? '#by' : path} = :new`,
      ConditionExpression: '#value.tokenHash = :hash',
      ExpressionAttributeNames: path === 'by' ? { ...names, '#by': 'by' } : names,
      ExpressionAttributeValues: { ':new': value, ':hash': { S: tokenHash } },
    });
    expect(await errorOf(asked)).toMatchObject({ name: 'ValidationException' });
    expect((await store.get(key))?.value).toEqual(aRunRecord({ tokenHash }));
  });

  it('keeps JSON only', async () => {
    const values = { ':new': { SS: ['a'] }, ':hash': toAttribute(tokenHash) };
    const asked = update({
      UpdateExpression: 'SET #value.progress = :new',
      ConditionExpression: '#value.tokenHash = :hash',
      ExpressionAttributeValues: values,
    });
    expect(await errorOf(asked)).toMatchObject({
      name: 'ValidationException',
      message: expect.stringContaining(':new is no attribute value'),
    });
  });
});
