import { describe, expect, it } from '@jest/globals';
import type { EventPattern } from '../../rules/event-pattern.ts';
import { rules } from '../../rules/index.ts';
import { compilePattern } from '../../runtime/matcher.ts';

const fits = (pattern: unknown, value: unknown): boolean => compilePattern(pattern as EventPattern)(value);

describe('a pattern', () => {
  it.each<[string, unknown, unknown, boolean]>([
    ['an exact text', { a: ['x'] }, { a: 'x' }, true],
    ['another text', { a: ['x'] }, { a: 'y' }, false],
    ['one of several', { a: ['x', 'y'] }, { a: 'y' }, true],
    ['a number', { a: [300] }, { a: 3.0e2 }, true],
    ['a number as text', { a: [300] }, { a: '300' }, false],
    ['true', { a: [true] }, { a: true }, true],
    ['null', { a: [null] }, { a: null }, true],
    ['null, but absent', { a: [null] }, {}, false],
    ['the empty text', { a: [''] }, { a: '' }, true],
    ['an absent field', { a: ['x'] }, {}, false],
    ['an object where a leaf is wanted', { a: ['x'] }, { a: { x: 1 } }, false],

    ['all fields', { a: ['x'], b: ['y'] }, { a: 'x', b: 'y', c: 1 }, true],
    ['not all fields', { a: ['x'], b: ['y'] }, { a: 'x' }, false],
    ['a nested field', { a: { b: ['x'] } }, { a: { b: 'x' } }, true],
    ['a nested field of nothing', { a: { b: ['x'] } }, { a: 1 }, false],
    ['a value that is no object', { a: ['x'] }, 'x', false],
    ['a value that is null', { a: ['x'] }, null, false],

    ['a prefix', { a: [{ prefix: 'ba' }] }, { a: 'baton/' }, true],
    ['not that prefix', { a: [{ prefix: 'ba' }] }, { a: 'abba' }, false],
    ['a prefix of a number', { a: [{ prefix: '1' }] }, { a: 12 }, false],
    ['a suffix', { a: [{ suffix: 'on' }] }, { a: 'baton' }, true],
    ['not that suffix', { a: [{ suffix: 'on' }] }, { a: 'once' }, false],

    ['exists', { a: [{ exists: true }] }, { a: 0 }, true],
    ['exists, and is null', { a: [{ exists: true }] }, { a: null }, true],
    ['exists, but is absent', { a: [{ exists: true }] }, {}, false],
    ['is absent', { a: [{ exists: false }] }, {}, true],
    ['is absent, but is there', { a: [{ exists: false }] }, { a: 'x' }, false],
    // Leaves only: neither an object nor an empty list exists.
    ['is absent, being an object', { a: [{ exists: false }] }, { a: { b: 1 } }, true],
    ['is absent, being an empty list', { a: [{ exists: false }] }, { a: [] }, true],

    ['anything but', { a: [{ 'anything-but': 'x' }] }, { a: 'y' }, true],
    ['anything but, and is that', { a: [{ 'anything-but': 'x' }] }, { a: 'x' }, false],
    ['anything but several', { a: [{ 'anything-but': ['x', 1] }] }, { a: 1 }, false],
    ['anything but, but absent', { a: [{ 'anything-but': 'x' }] }, {}, false],
    ['anything but, in a list with another', { a: [{ 'anything-but': 'x' }] }, { a: ['x', 'y'] }, true],

    ['an element of a list', { a: ['x'] }, { a: ['w', 'x'] }, true],
    ['no element of a list', { a: ['x'] }, { a: ['w'] }, false],
    ['two fields in the same element', { a: { b: [1], c: [2] } }, { a: [{ b: 1, c: 2 }] }, true],
    ['two fields in different elements', { a: { b: [1], c: [2] } }, { a: [{ b: 1 }, { c: 2 }] }, false],

    ['the first alternative', { $or: [{ a: ['x'] }, { b: ['y'] }] }, { a: 'x' }, true],
    ['the second alternative', { $or: [{ a: ['x'] }, { b: ['y'] }] }, { b: 'y' }, true],
    ['no alternative', { $or: [{ a: ['x'] }, { b: ['y'] }] }, { a: 'y' }, false],
    ['an alternative, but not the field beside it', { c: ['z'], $or: [{ a: ['x'] }, { b: ['y'] }] }, { a: 'x' }, false],
  ])('meets %s', (_, pattern, value, expected) => {
    expect(fits(pattern, value)).toBe(expected);
  });

  it.each<[string, unknown]>([
    ['an empty object', {}],
    ['an empty object inside', { a: {} }],
    ['an empty list', { a: [] }],
    ['a leaf that is no list', { a: 'x' }],
    ['null for a leaf', { a: null }],
    ['an unknown operator', { a: [{ wildcard: '*' }] }],
    ['numeric', { a: [{ numeric: ['>', 1] }] }],
    ['cidr', { a: [{ cidr: '10.0.0.0/8' }] }],
    ['two operators at once', { a: [{ prefix: 'a', suffix: 'b' }] }],
    ['no operator', { a: [{}] }],
    ['a prefix that is no text', { a: [{ prefix: 1 }] }],
    ['exists that is no truth', { a: [{ exists: 'yes' }] }],
    ['anything but nothing', { a: [{ 'anything-but': [] }] }],
    ['anything but an operator', { a: [{ 'anything-but': { prefix: 'x' } }] }],
    ['a single alternative', { $or: [{ a: ['x'] }] }],
    ['alternatives that are no list', { $or: { a: ['x'] } }],
    ['a field inside and outside of alternatives', { a: ['x'], $or: [{ a: ['y'] }, { b: ['z'] }] }],
  ])('with %s is refused when the rule is registered', (_, pattern) => {
    expect(() => compilePattern(pattern as EventPattern)).toThrow(
      expect.objectContaining({ code: 'unsupported_pattern' }),
    );
  });
});

describe('every rule', () => {
  it.each(rules.flatMap((rule) => (rule.where ? [[rule.name, rule.where] as const] : [])))(
    '%s has a pattern that this matcher knows',
    (_, where) => {
      expect(() => compilePattern(where)).not.toThrow();
    },
  );
});
