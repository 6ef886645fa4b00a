import { isDeepStrictEqual } from 'node:util';
import { type Operand, type Path, type Placeholders, type Tokens, tokensOf } from './dynamo-expression-tokens.ts';

/** Whether something is true of an item, given as plain JSON. */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly sides: readonly [Condition, Condition] }
  | { readonly kind: 'not'; readonly side: Condition }
  | { readonly kind: 'compare'; readonly comparator: Comparator; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'exists'; readonly path: Path }
  | { readonly kind: 'begins'; readonly path: Path; readonly prefix: Operand };

const COMPARATORS = ['=', '<>', '<', '<=', '>', '>='] as const;
type Comparator = (typeof COMPARATORS)[number];

/** Reads a condition. Throws ValidationException for what DynamoDB refuses, and for operators that are not served here. */
export function parsedCondition(part: string, text: string, placeholders: Placeholders): Condition {
  const tokens = tokensOf(part, text, placeholders);
  const condition = alternatives(tokens);
  if (tokens.peek() !== undefined) throw tokens.wrong(`Syntax error; token: "${tokens.peek()}"`);
  return condition;
}

/** OR binds less than AND, AND less than NOT. */
function alternatives(tokens: Tokens): Condition {
  let condition = conjunction(tokens);
  while (tokens.take('OR')) condition = { kind: 'or', sides: [condition, conjunction(tokens)] };
  return condition;
}

function conjunction(tokens: Tokens): Condition {
  let condition = negation(tokens);
  while (tokens.take('AND')) condition = { kind: 'and', sides: [condition, negation(tokens)] };
  return condition;
}

function negation(tokens: Tokens): Condition {
  if (tokens.take('NOT')) return { kind: 'not', side: negation(tokens) };
  if (tokens.take('(')) {
    const inner = alternatives(tokens);
    tokens.need(')');
    return inner;
  }
  return test(tokens);
}

function test(tokens: Tokens): Condition {
  const word = tokens.peek()?.toLowerCase() ?? '';
  switch (word) {
    case 'attribute_exists':
    case 'attribute_not_exists': {
      tokens.next();
      tokens.need('(');
      const exists: Condition = { kind: 'exists', path: tokens.path() };
      tokens.need(')');
      return word === 'attribute_exists' ? exists : { kind: 'not', side: exists };
    }
    case 'begins_with': {
      tokens.next();
      tokens.need('(');
      const path = tokens.path();
      tokens.need(',');
      const begins: Condition = { kind: 'begins', path, prefix: tokens.operand() };
      tokens.need(')');
      return begins;
    }
    default:
      return comparison(tokens);
  }
}

function comparison(tokens: Tokens): Condition {
  const left = tokens.operand();
  const word = tokens.next();
  const comparator = COMPARATORS.find((one) => one === word);
  if (comparator === undefined) throw tokens.wrong(`"${word}" is no comparator that is served here`);
  return { kind: 'compare', comparator, left, right: tokens.operand() };
}

/** Whether the condition is true of the item; a missing attribute makes every comparison false but "<>". */
export function holds(condition: Condition, item: unknown): boolean {
  switch (condition.kind) {
    case 'and':
      return condition.sides.every((side) => holds(side, item));
    case 'or':
      return condition.sides.some((side) => holds(side, item));
    case 'not':
      return !holds(condition.side, item);
    case 'exists':
      return valueAt(item, condition.path) !== undefined;
    case 'begins': {
      const [text, prefix] = [valueAt(item, condition.path), meantBy(condition.prefix, item)];
      return typeof text === 'string' && typeof prefix === 'string' && text.startsWith(prefix);
    }
    case 'compare':
      return compares(condition.comparator, meantBy(condition.left, item), meantBy(condition.right, item));
  }
}

/** Conditions that must all be true for the whole to be. */
export const conjunctsOf = (condition: Condition): readonly Condition[] =>
  condition.kind === 'and' ? condition.sides.flatMap(conjunctsOf) : [condition];

export const meantBy = (operand: Operand, item: unknown): unknown =>
  operand.kind === 'value' ? operand.value : valueAt(item, operand.path);

/** What stands at a path; undefined where nothing does. */
export function valueAt(item: unknown, path: Path): unknown {
  let value = item;
  for (const step of path) {
    const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, step);
    if (!isThere || Array.isArray(value) !== (typeof step === 'number')) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

function compares(comparator: Comparator, left: unknown, right: unknown): boolean {
  if (comparator === '<>') return !isDeepStrictEqual(left, right);
  if (left === undefined || right === undefined) return false;
  if (comparator === '=') return isDeepStrictEqual(left, right);
  const order = orderOf(left, right);
  return order !== undefined && ORDERS[comparator](order);
}

const ORDERS: Readonly<Record<Exclude<Comparator, '=' | '<>'>, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

/** Texts by their bytes in UTF-8, numbers by value; nothing else has an order. */
function orderOf(left: unknown, right: unknown): number | undefined {
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  if (typeof left === 'string' && typeof right === 'string')
    return Buffer.compare(Buffer.from(left), Buffer.from(right));
  return undefined;
}
