import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AddressRange,
  compareRanges,
  contains,
  mergeNeighbours,
  parseCidr,
  partition,
  rangeText,
  subtract,
  wholeFamily,
} from './addresses.ts';

const range = (text: string): AddressRange => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`${text} is no CIDR`);
  return parsed;
};
const v4 = fc.tuple(fc.nat({ max: 0xffffffff }), fc.integer({ min: 0, max: 32 })).map(([address, length]) => {
  const bytes = [24, 16, 8, 0].map((shift) => (address >>> shift) & 255);
  return range(`${bytes.join('.')}/${length}`);
});
const sizeOf = (ranges: readonly AddressRange[]): bigint => ranges.reduce((sum, { from, to }) => sum + to - from + 1n, 0n);

describe('a CIDR', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0-10.255.255.255'],
    ['10.1.2.3/8', '10.0.0.0-10.255.255.255'],
    ['0.0.0.0/0', '0.0.0.0-255.255.255.255'],
    ['203.0.113.7/32', '203.0.113.7-203.0.113.7'],
    ['2001:db8::/32', '2001:db8:0:0:0:0:0:0-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['::/0', '0:0:0:0:0:0:0:0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['::ffff:10.0.0.0/104', '0:0:0:0:0:ffff:a00:0-0:0:0:0:0:ffff:aff:ffff'],
  ])('%s is %s', (text, expected) => expect(rangeText(range(text))).toBe(expected));

  it.each([
    '',
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0/8',
    '10.0.0.256/8',
    '010.0.0.0/8',
    '10.0.0.0/08',
    '1:2/64',
    '::1::/64',
    '1::2:3:4:5:6:7:8/64',
    'g::/16',
    '10.0.0.0/8/8',
    '::/129',
  ])('%j is none', (text) => expect(parseCidr(text)).toBeUndefined());

  it('has an address that Node takes for one, whatever the text', () => {
    const text = fc
      .oneof(fc.string(), fc.stringMatching(/^[0-9a-f.:]{1,40}$/), fc.ipV4(), fc.ipV6())
      .chain((address) => fc.integer({ min: 0, max: 129 }).map((length) => [address, length] as const));
    fc.assert(
      fc.property(text, ([address, length]) => {
        const parsed = parseCidr(`${address}/${length}`);
        if (parsed !== undefined) expect(parsed.family === 4 ? isIPv4(address) : isIPv6(address)).toBe(true);
        if (length <= 32 && isIPv4(address)) expect(parsed?.family).toBe(4);
        if (length <= 128 && isIPv6(address) && !address.includes('%')) expect(parsed?.family).toBe(6);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('a partition', () => {
  it('covers everything once, and every cut is a union of its parts', () => {
    fc.assert(
      fc.property(fc.array(v4, { maxLength: 8 }), (cuts) => {
        const parts = partition(4, cuts);
        expect(sizeOf(parts)).toBe(1n << 32n);
        for (const cut of cuts) expect(sizeOf(parts.filter((part) => contains(cut, part)))).toBe(cut.to - cut.from + 1n);
      }),
    );
  });
});

describe('a subtraction', () => {
  it('leaves what is in none of the others, and merging its parts with them gives the whole again', () => {
    fc.assert(
      fc.property(v4, fc.array(v4, { maxLength: 6 }), (from, others) => {
        const left = subtract(from, others);
        for (const part of left) for (const other of others) expect(part.to < other.from || other.to < part.from).toBe(true);
        const inside = partition(4, [from, ...others]).filter(
          (part) => contains(from, part) && others.some((other) => contains(other, part)),
        );
        expect(mergeNeighbours([...left, ...inside])).toEqual([from]);
      }),
    );
  });

  it('keeps the families apart', () => expect(subtract(wholeFamily(6), [wholeFamily(4)])).toEqual([wholeFamily(6)]));
});

describe('ranges in order', () => {
  it('are IPv4 first, then by their beginning', () =>
    expect([range('::/0'), range('10.0.0.0/8'), range('9.0.0.0/8')].sort(compareRanges).map(rangeText)).toEqual([
      '9.0.0.0-9.255.255.255',
      '10.0.0.0-10.255.255.255',
      '0:0:0:0:0:0:0:0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    ]));
});
