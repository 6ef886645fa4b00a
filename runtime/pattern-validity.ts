import { cidrBlock } from './ip-address.ts';

/** Longest pattern in characters: EventBridge's default quota (adjustable, at most 4,096). */
export const PATTERN_LENGTH_MAX = 2_048;
/** Most combinations that all `$or` of a pattern may multiply to: EventBridge's quota. */
export const OR_COMBINATIONS_MAX = 1_000;
/** Numbers that may be compared lie between minus and plus this: the range that EventBridge documents. */
export const COMPARABLE_NUMBER_MAX = 5e9;

/**
 * Says where an event pattern is wrong and why, in one line, or undefined when EventBridge would take it. A text is read as
 * JSON, as `PutRule` gets it. Sources: EventBridge user guide, "Event patterns"; compared with what AWS's event-ruler accepts.
 */
export function whyInvalid(pattern: unknown): string | undefined {
  if (typeof pattern !== 'string') return wrongPattern(pattern, JSON.stringify(pattern));
  let parsed: unknown;
  try {
    parsed = JSON.parse(pattern);
  } catch (error) {
    return `the pattern is no JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  return wrongPattern(parsed, pattern);
}

function wrongPattern(pattern: unknown, text: string | undefined): string | undefined {
  if (!isObject(pattern)) return 'the pattern is no object';
  if (text !== undefined && text.length > PATTERN_LENGTH_MAX) {
    return `the pattern has ${text.length} characters; at most ${PATTERN_LENGTH_MAX} are allowed`;
  }
  const wrong = wrongObject(pattern, '', false);
  if (wrong !== undefined) return wrong;
  const combinations = combinationsOf(pattern);
  if (combinations > OR_COMBINATIONS_MAX) {
    return `$or leads to ${combinations} combinations; at most ${OR_COMBINATIONS_MAX} are allowed`;
  }
  return undefined;
}

function wrongObject(pattern: Fields, at: string, insideOr: boolean): string | undefined {
  const fields = Object.entries(pattern);
  if (fields.length === 0) return wrong(at, 'an empty object');
  return first(fields, ([field, wanted]) => {
    const here = at === '' ? field : `${at}.${field}`;
    if (field === '$or') return wrongOr(wanted, here);
    if (insideOr && NAMES_WITH_A_MEANING.has(field)) return wrong(here, 'an operator is no field inside $or');
    if (Array.isArray(wanted)) return wrongLeaf(wanted, here);
    if (isObject(wanted)) return wrongObject(wanted, here, insideOr);
    return wrong(here, 'a condition is a list, here is none');
  });
}

function wrongOr(wanted: unknown, at: string): string | undefined {
  if (!Array.isArray(wanted)) return wrong(at, '$or is a list of alternatives');
  return (
    first(wanted, (one, index) =>
      isObject(one)
        ? wrongObject(one, `${at}[${index}]`, true)
        : wrong(`${at}[${index}]`, 'an alternative is an object'),
    ) ?? (wanted.length < 2 ? wrong(at, '$or has fewer than two alternatives') : undefined)
  );
}

function wrongLeaf(wanted: readonly unknown[], at: string): string | undefined {
  if (wanted.length === 0) return wrong(at, 'an empty list');
  return first(wanted, (one, index) => wrongMatcher(one, `${at}[${index}]`));
}

function wrongMatcher(wanted: unknown, at: string): string | undefined {
  if (Array.isArray(wanted)) return wrong(at, 'a list inside a list');
  if (!isObject(wanted)) return isScalar(wanted) ? undefined : wrong(at, `${typeof wanted} is no JSON value`);
  return wrongOperator(wanted, OPERATORS, at);
}

/** Exactly one operator, and one of these. */
function wrongOperator(wanted: Fields, operators: Operators, at: string): string | undefined {
  const [name, ...more] = Object.keys(wanted);
  if (name === undefined) return wrong(at, 'an empty object');
  if (more.length > 0) return wrong(at, `one operator at a time, here are ${[name, ...more].join(', ')}`);
  const check = Object.hasOwn(operators, name) ? operators[name] : undefined;
  if (!check) return wrong(at, `unknown operator "${name}"; known here: ${Object.keys(operators).join(', ')}`);
  return check(wanted[name], `${at}.${name}`);
}

type Operators = Readonly<Record<string, (operand: unknown, at: string) => string | undefined>>;

const IGNORING_CASE: Operators = { 'equals-ignore-case': wrongText };

const OPERATORS: Operators = {
  prefix: wrongAffix,
  suffix: wrongAffix,
  'equals-ignore-case': wrongText,
  wildcard: wrongWildcard,
  'anything-but': wrongAnythingBut,
  numeric: wrongNumeric,
  cidr: wrongCidr,
  exists: (operand, at) => (typeof operand === 'boolean' ? undefined : wrong(at, 'exists is true or false')),
};

/** Inside "anything-but", each as one text or as a list of texts. */
const EXCLUSIONS: Operators = {
  prefix: (operand, at) => wrongTexts(operand, at, wrongExcludedAffix),
  suffix: (operand, at) => wrongTexts(operand, at, wrongExcludedAffix),
  'equals-ignore-case': (operand, at) => wrongTexts(operand, at, wrongText),
  wildcard: (operand, at) => wrongTexts(operand, at, wrongWildcard),
};

/** Below `$or` these cannot be fields: EventBridge keeps them for itself. Some are no operators yet. */
const NAMES_WITH_A_MEANING: ReadonlySet<string> = new Set([
  ...Object.keys(OPERATORS),
  ...['exactly', '=', '<', '<=', '>', '>=', 'regex', 'not-wildcard', 'not-equals-ignore-case'],
  ...['date-after', 'date-on-or-after', 'date-before', 'date-on-or-before', 'in-date-range'],
  ...['ip-address-in-range', 'ip-address-not-in-range'],
]);

function wrongAffix(operand: unknown, at: string): string | undefined {
  return isObject(operand) ? wrongOperator(operand, IGNORING_CASE, at) : wrongText(operand, at);
}

function wrongText(operand: unknown, at: string): string | undefined {
  return typeof operand === 'string' ? undefined : wrong(at, 'a text is wanted');
}

function wrongExcludedAffix(operand: unknown, at: string): string | undefined {
  return operand === '' ? wrong(at, 'an empty text would exclude everything') : wrongText(operand, at);
}

function wrongTexts(operand: unknown, at: string, check: (one: unknown, at: string) => string | undefined) {
  if (!Array.isArray(operand)) return check(operand, at);
  if (operand.length === 0) return wrong(at, 'an empty list');
  return first(operand, (one, index) => check(one, `${at}[${index}]`));
}

function wrongWildcard(operand: unknown, at: string): string | undefined {
  if (typeof operand !== 'string') return wrong(at, 'a text is wanted');
  // Escapes are read first: an escaped star beside a star is no pair.
  const bare = operand.replace(/\\[\\*]/g, '-');
  if (bare.includes('\\')) return wrong(at, 'a backslash goes before * or \\ only');
  return bare.includes('**') ? wrong(at, 'two wildcards in a row') : undefined;
}

function wrongAnythingBut(operand: unknown, at: string): string | undefined {
  if (isObject(operand)) return wrongOperator(operand, EXCLUSIONS, at);
  const excluded: readonly unknown[] = Array.isArray(operand) ? operand : [operand];
  if (excluded.length === 0) return wrong(at, 'an empty list');
  if (excluded.every((one) => typeof one === 'string')) return undefined;
  if (excluded.every((one) => typeof one === 'number')) return first(excluded, (one) => wrongNumber(one, at));
  return wrong(at, 'all texts or all numbers are wanted');
}

function wrongNumeric(operand: unknown, at: string): string | undefined {
  if (!Array.isArray(operand)) return wrong(at, 'numeric is a list of operators and numbers');
  const [operator, bound, upperOperator, upper, ...more] = operand as readonly unknown[];
  if (typeof operator !== 'string' || !['=', '<', '<=', '>', '>='].includes(operator)) {
    return wrong(at, 'numeric begins with one of = < <= > >=');
  }
  const wrongBound = wrongNumber(bound, at);
  if (wrongBound !== undefined || operand.length === 2) return wrongBound;
  if (!operator.startsWith('>')) return wrong(at, `nothing can follow ${operator} and its number`);
  if (upperOperator !== '<' && upperOperator !== '<=') return wrong(at, 'a range goes on with < or <=');
  const wrongUpper = wrongNumber(upper, at);
  if (wrongUpper !== undefined) return wrongUpper;
  if (more.length > 0) return wrong(at, 'a range has two ends, here is more');
  return Number(bound) < Number(upper) ? undefined : wrong(at, 'the lower end is not below the upper end');
}

function wrongNumber(operand: unknown, at: string): string | undefined {
  if (typeof operand !== 'number') return wrong(at, 'a number is wanted');
  return Math.abs(operand) <= COMPARABLE_NUMBER_MAX
    ? undefined
    : wrong(at, `numbers are compared between -${COMPARABLE_NUMBER_MAX} and ${COMPARABLE_NUMBER_MAX} only`);
}

function wrongCidr(operand: unknown, at: string): string | undefined {
  if (typeof operand !== 'string') return wrong(at, 'a text is wanted');
  return cidrBlock(operand) ? undefined : wrong(at, 'a block is an address, "/" and 0 to 31 bits (IPv6: 0 to 127)');
}

/** How many alternatives without `$or` a valid pattern stands for. */
function combinationsOf(pattern: Fields): number {
  return Object.entries(pattern).reduce((product, [field, wanted]) => {
    if (field === '$or') return product * sum((wanted as readonly Fields[]).map(combinationsOf));
    return isObject(wanted) ? product * combinationsOf(wanted) : product;
  }, 1);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isScalar = (value: unknown): boolean =>
  value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);

const wrong = (at: string, what: string): string => (at === '' ? what : `${at}: ${what}`);

function first<One>(many: readonly One[], check: (one: One, index: number) => string | undefined): string | undefined {
  for (const [index, one] of many.entries()) {
    const found = check(one, index);
    if (found !== undefined) return found;
  }
  return undefined;
}
