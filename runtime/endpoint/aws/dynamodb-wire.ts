import * as z from 'zod';
import { fromAttribute, toAttribute } from '../../aws/attribute-values.ts';
import { refused } from './aws-error.ts';
import { type Input, parsedInput } from './aws-service.ts';
import { parsedCondition } from './dynamo-condition-expression.ts';
import type { Placeholders } from './dynamo-expression-tokens.ts';

type Attribute = ReturnType<typeof toAttribute>;
/** The types that JSON has; sets and bytes are not among what a record keeps. */
const attribute: z.ZodType<Attribute> = z.lazy(() =>
  z.union([
    z.strictObject({ S: z.string() }),
    z.strictObject({ N: z.string().regex(/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i) }),
    z.strictObject({ BOOL: z.boolean() }),
    z.strictObject({ NULL: z.literal(true) }),
    z.strictObject({ L: z.array(attribute) }),
    z.strictObject({ M: z.record(z.string(), attribute) }),
  ]),
);
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
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap) throw refused('ValidationException', `${what} is no map of attribute values.`);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plainValue(one, `${what}.${name}`)]));
}

function plainValue(value: unknown, at: string): unknown {
  const parsed = attribute.safeParse(value);
  if (parsed.success) return fromAttribute(parsed.data);
  throw refused(
    'ValidationException',
    `${at} is no attribute value that is kept here: one of S, N, BOOL, NULL, L and M, with a value of that type.`,
  );
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
