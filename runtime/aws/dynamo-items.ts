import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { StoreError } from '../errors.ts';
import type { RecordIndex, StoredRecord } from '../ports.ts';
import { fromAttribute, toAttribute } from './attribute-values.ts';

/** The sparse index of listed records: partition `by`, sort `place`, with all attributes. */
export const BY_PLACE = 'by-place';

/** Attributes that a record has only at times. */
const OPTIONAL = ['expiresAt', 'by', 'place', 'open'] as const;

type Attributes = Record<string, AttributeValue>;

export interface Written {
  readonly key: string;
  readonly value: unknown;
  /** Random for each put: tells an own write, whose answer was lost, from that of somebody else. */
  readonly writeId: string;
  /** Epoch seconds from which DynamoDB may delete the record. */
  readonly expiresAt: number | undefined;
  readonly index: RecordIndex | undefined;
}

/** The attributes of a record beside its key and revision, and the names of those that it shall not have. */
export function attributesOf({ key, value, writeId, expiresAt, index }: Written): { set: Attributes; drop: string[] } {
  const set: Attributes = {
    value: toAttribute(value),
    writeId: { S: writeId },
    ...(expiresAt === undefined ? {} : { expiresAt: { N: String(expiresAt) } }),
    ...(index && { by: { S: index.by }, place: { S: placeOf(index.at, key) }, open: { BOOL: index.open } }),
  };
  return { set, drop: OPTIONAL.filter((name) => !(name in set)) };
}

/** Where a listed record stands among those of its user: text order is order by time, then by key. */
export const placeOf = (at: string, key: string): string => `${at}#${key}`;

/** The record in an item; throws `store_corrupt` for an item that no record is in. */
export function recordIn({ key, revision, value }: Readonly<Attributes>): StoredRecord {
  if (key?.S === undefined || revision?.N === undefined || value === undefined) {
    throw new StoreError('store_corrupt', `The item "${key?.S ?? '?'}" lacks its key, revision or value`);
  }
  return { key: key.S, revision: Number(revision.N), value: fromAttribute(value) };
}
