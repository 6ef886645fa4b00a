import type { AnythingBut, Matcher, NumericRange } from '../rules/event-pattern.ts';
import { addressDigits, cidrBlock, isInBlock } from './ip-address.ts';

/** What a leaf of an event can be. Texts match texts only, numbers by value. */
export type Scalar = string | number | boolean | null;

export type ValueTest = (value: Scalar) => boolean;

/**
 * One condition of a valid pattern as a test of one value that is there. `exists: false` fits none: absence is the matcher's
 * business. Semantics: EventBridge user guide, "Comparison operators", and what AWS's event-ruler was seen to do.
 */
export function valueTest(wanted: Matcher): ValueTest {
  if (typeof wanted === 'string') return exactText(wanted);
  if (wanted === null || typeof wanted !== 'object') return (value) => value === wanted;
  if ('exists' in wanted) return () => wanted.exists;
  if ('prefix' in wanted) return onText(prefixTest(wanted.prefix));
  if ('suffix' in wanted) return onText(suffixTest(wanted.suffix));
  if ('equals-ignore-case' in wanted) return onText(ignoringCase(wanted['equals-ignore-case'], '^', '$'));
  if ('wildcard' in wanted) return onText(wildcardTest(wanted.wildcard));
  if ('numeric' in wanted) return numericTest(wanted.numeric);
  if ('cidr' in wanted) return cidrTest(wanted.cidr);
  return anythingButTest(wanted['anything-but']);
}

/** True of a value that is one of these and nothing else; a test that an index can stand for. */
export const isExactText = (wanted: Matcher): wanted is string =>
  typeof wanted === 'string' && addressDigits(wanted) === undefined;

type TextTest = (text: string) => boolean;

const onText =
  (test: TextTest): ValueTest =>
  (value) =>
    typeof value === 'string' && test(value);

/** An address matches however it is written. */
function exactText(wanted: string): ValueTest {
  const digits = addressDigits(wanted);
  if (digits === undefined) return (value) => value === wanted;
  return onText(addressTest({ lowest: digits, highest: digits }));
}

function cidrTest(wanted: string): ValueTest {
  const block = cidrBlock(wanted);
  return block ? onText(addressTest(block)) : () => false;
}

function addressTest(block: Parameters<typeof isInBlock>[1]): TextTest {
  return (text) => {
    const digits = addressDigits(text);
    return digits !== undefined && isInBlock(digits, block);
  };
}

function prefixTest(wanted: string | { readonly 'equals-ignore-case': string }): TextTest {
  if (typeof wanted === 'object') return ignoringCase(wanted['equals-ignore-case'], '^', '');
  // event-ruler compares texts with their quotes: one at the end of the prefix may be the value's closing one.
  return wanted.endsWith('"') ? (text) => `${text}"`.startsWith(wanted) : (text) => text.startsWith(wanted);
}

function suffixTest(wanted: string | { readonly 'equals-ignore-case': string }): TextTest {
  if (typeof wanted === 'object') return ignoringCase(wanted['equals-ignore-case'], '', '$');
  return wanted.startsWith('"') ? (text) => `"${text}`.endsWith(wanted) : (text) => text.endsWith(wanted);
}

/**
 * Unicode-aware, one UTF-16 unit of the pattern at a time, either all of its lower or all of its upper case: "ß" fits "SS". Half of
 * a character beyond U+FFFF is a question mark to event-ruler, so such a character fits "??" and not itself.
 */
function ignoringCase(wanted: string, start: '^' | '', end: '$' | ''): TextTest {
  const units = Array.from({ length: wanted.length }, (_, index) => {
    const unit = wanted.charAt(index);
    if (/[\uD800-\uDFFF]/.test(unit)) return '\\?';
    return `(?:${escaped(unit.toLowerCase())}|${escaped(unit.toUpperCase())})`;
  });
  const expression = new RegExp(`${start}${units.join('')}${end}`, 's');
  return (text) => expression.test(text);
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/** Looks for the pieces between the stars from left to right, each as early as possible: linear, whatever the value is. */
function wildcardTest(wanted: string): TextTest {
  const [head = '', ...rest] = piecesOf(wanted);
  const tail = rest.pop();
  if (tail === undefined) return (text) => text === head;
  return (text) => {
    let from = head.length;
    const end = text.length - tail.length;
    if (end < from || !text.startsWith(head) || !text.endsWith(tail)) return false;
    for (const piece of rest) {
      const found = text.indexOf(piece, from);
      if (found < 0) return false;
      from = found + piece.length;
    }
    return from <= end;
  };
}

function piecesOf(wildcard: string): string[] {
  const pieces = [''];
  for (const [written, character = written] of wildcard.matchAll(/\\([\\*])|[^\\]/gs)) {
    if (written === '*') pieces.push('');
    else pieces.push((pieces.pop() ?? '') + character);
  }
  return pieces;
}

function numericTest(range: NumericRange): ValueTest {
  const fits = comparison(range[0], range[1]);
  if (range.length === 2) return (value) => typeof value === 'number' && fits(value);
  const fitsToo = comparison(range[2], range[3]);
  return (value) => typeof value === 'number' && fits(value) && fitsToo(value);
}

function comparison(operator: NumericRange[0], bound: number): (value: number) => boolean {
  switch (operator) {
    case '=':
      return (value) => value === bound;
    case '<':
      return (value) => value < bound;
    case '<=':
      return (value) => value <= bound;
    case '>':
      return (value) => value > bound;
    case '>=':
      return (value) => value >= bound;
  }
}

/** Anything that is there and not excluded, of whatever type. */
function anythingButTest(excluded: AnythingBut): ValueTest {
  const tests = exclusionsOf(excluded);
  const [only, ...more] = tests;
  if (only && more.length === 0) return (value) => !only(value);
  return (value) => !tests.some((test) => test(value));
}

function exclusionsOf(excluded: AnythingBut): ValueTest[] {
  if (typeof excluded !== 'object' || isList(excluded)) {
    return listed<string | number>(excluded).map((one) => (value) => value === one);
  }
  if ('prefix' in excluded) return listed(excluded.prefix).map((one) => onText(prefixTest(one)));
  if ('suffix' in excluded) return listed(excluded.suffix).map((one) => onText(suffixTest(one)));
  if ('wildcard' in excluded) return listed(excluded.wildcard).map((one) => onText(wildcardTest(one)));
  return listed(excluded['equals-ignore-case']).map((one) => onText(ignoringCase(one, '^', '$')));
}

const isList = (value: AnythingBut): value is readonly string[] | readonly number[] => Array.isArray(value);

const listed = <One>(value: One | readonly One[]): readonly One[] => [value].flat() as readonly One[];
