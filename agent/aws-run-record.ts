import { createHash, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { AttributeValue, UpdateItemCommandInput } from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import * as z from 'zod';
import { runKey } from '../schemas/record-keys.ts';
import { type RunRecord, runRecord } from '../schemas/run-record.ts';
import type { RunIdentity } from './control-plane.ts';

/** What a runner wants to write into its own record, and what must be true of the record for that. */
export interface RunWrite {
  readonly set: Partial<
    Pick<RunRecord, 'claim' | 'confirmedAt' | 'heartbeatAt' | 'firstOutputAt' | 'report' | 'savedWork'>
  >;
  readonly when: readonly Clause[];
}

/** Why a write may not be: the token is not that of the attempt, another run or nobody has it, or it was done before. */
export type Objection = 'wrong_token' | 'fenced' | 'already';

/** One condition on the record, for DynamoDB and for who reads why DynamoDB refused. */
interface Clause {
  readonly expression: string;
  readonly objection: (record: KnownRecord, run: RunIdentity) => Objection | undefined;
}

const tokenIsMine: Clause = {
  expression: '#value.#tokenHash = :tokenHash',
  objection: ({ tokenHash }, { runToken }) => (tokenHash === hashOf(runToken) ? undefined : 'wrong_token'),
};
const isOpen: Clause = {
  expression: '(attribute_not_exists(#value.#closed) OR #value.#closed = :false)',
  objection: ({ closed }) => (closed ? 'fenced' : undefined),
};
const isUnclaimed: Clause = {
  expression: 'attribute_not_exists(#value.#claim)',
  objection: ({ claim }, { nativeId }) =>
    claim === undefined ? undefined : claim.nativeId === nativeId ? 'already' : 'fenced',
};
const mayBeClaimed: Clause = {
  expression: '(attribute_not_exists(#value.#noClaim) OR #value.#noClaim = :false)',
  objection: ({ noClaim }) => (noClaim ? 'fenced' : undefined),
};
const isMine: Clause = {
  expression: '#value.#claim.#nativeId = :nativeId',
  objection: ({ claim }, { nativeId }) => (claim?.nativeId === nativeId ? undefined : 'fenced'),
};
const isUnreported: Clause = {
  expression: 'attribute_not_exists(#value.#report)',
  objection: ({ report }) => (report === undefined ? undefined : 'already'),
};
const isUnspoken: Clause = {
  expression: 'attribute_not_exists(#value.#firstOutputAt)',
  objection: ({ firstOutputAt }) => (firstOutputAt === undefined ? undefined : 'already'),
};

/** In the order in which an objection outweighs the later ones. They say what `runsOver` says in the world of one machine. */
export const CLAIMABLE: readonly Clause[] = [tokenIsMine, isOpen, isUnclaimed, mayBeClaimed];
export const CLAIMED_BY_ME: readonly Clause[] = [tokenIsMine, isOpen, isMine];
export const REPORTABLE: readonly Clause[] = [...CLAIMED_BY_ME, isUnreported];
export const UNSPOKEN: readonly Clause[] = [...CLAIMED_BY_ME, isUnspoken];

/**
 * The one conditional update that does the write. It raises the revision and leaves a new `writeId`, as every write does, so that
 * whoever read the record before decides again.
 */
export function updateOf(table: string, run: RunIdentity, { set, when }: RunWrite): UpdateItemCommandInput {
  const changes = Object.keys(set).map((field) => `#value.#${field} = :${field}`);
  const update = `SET ${[...changes, '#revision = #revision + :one', '#writeId = :writeId'].join(', ')}`;
  const condition = when.map(({ expression }) => expression).join(' AND ');
  const values = {
    ...set,
    tokenHash: hashOf(run.runToken),
    nativeId: run.nativeId,
    false: false,
    one: 1,
    writeId: randomUUID(),
  };
  const expressions = `${update} ${condition}`;
  return {
    TableName: table,
    Key: keyOf(run),
    UpdateExpression: update,
    ConditionExpression: condition,
    ExpressionAttributeNames: Object.fromEntries(wordsAfter('#', expressions).map((name) => [`#${name}`, name])),
    ExpressionAttributeValues: valuesFor(wordsAfter(':', expressions), values),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  };
}

export const keyOf = (run: RunIdentity): Record<string, AttributeValue> =>
  marshall({ key: runKey(run.taskId, run.attempt) });

/** The first objection of a record to a write; undefined when it has none (any more). */
export function objectionOf(
  record: KnownRecord | undefined,
  run: RunIdentity,
  { when }: RunWrite,
): Objection | undefined {
  if (record === undefined) return 'wrong_token';
  for (const clause of when) {
    const objection = clause.objection(record, run);
    if (objection !== undefined) return objection;
  }
  return undefined;
}

/** Does the record hold exactly what the write says? */
export const holds = (record: KnownRecord | undefined, { set }: RunWrite): boolean =>
  record !== undefined && isDeepStrictEqual({ ...record, ...set }, record);

/** The record in an item of the table; undefined where there is none that can be understood. */
export const recordIn = (item: Record<string, AttributeValue> | undefined): KnownRecord | undefined =>
  item === undefined ? undefined : stored.safeParse(unmarshall(item)).data?.value;

/** What a runner looks at in its own record. */
const known = runRecord.pick({
  tokenHash: true,
  closed: true,
  noClaim: true,
  claim: true,
  confirmedAt: true,
  heartbeatAt: true,
  firstOutputAt: true,
  report: true,
  savedWork: true,
});
export type KnownRecord = z.infer<typeof known>;
const stored = z.object({ value: known });

/**
 * The same JSON with U+FFFD for each half of a surrogate pair, as cutting a text in the middle of an emoji leaves it: it has no
 * UTF-8, so the table could not give it back as it was.
 */
export const wellFormed = (value: object): unknown =>
  JSON.parse(JSON.stringify(value), (_, part) => (typeof part === 'string' ? part.replace(HALF_PAIR, '\uFFFD') : part));

const HALF_PAIR = /\p{Surrogate}/gu;

/** The same that the control plane keeps of a token: SHA-256, hexadecimal. */
const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/** Placeholders in use. DynamoDB refuses a request that names more. */
const wordsAfter = (sign: '#' | ':', expressions: string): string[] => [
  ...new Set([...expressions.matchAll(new RegExp(`${sign}(\\w+)`, 'g'))].map(([, word = '']) => word)),
];

function valuesFor(
  words: readonly string[],
  values: Readonly<Record<string, unknown>>,
): Record<string, AttributeValue> {
  const used = Object.fromEntries(words.map((word) => [`:${word}`, values[word]]));
  return marshall(used, { removeUndefinedValues: true });
}
