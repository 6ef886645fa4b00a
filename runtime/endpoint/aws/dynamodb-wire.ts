import * as z from 'zod';
import { fromAttribute, toAttribute } from '../../aws/attribute-values.ts';
import { BatonError } from '../../errors.ts';
import { refused } from './aws-error.ts';
import { type Input, parsedInput } from './aws-service.ts';
import { parsedCondition } from './dynamo-condition.ts';
import type { Placeholders } from './dynamo-tokens.ts';

type Attribute = ReturnType<typeof toAttribute>;
/** One type and its value; which type it is, is looked at when it is read. */
const attribute = z.custom<Attribute>(
  (value) => typeof value === 'object' && value !== null && Object.keys(value).length === 1,
  'Supplied AttributeValue must contain exactly one of the supported datatypes',
);
const item = z.record(z.string(), attribute);
const names = z.record(z.string(), z.string());

export const tableInput = z.looseObject({ TableName: z.string() });

/** Members of older or further reaching requests: nobody shall believe that they were heeded. */
const NOT_SERVED = [
  'AttributesToGet',
  'AttributeUpdates',
  'ConditionalOperator',
  'Expected',
  'KeyConditions',
  'ProjectionExpression',
  'QueryFilter',
  'ScanFilter',
  'Segment',
];

/** An item, or its key, as it stands in a request. */
export function plainItem(value: unknown, what: string): Record<string, unknown> {
  const parsed = item.safeParse(value);
  if (!parsed.success) throw refused('ValidationException', `${what} is no map of attribute values.`);
  return Object.fromEntries(Object.entries(parsed.data).map(([name, one]) => [name, plainValue(one)]));
}

function plainValue(value: Attribute): unknown {
  try {
    return fromAttribute(value);
  } catch (error) {
    if (error instanceof BatonError) throw refused('ValidationException', `${error.message}; only JSON is kept here.`);
    throw error;
  }
}

/** The key in a request for one item. */
export function keyIn(value: unknown): string {
  const { key, ...more } = plainItem(value, 'Key');
  if (typeof key === 'string' && key !== '' && Object.keys(more).length === 0) return key;
  throw refused('ValidationException', 'The provided key element does not match the schema');
}

/** An item as DynamoDB answers it. */
export const attributesOf = (plain: object): Record<string, Attribute> =>
  Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, toAttribute(value)]));

const expressionInput = z.looseObject({
  ExpressionAttributeNames: names.optional(),
  ExpressionAttributeValues: z.unknown().optional(),
});

/** Reads the expressions of a request; afterwards every placeholder must have been used. */
export function withPlaceholders<Read>(input: Input, read: (placeholders: Placeholders) => Read): Read {
  const unknown = NOT_SERVED.find((name) => input[name] !== undefined);
  if (unknown !== undefined) throw refused('ValidationException', `${unknown} is not served here.`);
  const given = parsedInput(expressionInput, input);
  const values = plainItem(given.ExpressionAttributeValues ?? {}, 'ExpressionAttributeValues');
  const placeholders = { names: given.ExpressionAttributeNames ?? {}, values, used: new Set<string>() };
  const answer = read(placeholders);
  assertUsed('ExpressionAttributeNames', Object.keys(placeholders.names), placeholders);
  assertUsed('ExpressionAttributeValues', Object.keys(values), placeholders);
  return answer;
}

function assertUsed(member: string, placed: readonly string[], { used }: Placeholders): void {
  const idle = placed.filter((name) => !used.has(name));
  if (idle.length === 0) return;
  throw refused('ValidationException', `Value provided in ${member} unused in expressions: keys: {${idle.join(', ')}}`);
}

/** The condition in a member of a request, if it is there. */
export const conditionIn = (part: string, text: string | undefined, placeholders: Placeholders) =>
  text === undefined ? undefined : parsedCondition(part, text, placeholders);
