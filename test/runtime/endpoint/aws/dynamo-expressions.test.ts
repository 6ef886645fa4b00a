import {
  type AttributeValue,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fromAttribute, toAttribute } from '../../../../runtime/aws/attribute-values.ts';
import { holds, parsedCondition } from '../../../../runtime/endpoint/aws/dynamo-condition-expression.ts';
import { changed, parsedUpdate } from '../../../../runtime/endpoint/aws/dynamo-update-expression.ts';
import { type DynamoServer, nearestEngine } from '../../../aws/dynamo-server.ts';

/** One item that has a bit of everything. */
const ITEM = {
  key: 'TASK#a',
  revision: 3,
  n: 10,
  s: 'abc',
  e: '',
  t: true,
  z: null,
  l: [1, [2, 'x']],
  m: { s: 'inner', n: 5, deep: { x: 1 } },
};
const NAMES: Record<string, string> = { '#m': 'm', '#deep': 'deep', '#key': 'key', '#value': 'value' };
const VALUES: Record<string, unknown> = {
  ':n': 10,
  ':five': 5,
  ':nine': 9,
  ':s': 'abc',
  ':ab': 'ab',
  ':b': 'b',
  ':t': true,
  ':null': null,
  ':m': { s: 'inner', n: 5, deep: { x: 1 } },
  ':l': [1, [2, 'x']],
  ':tenText': '10',
};

let server: DynamoServer;
let client: DynamoDBClient;
let TableName: string;
beforeAll(async () => {
  server = await nearestEngine.start();
  TableName = await server.createTable();
  client = server.client({ maxAttempts: 1 });
});
afterAll(async () => {
  client.destroy();
  await server.stop();
});

/** Only what an expression names: neither engine takes more. */
const usedIn = <Meaning>(all: Record<string, Meaning>, text: string) =>
  Object.fromEntries(Object.entries(all).filter(([name]) => new RegExp(`${name}\\b`).test(text)));
const orNothing = (record: object) => (Object.keys(record).length === 0 ? undefined : record);

/** The item after an update, or the name of the error, as an engine of DynamoDB has it. */
async function onEngine(update: string, condition?: string): Promise<unknown> {
  const attributes = Object.entries(ITEM).map(([name, value]) => [name, toAttribute(value)]);
  await client.send(new PutItemCommand({ TableName, Item: Object.fromEntries(attributes) }));
  const text = `${update} ${condition ?? ''}`;
  const values = Object.entries(usedIn(VALUES, text)).map(([name, value]) => [name, toAttribute(value)]);
  try {
    await client.send(
      new UpdateItemCommand({
        TableName,
        Key: { key: { S: ITEM.key } },
        UpdateExpression: update,
        ConditionExpression: condition,
        ExpressionAttributeNames: orNothing(usedIn(NAMES, text)) as Record<string, string> | undefined,
        ExpressionAttributeValues: orNothing(Object.fromEntries(values)) as Record<string, AttributeValue> | undefined,
      }),
    );
  } catch (error) {
    return (error as Error).name;
  }
  const { Item = {} } = await client.send(new GetItemCommand({ TableName, Key: { key: { S: ITEM.key } } }));
  return fromAttribute({ M: Item });
}

