import fc from 'fast-check';
import type { EventPattern, Matcher } from '../../../rules/event-pattern.ts';

// Few names and values, so that patterns and events meet; the values are those at which matchers go wrong.
const NAMES = ['a', 'b', 'c', 'a.b', 'b-c', 'toString'];
const TEXTS = ['', 'x', 'xy', 'X', 'yx', 'xxy', 'x*y', 'x\\y', '"x', 'x"', '1', 'null'];
const CASED = ['ß', 'SS', 'ss', 'Straße', 'STRASSE', 'ǅ', 'ǆ', 'ı', 'I', 'i', 'K', 'k', 'Σ', 'ς', '😀', '??'];
const ADDRESSES = [
  '10.0.0.1',
  '10.0.0.001',
  '10.0.1.255',
  '10.0.0.256',
  '::1',
  '0:0::1',
  '::ffff:a00:1',
  'a00::1',
  '1::2::3',
];
const NUMBERS = [0, -0, 1, -1, 1.5, 300, 0.1, 1e-7, 2 ** 31, 5e9];
const BLOCKS = ['10.0.0.0/24', '10.0.0.1/31', '0.0.0.0/5', '::1/127', '::/9', 'a00::/16', '2001:db8::/33'];
const WILDCARDS = ['*', 'x*', '*x', 'x*y', '*x*y*', 'x\\*y', 'x\\\\y', '', '*ß*', 'xy'];

const text = fc.constantFrom(...TEXTS, ...CASED, ...ADDRESSES);
const scalar = fc.oneof(
  { weight: 3, arbitrary: text },
  fc.constantFrom(...NUMBERS),
  fc.constantFrom(null, true, false),
);
const nonEmpty = text.filter((one) => one !== '');
const oneOrMore = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | Value[]> =>
  fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 3 }));

const number = fc.constantFrom(...NUMBERS);
const numeric = fc.oneof(
  fc.tuple(fc.constantFrom('=' as const, '<' as const, '<=' as const, '>' as const, '>=' as const), number),
  fc
    .tuple(fc.constantFrom('>' as const, '>=' as const), number, fc.constantFrom('<' as const, '<=' as const), number)
    .filter(([, lower, , upper]) => lower < upper),
);

const matcher: fc.Arbitrary<Matcher> = fc.oneof(
  { weight: 4, arbitrary: scalar },
  fc.record({ prefix: text }),
  fc.record({ suffix: text }),
  fc.record({ prefix: fc.record({ 'equals-ignore-case': text }) }),
  fc.record({ suffix: fc.record({ 'equals-ignore-case': text }) }),
  { weight: 2, arbitrary: fc.record({ 'equals-ignore-case': text }) },
  { weight: 2, arbitrary: fc.record({ wildcard: fc.constantFrom(...WILDCARDS) }) },
  fc.record({ 'anything-but': fc.oneof(oneOrMore(text), oneOrMore(number)) }),
  fc.record({ 'anything-but': fc.record({ prefix: oneOrMore(nonEmpty) }) }),
  fc.record({ 'anything-but': fc.record({ suffix: oneOrMore(nonEmpty) }) }),
  fc.record({ 'anything-but': fc.record({ 'equals-ignore-case': oneOrMore(text) }) }),
  fc.record({ 'anything-but': fc.record({ wildcard: oneOrMore(fc.constantFrom(...WILDCARDS)) }) }),
  fc.record({ numeric }),
  { weight: 2, arbitrary: fc.record({ cidr: fc.constantFrom(...BLOCKS) }) },
  { weight: 4, arbitrary: fc.record({ exists: fc.boolean() }) },
);

const name = fc.oneof({ weight: 8, arbitrary: fc.constantFrom('a', 'b', 'c') }, fc.constantFrom(...NAMES));
const leaf = fc.array(matcher, { minLength: 1, maxLength: 3 });

