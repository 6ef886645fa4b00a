import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { runRecord } from '../../../schemas/run-record.ts';
import { BatonError } from '../../errors.ts';
import type { RecordStore, StoredRecord } from '../../ports.ts';
import { DECIDE_TRIES } from '../../records.ts';
import { type AwsError, refused } from './aws-error.ts';
import { type Operation, parsedInput } from './aws-service.ts';
import { type Condition, conjunctsOf, holds } from './dynamo-condition-expression.ts';
import { isRun, itemOf } from './dynamo-records.ts';
import { changed, parsedUpdate } from './dynamo-update-expression.ts';
import { attributesOf, conditionIn, keyIn, withPlaceholders } from './dynamodb-wire.ts';

const update = z.looseObject({
  UpdateExpression: z.string(),
  ConditionExpression: z.string().optional(),
  ReturnValues: z.string().default('NONE'),
  ReturnValuesOnConditionCheckFailure: z.enum(['NONE', 'ALL_OLD']).default('NONE'),
});

/** What proves a runner: the condition that the hash of the token is that of the record. */
const TOKEN_HASH = ['value', 'tokenHash'];
/** What a runner cannot change, for it does not know better. */
const FIXED = ['taskId', 'attempt', 'tokenHash', 'openedAt', 'noClaim', 'closed', 'outlivedAt', 'strayHandle'] as const;

/** UpdateItem on the record of a run, by its runner: decided and written as one step, on disk when it is answered. */
export function runUpdate(store: RecordStore, denied: () => AwsError): Operation {
  return async (input) => {
    const asked = parsedInput(update, input);
    const key = keyIn(input['Key']);
    const { changes, condition } = withPlaceholders(input, (placeholders) => ({
      changes: parsedUpdate(asked.UpdateExpression, placeholders),
      condition: conditionIn('ConditionExpression', asked.ConditionExpression, placeholders),
    }));
    if (!isRun(key) || !condition || !provesItself(condition)) throw denied();
    const told = TOLD[asked.ReturnValues];
    if (!told) throw refused('ValidationException', `ReturnValues ${asked.ReturnValues} is not served here.`);
    for (let tries = 1; tries <= DECIDE_TRIES; tries++) {
      const stored = await store.get(key);
      if (!stored || !holds(condition, itemOf(stored))) throw conditionFailed(stored, asked);
      const next = changed({ ...itemOf(stored) }, changes);
      assertRunnersChange(stored, next);
      const put = await store.put(key, next['value'], stored.revision);
      if (put.outcome === 'conflict') continue;
      await store.durable();
      return told(stored, { key, revision: put.revision, value: next['value'] });
    }
    throw new BatonError('contention', `${key} was written by others ${DECIDE_TRIES} times in a row.`);
  };
}

/** What is answered of the record as it was, and as it is. */
const TOLD: Readonly<Record<string, (old: StoredRecord, now: StoredRecord) => object>> = {
  NONE: () => ({}),
  ALL_OLD: (old) => ({ Attributes: attributesOf(itemOf(old)) }),
  ALL_NEW: (_old, now) => ({ Attributes: attributesOf(itemOf(now)) }),
};

/** The comparison must be needed: one side of an OR proves nothing. */
const provesItself = (condition: Condition): boolean =>
  conjunctsOf(condition).some(
    (one) =>
      one.kind === 'compare' &&
      one.comparator === '=' &&
      one.left.kind === 'path' &&
      isDeepStrictEqual(one.left.path, TOKEN_HASH) &&
      one.right.kind === 'value',
  );

function conditionFailed(stored: StoredRecord | undefined, asked: z.infer<typeof update>): AwsError {
  const isShown = stored && asked.ReturnValuesOnConditionCheckFailure === 'ALL_OLD';
  return refused(
    'ConditionalCheckFailedException',
    'The conditional request failed',
    isShown ? { Item: attributesOf(itemOf(stored)) } : {},
  );
}

/** Everything else trusts what stands in a record; whoever wrote it by hand may have mistaken its shape. */
function assertRunnersChange(stored: StoredRecord, next: Readonly<Record<string, unknown>>): void {
  const now = runRecord.safeParse(next['value']);
  if (!now.success) {
    const fields = now.error.issues.map(({ path }) => path.map(String).join('.')).join(', ');
    throw refused('ValidationException', `The update would leave no record of a run: ${fields}`);
  }
  const before = runRecord.parse(stored.value);
  const fixed = FIXED.filter((name) => !isDeepStrictEqual(now.data[name], before[name]));
  const { key, revision: _revision, value: _value, writeId: _writeId, ...more } = next;
  const touched = [...fixed, ...Object.keys(more), ...(key === stored.key ? [] : ['key'])];
  if (touched.length > 0) throw refused('ValidationException', `A runner does not change ${touched.join(', ')}.`);
}
