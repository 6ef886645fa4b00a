import { refused } from './aws-error.ts';
import { meantBy, valueAt } from './dynamo-condition-expression.ts';
import { type Operand, type Path, type Placeholders, type Tokens, tokensOf } from './dynamo-expression-tokens.ts';

/** One change of an item; what it computes is computed of the item as it was. */
export interface Change {
  readonly path: Path;
  /** The new value; undefined removes the attribute. */
  readonly value: (item: unknown) => unknown;
}

/** Reads an update. Throws ValidationException for what DynamoDB refuses, and for actions that are not served here. */
export function parsedUpdate(text: string, placeholders: Placeholders): readonly Change[] {
  const tokens = tokensOf('UpdateExpression', text, placeholders);
  const changes: Change[] = [];
  while (tokens.peek() !== undefined) {
    const action = actions[tokens.next().toUpperCase()];
    if (!action) throw tokens.wrong('SET, REMOVE and ADD are served here, and nothing else');
    do changes.push(action(tokens));
    while (tokens.take(','));
  }
  return changes;
}

const actions: Readonly<Record<string, (tokens: Tokens) => Change>> = {
  SET(tokens) {
    const path = tokens.path();
    tokens.need('=');
    return { path, value: sum(tokens) };
  },
  REMOVE: (tokens) => ({ path: tokens.path(), value: () => undefined }),
  ADD(tokens) {
    const path = tokens.path();
    const added = tokens.operand();
    return { path, value: (item) => number(valueAt(item, path) ?? 0) + number(meantBy(added, item)) };
  },
};

type Compute = (item: unknown) => unknown;

function sum(tokens: Tokens): Compute {
  const first = term(tokens);
  const sign = tokens.take('+') ? 1 : tokens.take('-') ? -1 : 0;
  if (sign === 0) return first;
  const second = term(tokens);
  return (item) => number(first(item)) + sign * number(second(item));
}

function term(tokens: Tokens): Compute {
  if (tokens.peek()?.toLowerCase() !== 'if_not_exists') {
    const operand = tokens.operand();
    return (item) => present(operand, item);
  }
  tokens.next();
  tokens.need('(');
  const path = tokens.path();
  tokens.need(',');
  const otherwise = tokens.operand();
  tokens.need(')');
  return (item) => valueAt(item, path) ?? present(otherwise, item);
}

function present(operand: Operand, item: unknown): unknown {
  const value = meantBy(operand, item);
  if (value !== undefined) return value;
  throw refused(
    'ValidationException',
    'The provided expression refers to an attribute that does not exist in the item',
  );
}

function number(value: unknown): number {
  if (typeof value === 'number') return value;
  throw refused('ValidationException', 'An operand in the update expression has an incorrect data type');
}

/** The item with all changes made; the given one stays as it is. */
export function changed(item: Readonly<Record<string, unknown>>, changes: readonly Change[]): Record<string, unknown> {
  const next = structuredClone(item) as Record<string, unknown>;
  for (const { path, value } of changes) put(next, path, value(item));
  return next;
}

function put(item: object, path: Path, value: unknown): void {
  const last = path.at(-1) ?? '';
  const parent = valueAt(item, path.slice(0, -1));
  if (typeof parent !== 'object' || parent === null || Array.isArray(parent) || typeof last === 'number') {
    throw refused('ValidationException', 'The document path provided in the update expression is invalid for update');
  }
  if (value === undefined) delete (parent as Record<string, unknown>)[last];
  // A name such as "__proto__" is a field like any other.
  else Object.defineProperty(parent, last, { value, enumerable: true, configurable: true, writable: true });
}
