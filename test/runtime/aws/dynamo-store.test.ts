import { type DynamoDBClient, GetItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { dynamoStore } from '../../../runtime/aws/dynamo-store.ts';
import type { RecordStore } from '../../../runtime/ports.ts';
import { runKey, slotKey, taskKey } from '../../../runtime/records.ts';
import { runsOver } from '../../../runtime/runs.ts';
import { leaseOf, SLOT_HOLDERS_MAX, SLOT_WAITERS_MAX, type Slot } from '../../../schemas/slot.ts';
import { inputsOf, loseAnswer, requestsOf } from '../../aws/client-watch.ts';
import { type DynamoServer, dynalite, dynamoEngines } from '../../aws/dynamo-server.ts';
import { aTask, aTaskId, at } from '../../builders.ts';

const DAYS = 90;
const NOW_MS = Date.parse(at(0));
const seconds = (instant: string): number => Date.parse(instant) / 1000;

for (const engine of dynamoEngines) {
  const [suite, why] = engine.absent === undefined ? [describe, ''] : [describe.skip, `: ${engine.absent}`];
  suite(`a record store in ${engine.name}${why}`, () => {
    let server: DynamoServer;
    let table: string;
    let client: DynamoDBClient;
    let store: RecordStore;
    beforeAll(async () => {
      server = await engine.start();
    });
    afterAll(() => server.stop());
    beforeEach(async () => {
      table = await server.createTable();
      client = server.client();
      store = open(client);
    });
    afterEach(async () => {
      client.destroy();
      await server.dropTable(table);
    });
    const open = (over: DynamoDBClient) => dynamoStore({ client: over, table, retentionDays: DAYS, now: () => NOW_MS });
    const itemOf = async (key: string) =>
      (await client.send(new GetItemCommand({ TableName: table, Key: { key: { S: key } } }))).Item ?? {};

    describe('whose answer to a put is lost after it was written', () => {
      it.each(['absent', 1] as const)('tells the caller that it was, when %s was expected', async (expected) => {
        if (expected === 1) await store.put('TASK#1', { n: 0 }, 'absent');
        const sent = requestsOf(client);
        loseAnswer(client, 'PutItem');
        const revision = expected === 1 ? 2 : 1;
        expect(await store.put('TASK#1', { n: 1 }, expected)).toEqual({ outcome: 'written', revision });
        expect(await store.get('TASK#1')).toEqual({ key: 'TASK#1', revision, value: { n: 1 } });
        expect(sent.filter((operation) => operation === 'PutItem')).toHaveLength(2);
      });

      it('answers with what another wrote meanwhile, for the caller to decide again', async () => {
        const other = server.client();
        loseAnswer(client, 'PutItem', async () => void (await open(other).put('TASK#1', { by: 'another' }, 1)));
        expect(await store.put('TASK#1', { n: 1 }, 'absent')).toEqual({
          outcome: 'conflict',
          current: { key: 'TASK#1', revision: 2, value: { by: 'another' } },
          // It was written once, and nobody has heard of it.
          unsure: true,
        });
        other.destroy();
      });

      it('has deleted what it was told to, also when it was told twice', async () => {
        await store.put('TASK#1', {}, 'absent');
        loseAnswer(client, 'DeleteItem');
        await store.delete('TASK#1');
        expect(await store.get('TASK#1')).toBeUndefined();
      });
    });

    it('loses no change of twenty writers with clients of their own', async () => {
      const WRITERS = 20;
      const CHANGES = 2;
      await store.put('COUNT#1', { n: 0 }, 'absent');
      const clients = Array.from({ length: WRITERS }, () => server.client());
      await Promise.all(
        clients.map(async (own) => {
          for (let n = 0; n < CHANGES; n++) await raise(open(own));
        }),
      );
      for (const own of clients) own.destroy();
      const sum = WRITERS * CHANGES;
      expect(await store.get('COUNT#1')).toEqual({ key: 'COUNT#1', revision: sum + 1, value: { n: sum } });
    });

    it('needs one request for each call that goes well', async () => {
      const sent = requestsOf(client);
      await store.put('TASK#1', {}, 'absent');
      await store.put('TASK#1', {}, 1, { by: 'ada', at: at(0), open: true });
      await store.put('TASK#1', {}, 'any', { by: 'ada', at: at(0), open: true });
      await store.get('TASK#1');
      await store.query({ by: 'ada', limit: 5 });
      await store.durable();
      await store.delete('TASK#1');
      expect(sent).toEqual(['PutItem', 'PutItem', 'UpdateItem', 'GetItem', 'Query', 'DeleteItem']);
    });

    it('learns from a put whose condition fails what stands there, where the engine tells', async () => {
      await store.put('TASK#1', { n: 1 }, 'absent');
      const sent = requestsOf(client);
      expect(await store.put('TASK#1', { n: 2 }, 'absent')).toEqual({
        outcome: 'conflict',
        current: { key: 'TASK#1', revision: 1, value: { n: 1 } },
      });
      expect(sent).toEqual(engine === dynalite ? ['PutItem', 'GetItem'] : ['PutItem']);
    });

    it('keeps the attributes that infrastructure, operators and runners rely on', async () => {
      const task = aTask({ status: 'RUNNING' });
      await store.put(taskKey(task.taskId), task, 'absent', { by: 'ada', at: at(5), open: true });
      expect(await itemOf(taskKey(task.taskId))).toEqual({
        key: { S: `TASK#${task.taskId}` },
        revision: { N: '1' },
        writeId: { S: expect.stringMatching(/^[0-9a-f-]{36}$/) },
        value: { M: expect.objectContaining({ status: { S: 'RUNNING' }, version: { N: '5' } }) },
        by: { S: 'ada' },
        place: { S: `${at(5)}#TASK#${task.taskId}` },
        open: { BOOL: true },
      });
    });

    it.each(['any', 1] as const)('lets a record expire once its task has settled (put on %s)', async (expected) => {
      const ended = aTask({ status: 'COMPLETED' });
      const index = { by: 'ada', at: at(0), open: false };
      await store.put('TASK#1', ended, 'absent', index);
      expect((await itemOf('TASK#1'))['expiresAt']).toBeUndefined();
      await store.put('TASK#1', { ...ended, settledAt: at(60) }, expected, index);
      expect((await itemOf('TASK#1'))['expiresAt']).toEqual({ N: String(seconds(at(60)) + DAYS * 86_400) });
      await store.put('TASK#1', ended, 'any', index);
      expect((await itemOf('TASK#1'))['expiresAt']).toBeUndefined();
    });

    it('meets the writes of a runner, which changes its own record by itself', async () => {
      const runs = runsOver({ store, clock: { now: () => at(0) }, secret: () => 'secret' });
      await runs.open(aTaskId(), 1);
      const before = await store.get(runKey(aTaskId(), 1));
      await client.send(
        new UpdateItemCommand({
          TableName: table,
          Key: { key: { S: runKey(aTaskId(), 1) } },
          UpdateExpression: 'SET #value.#claim = :claim, #writeId = :writeId ADD #revision :one',
          ExpressionAttributeNames: {
            '#value': 'value',
            '#claim': 'claim',
            '#writeId': 'writeId',
            '#revision': 'revision',
          },
          ExpressionAttributeValues: {
            ':claim': { M: { nativeId: { S: 'arn' }, at: { S: at(1) } } },
            ':writeId': { S: 'of-the-runner' },
            ':one': { N: '1' },
          },
        }),
      );
      expect(await store.put(runKey(aTaskId(), 1), before?.value, 1)).toMatchObject({ outcome: 'conflict' });
      expect(await runs.get(aTaskId(), 1)).toMatchObject({ claim: { nativeId: 'arn', at: at(1) } });
    });

    it('takes the largest slot of a user whose id has 64 characters', async () => {
      const slot = fullSlot();
      await store.put(slotKey(slot.key), slot, 'absent');
      expect((await store.get(slotKey(slot.key)))?.value).toEqual(slot);
    });

    it.each(['absent', 'any'] as const)('says which record is too large for it (put on %s)', async (expected) => {
      await expect(store.put('SLOT#user:ada', { text: 'x'.repeat(410_000) }, expected)).rejects.toMatchObject({
        code: 'service_refused',
        retry: 'never',
        message: 'The record SLOT#user:ada is larger than the 400 KB of a DynamoDB item',
      });
    });

    it('keeps half a surrogate pair, which has no UTF-8, as the replacement character', async () => {
      await store.put('RUN#1', { progress: { text: 'half a turtle: \ud83d' }, labels: { '\udc22': 'x' } }, 'absent');
      expect((await store.get('RUN#1'))?.value).toEqual({
        progress: { text: 'half a turtle: \uFFFD' },
        labels: { '\uFFFD': 'x' },
      });
    });

    it('finds the open records of a user in one request, however many are not', async () => {
      for (let n = 0; n < 10; n++) {
        await store.put(`TASK#${n}`, {}, 'absent', { by: 'ada', at: at(n), open: n < 2 });
      }
      const sent = requestsOf(client);
      expect(await store.query({ by: 'ada', open: true, limit: 2 })).toHaveLength(2);
      expect(sent).toEqual(['Query']);
    });

    it('lists what no single answer can hold, by user too', async () => {
      const text = 'x'.repeat(200_000);
      const numbers = Array.from({ length: 12 }, (_, n) => n);
      for (const n of numbers) {
        await store.put(`TASK#${n + 10}`, { n, text }, 'absent', { by: 'ada', at: at(n), open: n < 2 });
      }
      const found = (records: { value: unknown }[]) => records.map(({ value }) => (value as { n: number }).n);
      expect(found(await store.list('TASK#', { limit: 20 }))).toEqual(numbers);
      expect(found(await store.query({ limit: 20 }))).toEqual([...numbers].reverse());
      expect(found(await store.query({ by: 'ada', limit: 20 }))).toEqual([...numbers].reverse());
      // The open ones stand behind ten that are not.
      expect(found(await store.query({ by: 'ada', open: true, limit: 2 }))).toEqual([1, 0]);
    });

    it('reads what was written last, wherever DynamoDB can promise it, and no more than it was asked for', async () => {
      const given = inputsOf(client);
      await store.get('TASK#1');
      await store.list('TASK#', { limit: 2 });
      await store.query({ by: 'ada', limit: 2 });
      expect(given).toMatchObject([{ ConsistentRead: true }, { ConsistentRead: true }, { Limit: 2 }]);
    });

    it('leaves the client alone when it is closed', async () => {
      const destroy = jest.spyOn(client, 'destroy');
      await store.put('TASK#1', {}, 'absent');
      await store.close();
      expect(destroy).not.toHaveBeenCalled();
      expect(await open(client).get('TASK#1')).toMatchObject({ revision: 1 });
    });

    it('says what the service answered to which operation', async () => {
      const nowhere = dynamoStore({ client, table: 'baton-of-yesterday', retentionDays: DAYS });
      const refused = (operation: string) =>
        expect.objectContaining({
          code: 'service_refused',
          message: expect.stringMatching(`^DynamoDB ${operation}: ResourceNotFoundException: `),
        });
      await expect(nowhere.get('TASK#1')).rejects.toEqual(refused('GetItem'));
      await expect(nowhere.put('TASK#1', {}, 'absent')).rejects.toEqual(refused('PutItem'));
      await expect(nowhere.put('TASK#1', {}, 'any')).rejects.toEqual(refused('UpdateItem'));
      await expect(nowhere.delete('TASK#1')).rejects.toEqual(refused('DeleteItem'));
      await expect(nowhere.list('', { limit: 1 })).rejects.toEqual(refused('Scan'));
      await expect(nowhere.query({ by: 'ada', limit: 1 })).rejects.toEqual(refused('Query'));
    });

    it('does not take an item for a record that is none', async () => {
      await store.put('TASK#1', {}, 'absent');
      await client.send(
        new UpdateItemCommand({
          TableName: table,
          Key: { key: { S: 'TASK#1' } },
          UpdateExpression: 'REMOVE #value',
          ExpressionAttributeNames: { '#value': 'value' },
        }),
      );
      await expect(store.get('TASK#1')).rejects.toMatchObject({ code: 'store_corrupt', retry: 'never' });
    });
  });
}

describe('a service that nobody can reach', () => {
  it('is unavailable, which passes', async () => {
    const server = await dynalite.start();
    const client = server.client({ maxAttempts: 1 });
    await server.stop();
    const store = dynamoStore({ client, table: 'baton', retentionDays: DAYS });
    await expect(store.get('TASK#1')).rejects.toMatchObject({ code: 'service_unavailable', retry: 'soon' });
    client.destroy();
  });
});

/** Adds one to the counter, deciding again on whatever stood there instead. */
async function raise(store: RecordStore): Promise<void> {
  let found = await store.get('COUNT#1');
  while (found) {
    const { n } = found.value as { n: number };
    const put = await store.put('COUNT#1', { n: n + 1 }, found.revision);
    if (put.outcome === 'written') return;
    found = put.current;
  }
  throw new Error('there is no counter');
}

/** A key with every place and the whole line taken, all holders just promoted. */
function fullSlot(): Slot {
  const key = `user:${'u'.repeat(64)}`;
  const lease = (n: number) => leaseOf(aTaskId(`n${n}x`), 10);
  const correlationId = '0'.repeat(36);
  return {
    key,
    limit: SLOT_HOLDERS_MAX,
    nextOrder: 1_000_000,
    holders: Object.fromEntries(
      Array.from({ length: SLOT_HOLDERS_MAX }, (_, n) => [
        lease(n),
        {
          since: at(n),
          priority: 100,
          grant: {
            fact: {
              id: `${key}#${lease(n)}#SlotGranted`,
              type: 'SlotGranted',
              schemaVersion: 1,
              data: { slotKey: key, taskId: aTaskId(`n${n}x`), attempt: 10 },
            },
            at: at(n),
            cause: { id: `${aTaskId(`n${n}x`)}#20#TaskCompleted`, type: 'TaskCompleted' },
            correlationId,
          },
        },
      ]),
    ),
    waiters: Object.fromEntries(
      Array.from({ length: SLOT_WAITERS_MAX }, (_, n) => [
        lease(n + SLOT_HOLDERS_MAX),
        { since: at(n), priority: 100, order: n, correlationId },
      ]),
    ),
  };
}
