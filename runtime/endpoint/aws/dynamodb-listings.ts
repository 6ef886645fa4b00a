import * as z from 'zod';
import { BY_PLACE } from '../../aws/dynamo-items.ts';
import { compareKeys } from '../../engine/record-page.ts';
import type { RecordStore } from '../../ports.ts';
import { refused } from './aws-error.ts';
import { type Operation, parsedInput } from './aws-service.ts';
import { type Condition, conjunctsOf, holds } from './dynamo-condition-expression.ts';
import { allItems, isShown, itemOf, type RecordItem } from './dynamo-records.ts';
import { attributesOf, conditionIn, plainItem, withPlaceholders } from './dynamodb-wire.ts';

/** Most items of one answer, for DynamoDB's megabyte. */
const ITEMS_MAX = 1_000;

const listing = z.looseObject({
  IndexName: z.literal(BY_PLACE, 'The table does not have the specified index').optional(),
  KeyConditionExpression: z.string().optional(),
  FilterExpression: z.string().optional(),
  ConsistentRead: z.boolean().optional(),
  ScanIndexForward: z.boolean().default(true),
  Select: z.enum(['ALL_ATTRIBUTES', 'ALL_PROJECTED_ATTRIBUTES', 'COUNT']).optional(),
  Limit: z.int().min(1).default(ITEMS_MAX),
  ExclusiveStartKey: z.unknown().optional(),
});
type Listing = z.infer<typeof listing>;

/** Query and Scan: on the table, or on the index of listed records. */
export function dynamoListings(store: Pick<RecordStore, 'get' | 'list'>): { Query: Operation; Scan: Operation } {
  return {
    async Query(input) {
      const asked = parsedListing(input);
      const { wanted, filter } = withPlaceholders(input, (placeholders) => ({
        wanted: conditionIn('KeyConditionExpression', asked.KeyConditionExpression, placeholders),
        filter: conditionIn('FilterExpression', asked.FilterExpression, placeholders),
      }));
      const found = await itemsUnder(partitionIn(wanted, asked.IndexName ? 'by' : 'key'), asked);
      return answerOf(
        found.filter((item) => wanted && holds(wanted, item)),
        asked,
        filter,
      );
    },
    async Scan(input) {
      const asked = parsedListing(input);
      const filter = withPlaceholders(input, (placeholders) =>
        conditionIn('FilterExpression', asked.FilterExpression, placeholders),
      );
      return answerOf(await allItems(store, { tasksOnly: asked.IndexName !== undefined }), asked, filter);
    },
  };

  async function itemsUnder(partition: string, { IndexName }: Listing): Promise<RecordItem[]> {
    if (IndexName !== undefined) return allItems(store, { tasksOnly: true, by: partition });
    const stored = isShown(partition) ? await store.get(partition) : undefined;
    return stored ? [itemOf(stored)] : [];
  }
}

function parsedListing(input: object): Listing {
  const asked = parsedInput(listing, input);
  if (asked.IndexName === undefined || !asked.ConsistentRead) return asked;
  throw refused('ValidationException', 'Consistent reads are not supported on global secondary indexes');
}

/** The value that a key condition wants the partition key to have. */
function partitionIn(wanted: Condition | undefined, name: string): string {
  for (const one of wanted ? conjunctsOf(wanted) : []) {
    if (one.kind !== 'compare' || one.comparator !== '=' || one.left.kind !== 'path') continue;
    const { left, right } = one;
    if (left.path.join() === name && right.kind === 'value' && typeof right.value === 'string') return right.value;
  }
  throw refused('ValidationException', `Query condition missed key schema element: ${name}`);
}

/** One page. The limit counts before the filter, as on AWS. */
function answerOf(found: readonly RecordItem[], asked: Listing, filter: Condition | undefined): object {
  const { IndexName, ScanIndexForward, ExclusiveStartKey: start, Select } = asked;
  const sortKey = IndexName === undefined ? 'key' : 'place';
  const direction = ScanIndexForward ? 1 : -1;
  const order = (one: string, other: string) => direction * compareKeys(one, other);
  const from = start === undefined ? undefined : String(plainItem(start, 'ExclusiveStartKey')[sortKey]);
  const left = found
    .filter((item) => from === undefined || order(item[sortKey] ?? '', from) > 0)
    .sort((one, other) => order(one[sortKey] ?? '', other[sortKey] ?? ''));
  const page = left.slice(0, Math.min(asked.Limit, ITEMS_MAX));
  const items = page.filter((item) => filter === undefined || holds(filter, item));
  const last = left.length > page.length ? page.at(-1) : undefined;
  return {
    Count: items.length,
    ScannedCount: page.length,
    ...(Select === 'COUNT' ? {} : { Items: items.map(attributesOf) }),
    ...(last ? { LastEvaluatedKey: attributesOf(keyOf(last, IndexName)) } : {}),
  };
}

const keyOf = ({ key, by, place }: RecordItem, index: string | undefined): object =>
  index === undefined ? { key } : { key, by, place };