/** The same as this endpoint has it. */
function here(update: string, condition?: string): unknown {
  const placeholders = { names: NAMES, values: VALUES, used: new Set<string>() };
  try {
    const wanted =
      condition === undefined ? undefined : parsedCondition('ConditionExpression', condition, placeholders);
    const changes = parsedUpdate(update, placeholders);
    if (wanted && !holds(wanted, ITEM)) return 'ConditionalCheckFailedException';
    return changed(ITEM, changes);
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

const FAILED = 'ConditionalCheckFailedException';
const INVALID = 'ValidationException';

describe('a condition', () => {
  it.each([
    ['n = :n', true],
    ['n = :tenText', false],
    ['n <> :n', false],
    ['nowhere <> :n', true],
    ['nowhere = :n', false],
    ['n < :n', false],
    ['n <= :n', true],
    ['n > :nine', true],
    ['n >= :n', true],
    ['n > :s', false],
    ['s < :b', true],
    ['s > :b', false],
    ['t = :t', true],
    ['z = :null', true],
    ['#m = :m', true],
    ['l = :l', true],
    ['l[1][0] < :five', true],
    ['l[7] = :n', false],
    ['s[0] = :s', false],
    ['m.s.x = :s', false],
    ['#m.#deep.x < :five', true],
    [':five < n', true],
    ['n = m.n', false],
    ['begins_with(s, :ab)', true],
    ['begins_with(m.s, :ab)', false],
    ['begins_with(n, :ab)', false],
    ['attribute_exists(z)', true],
    ['attribute_exists(m.x)', false],
    ['attribute_not_exists(m.x)', true],
    ['attribute_not_exists(e)', false],
    ['NOT n = :nine', true],
    ['not (n = :n and s = :s)', false],
    ['n = :nine OR n = :n AND s = :s', true],
    ['n = :n OR n = :nine AND s = :b', true],
    ['(n = :n OR n = :nine) AND s = :b', false],
    ['NOT n = :nine AND s = :b', false],
  ])('"%s" is %s, as on an engine of DynamoDB', async (condition, holdsTrue) => {
    const outcome = holdsTrue ? { ...ITEM, done: true } : FAILED;
    expect(here('SET done = :t', condition)).toEqual(outcome);
    expect(await onEngine('SET done = :t', condition)).toEqual(outcome);
  });

  it.each([
    'n =',
    'n = :n AND',
    '(n = :n',
    'n = :n)',
    'n == :n',
    'n = :n s = :s',
    'n = :undefined',
    '#undefined = :n',
    'key = :s',
    'attribute_exists(s',
    'n ! :n',
    'm. = :n',
    '1 = :n',
  ])('"%s" is none, as on an engine of DynamoDB', async (condition) => {
    expect(here('SET done = :t', condition)).toBe(INVALID);
    expect(await onEngine('SET done = :t', condition)).toBe(INVALID);
  });
});

describe('an update', () => {
  it.each<[string, object]>([
    ['SET n = :five', { n: 5 }],
    ['SET s = :m, fresh = :l', { s: VALUES[':m'], fresh: VALUES[':l'] }],
    ['SET n = n + :five', { n: 15 }],
    ['SET n = :five - n', { n: -5 }],
    ['SET n = m.n, m.n = n', { n: 5, m: { ...ITEM.m, n: 10 } }],
    ['SET #m.#deep.y = if_not_exists(#m.#deep.y, :n)', { m: { ...ITEM.m, deep: { x: 1, y: 10 } } }],
    ['SET n = if_not_exists(n, :five) + :five', { n: 15 }],
    ['SET n = if_not_exists(nowhere, :five)', { n: 5 }],
    ['REMOVE m.s, nowhere', { m: { n: 5, deep: { x: 1 } } }],
    ['ADD n :five, counted :nine', { n: 15, counted: 9 }],
    ['set t = :null remove e add revision :five', { t: null, e: undefined, revision: 8 }],
  ])('"%s" changes what it says, as on an engine of DynamoDB', async (update, changes) => {
    const outcome = JSON.parse(JSON.stringify({ ...ITEM, ...changes }));
    expect(here(update)).toEqual(outcome);
    expect(await onEngine(update)).toEqual(outcome);
  });

  it.each([
    'SET n = n + :s',
    'SET n = nowhere',
    'SET nowhere.n = :n',
    'SET s.n = :n',
    'SET n :n',
    'SET n = :n,',
    'SET n = :undefined',
    'ADD s :five',
    'CHANGE n = :n',
    'SET value = :n',
  ])('"%s" is refused, as on an engine of DynamoDB', async (update) => {
    expect(here(update)).toBe(INVALID);
    expect(await onEngine(update)).toBe(INVALID);
  });

  it('leaves the item that it was made of as it was, and knows no magic names', () => {
    const before = structuredClone(ITEM);
    const placeholders = { names: { '#p': '__proto__' }, values: { ':m': { a: 1 } }, used: new Set<string>() };
    const after = changed(ITEM, parsedUpdate('SET #p = :m', placeholders));
    expect(ITEM).toEqual(before);
    expect(after['a']).toBeUndefined();
    expect(Object.keys(after)).toContain('__proto__');
  });
});
