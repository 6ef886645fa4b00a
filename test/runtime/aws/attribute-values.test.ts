import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { fromAttribute, toAttribute } from '../../../runtime/aws/attribute-values.ts';
import { BatonError } from '../../../runtime/errors.ts';

/** JSON that the SDK's own conversion can take: it stumbles over these names and over large numbers. */
const ordinary = fc
  .jsonValue()
  .map((value): unknown =>
    JSON.parse(JSON.stringify(value), (name, inner) =>
      ['__proto__', 'constructor'].includes(name) ? undefined : typeof inner === 'number' ? inner % 1e9 : inner,
    ),
  );

describe('a JSON value as an attribute', () => {
  it("is what the SDK's own conversion makes of it, and is read alike", () => {
    void fc.assert(
      fc.property(ordinary, (value) => {
        const { value: theirs } = marshall({ value });
        expect(toAttribute(value)).toEqual(theirs);
        expect(fromAttribute(toAttribute(value))).toEqual(unmarshall({ value: toAttribute(value) })['value']);
      }),
    );
  });

  it('comes back whatever its names and numbers are', () => {
    void fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        // As JSON does, it forgets the sign of zero.
        const plain: unknown = JSON.parse(JSON.stringify(value));
        expect(fromAttribute(toAttribute(plain))).toEqual(plain);
      }),
    );
  });

  it.each([{ constructor: 'x' }, { constructor: { name: 'Set' } }, JSON.parse('{"__proto__": "x"}')])(
    'has every label of its task: %j',
    (labels) => {
      const back = fromAttribute(toAttribute({ labels })) as { labels: object };
      expect(JSON.stringify(back.labels)).toBe(JSON.stringify(labels));
    },
  );

  it('leaves out what is undefined', () => {
    expect(toAttribute({ a: undefined, b: 1 })).toEqual({ M: { b: { N: '1' } } });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1n, () => 1, [undefined]])('is no %p', (value) => {
    expect(() => toAttribute({ value })).toThrow(TypeError);
  });
});

describe('an attribute that somebody else wrote', () => {
  it.each([{ SS: ['a'] }, { B: new Uint8Array() }])('and that is no JSON is not read: %j', (attribute) => {
    expect(() => fromAttribute(attribute)).toThrow(BatonError);
    expect(() => fromAttribute({ M: { a: attribute } })).toThrow(expect.objectContaining({ code: 'store_corrupt' }));
  });
});
