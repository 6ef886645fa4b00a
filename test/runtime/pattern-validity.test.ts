import { describe, expect, it } from '@jest/globals';
import { PATTERN_LENGTH_MAX, whyInvalid } from '../../runtime/pattern-validity.ts';

// That EventBridge refuses the same is asserted with event-ruler's answers in matcher.test.ts; here it is what we say about it.
describe('why a pattern is refused', () => {
  it.each<[string, unknown, string]>([
    ['no object', ['x'], 'the pattern is no object'],
    ['nothing', undefined, 'the pattern is no object'],
    ['an empty object', {}, 'an empty object'],
    ['an empty object inside', { detail: { a: {} } }, 'detail.a: an empty object'],
    ['a leaf that is no list', { detail: { a: 'x' } }, 'detail.a: a condition is a list, here is none'],
    [
      'an unknown operator',
      { a: ['x', { regex: 'x' }] },
      'a[1]: unknown operator "regex"; known here: prefix, suffix,',
    ],
    ['two operators', { a: [{ prefix: 'x', suffix: 'y' }] }, 'a[0]: one operator at a time, here are prefix, suffix'],
    [
      'an operator inside an operator',
      { a: [{ 'anything-but': { cidr: 'x' } }] },
      'a[0].anything-but: unknown operator "cidr"',
    ],
    ['a name of every object for an operator', { a: [{ constructor: 'x' }] }, 'a[0]: unknown operator "constructor"'],
    ['two wildcards in a row', { a: [{ wildcard: 'x**' }] }, 'a[0].wildcard: two wildcards in a row'],
    ['a mixed list', { a: [{ 'anything-but': ['x', 1] }] }, 'a[0].anything-but: all texts or all numbers are wanted'],
    [
      'an empty list of prefixes',
      { a: [{ 'anything-but': { prefix: [] } }] },
      'a[0].anything-but.prefix: an empty list',
    ],
    [
      'an empty range',
      { a: [{ numeric: ['>', 1, '<', 1] }] },
      'a[0].numeric: the lower end is not below the upper end',
    ],
    ['a block with a full mask', { a: [{ cidr: '10.0.0.0/33' }] }, 'a[0].cidr: a block is an address'],
    ['$or of one', { a: { $or: [{ b: ['x'] }] } }, 'a.$or: $or has fewer than two alternatives'],
    ['a mistake in an alternative', { $or: [{ b: ['x'] }, { c: [] }] }, '$or[1].c: an empty list'],
    [
      'an operator as field in an alternative',
      { $or: [{ exists: ['x'] }, { c: ['x'] }] },
      '$or[0].exists: an operator is no field',
    ],
    ['undefined in a list', { a: [undefined] }, 'a[0]: undefined is no JSON value'],
    ['a number that JSON has not', { a: [Number.NaN] }, 'a[0]: number is no JSON value'],
    ['text that is no JSON', '{"a":', 'the pattern is no JSON: '],
    ['text of something else', '"a"', 'the pattern is no object'],
  ])('with %s', (_, pattern, reason) => {
    expect(whyInvalid(pattern)).toContain(reason);
  });

  it.each([
    ['epoch milliseconds to compare with', { a: [{ numeric: ['>', 1.7e12] }] }],
    ['a number out of range to exclude', { a: [{ 'anything-but': [-5_000_000_001] }] }],
  ])('names the documented range for %s', (_, pattern) => {
    expect(whyInvalid(pattern)).toContain('numbers are compared between -5000000000 and 5000000000 only');
  });
});

describe('the bounds of a pattern', () => {
  const ofLength = (length: number): string => {
    const empty = JSON.stringify({ a: [''] });
    return JSON.stringify({ a: ['x'.repeat(length - empty.length)] });
  };

  it('are 2,048 characters', () => {
    expect(whyInvalid(ofLength(PATTERN_LENGTH_MAX))).toBeUndefined();
    expect(whyInvalid(ofLength(PATTERN_LENGTH_MAX + 1))).toContain('2049 characters; at most 2048');
    expect(whyInvalid(JSON.parse(ofLength(PATTERN_LENGTH_MAX + 1)))).toContain('2049 characters');
  });

  it('are 1,000 combinations of all $or, side by side and nested', () => {
    const tenfold = { $or: Array.from({ length: 10 }, (_, index) => ({ [`a${index}`]: ['x'] })) };
    expect(whyInvalid({ a: tenfold, b: tenfold, c: tenfold })).toBeUndefined();
    expect(whyInvalid({ a: tenfold, b: tenfold, c: tenfold, d: { $or: [{ a: ['x'] }, { b: ['x'] }] } })).toContain(
      '2000 combinations',
    );
    expect(whyInvalid({ a: tenfold, b: tenfold, c: { $or: [tenfold, { x: ['x'] }] } })).toContain('1100 combinations');
  });
});

describe('a pattern that EventBridge takes', () => {
  it.each([
    ['as an object', { source: ['x'], detail: { a: [{ exists: false }, null, 1] } }],
    ['as text', '{"source":["x"]}'],
    ['with an account number', { a: [123456789012] }],
  ])('has nothing wrong with it, %s', (_, pattern) => {
    expect(whyInvalid(pattern)).toBeUndefined();
  });
});
