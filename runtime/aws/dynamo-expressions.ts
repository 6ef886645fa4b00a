import type { AttributeValue } from '@aws-sdk/client-dynamodb';

/** One clause of an expression; attributes stand in it as `#name`, values as `:name`. */
export interface Clause {
  readonly text: string;
  readonly values?: Readonly<Record<string, AttributeValue>>;
}

type Part = 'ConditionExpression' | 'KeyConditionExpression' | 'FilterExpression';

interface Expressions extends Partial<Record<Part, string>> {
  ExpressionAttributeNames?: Record<string, string>;
  ExpressionAttributeValues?: Record<string, AttributeValue>;
}

/** The expressions of a request with their names and values: the clauses of each part hold together. A part without clauses is left out. */
export function expressionsOf(parts: Readonly<Partial<Record<Part, readonly Clause[]>>>): Expressions {
  const clauses = Object.values(parts).flat();
  if (clauses.length === 0) return {};
  const values: Record<string, AttributeValue> = Object.assign({}, ...clauses.map((clause) => clause.values));
  const texts = Object.entries(parts)
    .filter(([, ofPart]) => ofPart.length > 0)
    .map(([part, ofPart]) => [part, ofPart.map(({ text }) => text).join(' AND ')]);
  return {
    ...Object.fromEntries(texts),
    ExpressionAttributeNames: namesIn(clauses.map(({ text }) => text).join(' ')),
    ...(Object.keys(values).length > 0 ? { ExpressionAttributeValues: values } : {}),
  };
}

/** Every attribute of a record goes by a placeholder: `key`, `value`, `by` and `open` are among DynamoDB's reserved words. */
export const namesIn = (expression: string): Record<string, string> =>
  Object.fromEntries([...expression.matchAll(/#(\w+)/g)].map(([placeholder, name]) => [placeholder, name ?? '']));
