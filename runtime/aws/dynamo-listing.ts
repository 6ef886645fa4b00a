import {
  type AttributeValue,
  type DynamoDBClient,
  paginateQuery,
  paginateScan,
  type ScanCommandInput,
} from '@aws-sdk/client-dynamodb';
import { compareKeys } from '../engine/record-page.ts';
import type { RecordStore, StoredRecord } from '../ports.ts';
import { type Clause, expressionsOf } from './dynamo-expressions.ts';
import { BY_PLACE, placeOf, recordIn } from './dynamo-items.ts';
import { serviceError } from './sdk-errors.ts';

type Item = Readonly<Record<string, AttributeValue>>;
type QueryOptions = Parameters<RecordStore['query']>[0];

/**
 * The listings of a record store in DynamoDB. A query of one user reads the index from its newest record on; `list`, and a query of all
 * users, read all there is and sort it here, whatever the limit: for operators and tests.
 */
export function dynamoListing(client: DynamoDBClient, table: string): Pick<RecordStore, 'list' | 'query'> {
  return { list, query };

  async function list(prefix: string, { after, limit }: { after?: string; limit: number }): Promise<StoredRecord[]> {
    const inPrefix = prefix === '' ? [] : [beginsWith(prefix)];
    const found = await scan({ ConsistentRead: true, ...expressionsOf({ FilterExpression: inPrefix }) });
    return found
      .map(recordIn)
      .filter(({ key }) => after === undefined || compareKeys(key, after) > 0)
      .sort((a, b) => compareKeys(a.key, b.key))
      .slice(0, limit);
  }

  async function query(options: QueryOptions): Promise<StoredRecord[]> {
    if (options.limit <= 0) return [];
    const found = options.by === undefined ? await queryAll(options) : await queryUser(options.by, options);
    return found.slice(0, options.limit).map(recordIn);
  }

  async function queryAll({ open, before }: QueryOptions): Promise<Item[]> {
    const filter = open === undefined ? [] : [isOpen(open)];
    const found = await scan({ IndexName: BY_PLACE, ...expressionsOf({ FilterExpression: filter }) });
    const end = before && placeOf(before.at, before.key);
    return found
      .filter((item) => end === undefined || compareKeys(placeIn(item), end) < 0)
      .sort((a, b) => compareKeys(placeIn(b), placeIn(a)));
  }

  async function queryUser(by: string, { open, before, limit }: QueryOptions): Promise<Item[]> {
    const pages = paginateQuery(
      // A page ends before the filter: with one, a limit of ten may find ten closed tasks at a time.
      open === undefined ? { client, pageSize: limit } : { client },
      {
        TableName: table,
        IndexName: BY_PLACE,
        ScanIndexForward: false,
        ...expressionsOf({
          KeyConditionExpression: [isOf(by), ...(before ? [isBehind(before)] : [])],
          FilterExpression: open === undefined ? [] : [isOpen(open)],
        }),
      },
    );
    const found: Item[] = [];
    try {
      for await (const { Items = [] } of pages) {
        found.push(...Items);
        if (found.length >= limit) break;
      }
    } catch (error) {
      throw serviceError('DynamoDB Query', error);
    }
    return found;
  }

  async function scan(input: Omit<ScanCommandInput, 'TableName'>): Promise<Item[]> {
    const found: Item[] = [];
    try {
      for await (const { Items = [] } of paginateScan({ client }, { TableName: table, ...input })) found.push(...Items);
    } catch (error) {
      throw serviceError('DynamoDB Scan', error);
    }
    return found;
  }
}

const placeIn = (item: Item): string => item['place']?.S ?? '';

const beginsWith = (prefix: string): Clause => ({
  text: 'begins_with(#key, :prefix)',
  values: { ':prefix': { S: prefix } },
});

const isOf = (by: string): Clause => ({ text: '#by = :by', values: { ':by': { S: by } } });

const isBehind = ({ at, key }: { at: string; key: string }): Clause => ({
  text: '#place < :before',
  values: { ':before': { S: placeOf(at, key) } },
});

const isOpen = (open: boolean): Clause => ({ text: '#open = :open', values: { ':open': { BOOL: open } } });
