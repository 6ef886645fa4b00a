import { BlockList, isIP } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { addressDigits, cidrBlock, isInBlock } from '../../runtime/ip-address.ts';

describe('an address', () => {
  it.each([
    ['10.0.0.255', '0A0000FF'],
    ['10.0.0.010', '0A00000A'],
    ['::', '0'.repeat(32)],
    ['2001:db8::a:1', '20010DB800000000000000000000A0001'.replace('0000A0001', '000A0001')],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:a00:1', '0A000001'],
  ])('%s has the digits %s', (text, digits) => {
    expect(addressDigits(text)).toBe(digits);
  });

  it.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '1.2.3.4.5',
    'a.b.c.d',
    '1:2',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '1::2:3:4:5:6:7:8',
    '::g',
    '12345::',
    '::1%eth0',
  ])('%p is none', (text) => {
    expect(addressDigits(text)).toBeUndefined();
  });

  it('is one for us when it is one for Node', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.ipV4(),
          fc.ipV6().filter((text) => !text.includes('.')),
        ),
        (text) => {
          expect(addressDigits(text) !== undefined).toBe(isIP(text) !== 0);
        },
      ),
    );
  });
});

describe('a block', () => {
  it('holds the addresses that Node says it holds', () => {
    const ofFour = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 31 }), fc.ipV4(), fc.constant('ipv4' as const));
    const text6 = fc.ipV6().filter((text) => !text.includes('.') && addressDigits(text)?.length === 32);
    const ofSix = fc.tuple(text6, fc.integer({ min: 0, max: 127 }), text6, fc.constant('ipv6' as const));
    fc.assert(
      fc.property(fc.oneof(ofFour, ofSix), ([base, bits, other, family]) => {
        const node = new BlockList();
        node.addSubnet(base, bits, family);
        const block = cidrBlock(`${base}/${bits}`);
        for (const address of [base, other]) {
          const digits = addressDigits(address);
          expect(block && digits && isInBlock(digits, block)).toBe(node.check(address, family));
        }
      }),
    );
  });

  it.each(['10.0.0.0', '10.0.0.0/', '10.0.0.0/32', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0/8', '::/128', 'x/8', '/8'])(
    '%s is none',
    (text) => {
      expect(cidrBlock(text)).toBeUndefined();
    },
  );
});
