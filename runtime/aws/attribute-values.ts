import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { StoreError } from '../errors.ts';

/** Half of a surrogate pair, as cutting a text in the middle of an emoji leaves it: it has no UTF-8. */
const HALF_PAIR = /\p{Surrogate}/gu;

/**
 * A JSON value as DynamoDB keeps it. Fields that are undefined are left out, as JSON leaves them out; a half surrogate pair becomes U+FFFD.
 * Not `@aws-sdk/util-dynamodb`: it asks a value for its `constructor`, so a label of that name made a task that could not be stored.
 */
export function toAttribute(value: unknown): AttributeValue {
  if (value === null) return { NULL: true };
  if (typeof value === 'string') return { S: wellFormed(value) };
  if (typeof value === 'number' && Number.isFinite(value)) return { N: String(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (Array.isArray(value)) return { L: value.map(toAttribute) };
  if (typeof value === 'object') return { M: mapOf(value) };
  throw new TypeError(`A record holds plain JSON, which has no ${typeof value} "${String(value)}"`);
}

/** The JSON value of what `toAttribute` made, whoever changed it since; throws `store_corrupt` for types that JSON has not. */
export function fromAttribute(attribute: AttributeValue): unknown {
  if (attribute.S !== undefined) return attribute.S;
  if (attribute.N !== undefined) return Number(attribute.N);
  if (attribute.BOOL !== undefined) return attribute.BOOL;
  if (attribute.NULL !== undefined) return null;
  if (attribute.L !== undefined) return attribute.L.map(fromAttribute);
  if (attribute.M !== undefined) {
    return Object.fromEntries(Object.entries(attribute.M).map(([name, child]) => [name, fromAttribute(child)]));
  }
  throw new StoreError('store_corrupt', `A record holds ${Object.keys(attribute).join()}, which is no JSON`);
}

const mapOf = (value: object): Record<string, AttributeValue> =>
  Object.fromEntries(
    Object.entries(value)
      .filter(([, child]) => child !== undefined)
      .map(([name, child]) => [wellFormed(name), toAttribute(child)]),
  );

const wellFormed = (text: string): string => text.replace(HALF_PAIR, '\uFFFD');
