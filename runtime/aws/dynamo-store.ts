import { randomUUID } from 'node:crypto';
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { BatonError, StoreError } from '../errors.ts';
import type { PutResult, RecordIndex, RecordStore } from '../ports.ts';
import { type Clause, expressionsOf, namesIn } from './dynamo-expressions.ts';
import { attributesOf, recordIn, type Written } from './dynamo-items.ts';
import { dynamoListing } from './dynamo-listing.ts';
import { expiryOf } from './record-lifetime.ts';
import { sdkError, serviceError } from './sdk-errors.ts';

export interface DynamoStoreOptions {
  /** Whoever made it destroys it. */
  readonly client: DynamoDBClient;
  readonly table: string;
  /** How many days a settled task, a rejection and a closed run are kept. */
  readonly retentionDays: number;
  /** Epoch milliseconds, the system's clock by default; the time to live of closed runs counts from it. */
  readonly now?: () => number;
}

/**
 * Records in one DynamoDB table (`docs/records.md`). A put is one conditional request; what stands there instead comes back with its
 * failure. A put whose answer was lost, so that the SDK sent it again, is recognised by its `writeId`. `get` is consistent; `query` reads
 * an index, which follows within moments. Errors are `service_…` by what the SDK met, and `store_closed` after `close`, which ends this
 * store and nothing else.
 */
export function dynamoStore({ client, table, retentionDays, now = Date.now }: DynamoStoreOptions): RecordStore {
  const listing = dynamoListing(client, table);
  let closed = false;

  return {
    get: async (key) => {
      assertOpen();
      const item = await itemOf(key);
      return item && recordIn(item);
    },
    put: async (key, value, expected, index) => {
      assertOpen();
      if (value === undefined) throw new TypeError(`The record ${key} needs a JSON value, got undefined`);
      const written = described(key, value, index);
      if (expected === 'any') return replace(written);
      if (expected === 'absent') return putIf(isAbsent, 1, written);
      return putIf(isAt(expected), expected + 1, written);
    },
    delete: async (key) => {
      assertOpen();
      await remove(key);
    },
    list: async (prefix, options) => {
      assertOpen();
      return listing.list(prefix, options);
    },
    query: async (options) => {
      assertOpen();
      return listing.query(options);
    },
    // A write that was answered is on several disks.
    durable: async () => assertOpen(),
    close: async () => {
      closed = true;
    },
  };

  function described(key: string, value: unknown, index: RecordIndex | undefined): Written {
    return { key, value, index, writeId: randomUUID(), expiresAt: expiryOf(key, value, retentionDays, now()) };
  }

  async function itemOf(key: string): Promise<Record<string, AttributeValue> | undefined> {
    try {
      const { Item } = await client.send(
        new GetItemCommand({ TableName: table, Key: { key: { S: key } }, ConsistentRead: true }),
      );
      return Item;
    } catch (error) {
      throw serviceError('DynamoDB GetItem', error);
    }
  }

  async function putIf(condition: Clause, revision: number, written: Written): Promise<PutResult> {
    const { key, writeId } = written;
    try {
      await client.send(
        new PutItemCommand({
          TableName: table,
          Item: { key: { S: key }, revision: { N: String(revision) }, ...attributesOf(written).set },
          ...expressionsOf({ ConditionExpression: [condition] }),
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        }),
      );
      return { outcome: 'written', revision };
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw writeError('PutItem', key, error);
      // Without an item the record is gone, or the engine does not tell.
      const found = error.Item ?? (await itemOf(key));
      if (found?.['writeId']?.S === writeId) return { outcome: 'written', revision };
      const unsure = (error.$metadata.attempts ?? 1) > 1 ? ({ unsure: true } as const) : {};
      return { outcome: 'conflict', current: found && recordIn(found), ...unsure };
    }
  }

  /** The last writer wins. A request that the SDK had to send twice may raise the revision twice. */
  async function replace(written: Written): Promise<PutResult> {
    const { set, drop } = attributesOf(written);
    const update = [
      `SET ${Object.keys(set).map((name) => `#${name} = :${name}`)}`,
      ...(drop.length > 0 ? [`REMOVE ${drop.map((name) => `#${name}`)}`] : []),
      'ADD #revision :one',
    ].join(' ');
    const values = Object.entries(set).map(([name, value]): [string, AttributeValue] => [`:${name}`, value]);
    try {
      const { Attributes } = await client.send(
        new UpdateItemCommand({
          TableName: table,
          Key: { key: { S: written.key } },
          UpdateExpression: update,
          ExpressionAttributeNames: namesIn(update),
          ExpressionAttributeValues: { ...Object.fromEntries(values), ':one': { N: '1' } },
          ReturnValues: 'UPDATED_NEW',
        }),
      );
      return { outcome: 'written', revision: Number(Attributes?.['revision']?.N) };
    } catch (error) {
      throw writeError('UpdateItem', written.key, error);
    }
  }

  async function remove(key: string): Promise<void> {
    try {
      await client.send(new DeleteItemCommand({ TableName: table, Key: { key: { S: key } } }));
    } catch (error) {
      throw serviceError('DynamoDB DeleteItem', error);
    }
  }

  function assertOpen(): void {
    if (closed) throw new StoreError('store_closed', `The record store in table ${table} is closed`);
  }
}

const isAbsent: Clause = { text: 'attribute_not_exists(#key)' };

const isAt = (revision: number): Clause => ({
  text: '#revision = :expected',
  values: { ':expected': { N: String(revision) } },
});

/** What DynamoDB says of an item above its 400 KB, and of an update that would make one ("Item size to update has …"). */
const TOO_LARGE = /item size .*exceeded/i;

function writeError(operation: string, key: string, error: unknown): BatonError {
  const { name, message } = sdkError(error);
  if (name !== 'ValidationException' || !TOO_LARGE.test(message)) return serviceError(`DynamoDB ${operation}`, error);
  return new BatonError('service_refused', `The record ${key} is larger than the 400 KB of a DynamoDB item`, {
    cause: error,
  });
}