/** A valid pattern: nested fields, `$or` (also nested, also over fields that are named outside), dotted names. */
export const aPattern: fc.Arbitrary<EventPattern> = fc.letrec<{ pattern: EventPattern }>((tie) => {
  const wanted = fc.oneof({ maxDepth: 3, depthIdentifier: 'pattern' }, leaf, tie('pattern'));
  const field = fc.tuple(name, wanted);
  const or = fc.tuple(fc.constant('$or'), fc.array(tie('pattern'), { minLength: 2, maxLength: 3 }));
  const fields = fc.oneof(
    { maxDepth: 3, depthIdentifier: 'pattern' },
    fc.array(field, { minLength: 1, maxLength: 3 }),
    fc.tuple(field, or, field),
    fc.tuple(or, field),
    fc.tuple(field, or),
  );
  return { pattern: fields.map((pairs) => Object.fromEntries(pairs) as EventPattern) };
}).pattern;

/** An event: objects, arrays of scalars, of objects and of arrays, in any mixture. */
export const anEvent: fc.Arbitrary<Record<string, unknown>> = fc.letrec<{
  value: unknown;
  object: Record<string, unknown>;
}>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'event' },
    scalar,
    tie('object'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(tie('object'), { maxLength: 3 }),
  ),
  object: fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: true }),
})).object;

const broken = fc.oneof(
  fc.anything({ maxDepth: 2, values: [scalar] }).map((value) => JSON.parse(JSON.stringify(value ?? null)) as unknown),
  fc.constantFrom<unknown>(
    ...[
      {},
      [],
      'x',
      null,
      [[]],
      [{}],
      [{ prefix: 'a', suffix: 'b' }],
      [{ regex: 'x' }],
      [{ prefix: 1 }],
      [{ prefix: {} }],
    ],
    ...[[{ prefix: { suffix: 'x' } }], [{ suffix: ['x'] }], [{ 'equals-ignore-case': null }], [{ exists: 'true' }]],
    ...[[{ wildcard: '**' }], [{ wildcard: 'x\\y' }], [{ wildcard: 'x\\' }], [{ wildcard: '\\**' }], [{ wildcard: 1 }]],
    ...[[{ 'anything-but': [] }], [{ 'anything-but': ['x', 1] }], [{ 'anything-but': null }], [{ 'anything-but': {} }]],
    ...[[{ 'anything-but': [['x']] }], [{ 'anything-but': true }], [{ 'anything-but': { prefix: '' } }]],
    ...[[{ 'anything-but': { numeric: ['=', 1] } }], [{ 'anything-but': { prefix: 'a', suffix: 'b' } }]],
    ...[[{ 'anything-but': { wildcard: '**' } }], [{ 'anything-but': { suffix: ['x', 1] } }]],
    ...[
      [{ numeric: [] }],
      [{ numeric: ['='] }],
      [{ numeric: '=' }],
      [{ numeric: ['=', '1'] }],
      [{ numeric: ['!=', 1] }],
    ],
    ...[[{ numeric: ['=', 1, '<', 2] }], [{ numeric: ['<', 2, '>', 1] }], [{ numeric: ['>', 1, '<', 1] }]],
    ...[[{ numeric: ['>', 1, '=', 2] }], [{ numeric: ['>', 1, '<', 2, 3] }], [{ numeric: ['>', 1, '<'] }]],
    ...[[{ cidr: '10.0.0.0/32' }], [{ cidr: '10.0.0.0/33' }], [{ cidr: '::/128' }], [{ cidr: '10.0.0.0' }]],
    ...[[{ cidr: '10.0.0/8' }], [{ cidr: 'x/8' }], [{ cidr: '10.0.0.0/-1' }], [{ cidr: 10 }], [{ cidr: '1::2::3/9' }]],
  ),
);

/** Something of the shape of a pattern that has a mistake somewhere more often than not. */
export const aPatternOrNot: fc.Arbitrary<unknown> = fc.oneof(
  fc.tuple(aPattern, name, broken).map(([pattern, field, wanted]) => ({ ...pattern, [field]: wanted })),
  fc.tuple(name, name, broken).map(([outer, field, wanted]) => ({ [outer]: { [field]: wanted } })),
  fc
    .array(fc.oneof(aPattern, fc.constantFrom({}, 1, { prefix: ['x'] }, { a: { cidr: ['x'] } })), { maxLength: 3 })
    .map((branches) => ({
      $or: branches,
    })),
  fc.tuple(fc.constantFrom('prefix', '=', 'regex', 'exactly'), leaf).map(([field, wanted]) => ({ [field]: wanted })),
  broken,
);
