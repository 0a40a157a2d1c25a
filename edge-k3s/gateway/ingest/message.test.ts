import { encode as encodeCbor } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from './decode.ts';
import { MOST_READINGS, readingsOf } from './readings.ts';
import { fits, readTopic } from './topic.ts';

describe('a topic of telemetry', () => {
  it.each([
    ['dt/office.berlin/thermo-1.berlin/climate', { segment: 'office.berlin', device: 'thermo-1.berlin', stream: 'climate' }],
    ['dt/office.berlin/thermo-1.berlin/a/b', { segment: 'office.berlin', device: 'thermo-1.berlin', stream: 'a/b' }],
    ['dt/office.berlin/thermo-1.berlin', undefined],
    ['dt/office.berlin/thermo-1.berlin/', undefined],
    ['dt/office.berlin/thermo-1.berlin/a//b', undefined],
    ['dt/office/thermo-1.berlin/climate', undefined],
    ['cmd/office.berlin/thermo-1.berlin/climate', undefined],
    ['dt/office.berlin/Thermo.berlin/climate', undefined],
    ['dt/office.berlin/thermo-1.berlin/a\u0000b', undefined],
    ['dt/office.berlin/thermo-1.berlin/a b', undefined],
    [`dt/office.berlin/thermo-1.berlin/${'x'.repeat(256)}`, undefined],
  ])('%s', (topic, expected) => expect(readTopic(topic)).toEqual(expected));

  it.each([
    ['a/b', 'a/b', true],
    ['a/b', 'a/+', true],
    ['a/b/c', 'a/#', true],
    ['a', 'a/#', true],
    ['a/b', '#', true],
    ['a/b', 'a', false],
    ['a', 'a/+', false],
    ['a/b/c', 'a/+', false],
    ['a/b', 'a/c', false],
  ])('%s and the filter %s', (topic, filter, expected) => expect(fits(topic, filter)).toBe(expected));

  it('is read or not, whatever it is', () => {
    fc.assert(fc.property(fc.string(), (topic) => readTopic(topic) === undefined || topic.startsWith('dt/')));
  });
});

describe('a payload', () => {
  const envelope = { v: 1, boot: 2, seq: 3, ts: 1_700_000_000_000, m: { celsius: 21.5, tags: ['a'], deep: { on: true, none: null } } };

  it('says the same as JSON and as CBOR', () => {
    expect(decode(Buffer.from(JSON.stringify(envelope)))).toEqual(envelope);
    expect(decode(Buffer.from(encodeCbor(envelope)))).toEqual(envelope);
  });

  // RFC 8949 appendix A.
  it.each([
    ['a26161016162820203', { a: 1, b: [2, 3] }],
    ['bf61610161629f0203ffff', { a: 1, b: [2, 3] }],
    ['a1616dfb3ff199999999999a', { m: 1.1 }],
    ['a1616df93e00', { m: 1.5 }],
  ])('of the bytes %s', (hex, value) => expect(decode(Buffer.from(hex, 'hex'))).toEqual(value));

  it.each([
    ['nothing', ''],
    ['a map with a key twice', 'a2616101616102'],
    ['a map with a number as a key', 'a10102'],
    ['a map that ends too early', 'a16161'],
    ['something behind the map', 'a1616101ff'],
    ['an integer beyond 2^53', 'a161611bffffffffffffffff'],
    ['no number', 'a16161f97e00'],
    ['a date as a tag', 'a16161c01a00000000'],
    ['a map of more entries than there are bytes', 'bb000fffffffffffff616101'],
  ])('is refused as CBOR when it is %s', (_, hex) => expect(decode(Buffer.from(hex, 'hex'))).toBeUndefined());

  it('is refused when it is JSON in no UTF-8, or is nested without an end', () => {
    expect(decode(Buffer.from([0x22, 0xc3, 0x22]))).toBeUndefined();
    expect(readingsOf(decode(Buffer.from(`${'['.repeat(60_000)}${']'.repeat(60_000)}`)))).toBeUndefined();
    expect(decode(Buffer.from('a16161'.repeat(20_000), 'hex'))).toBeUndefined();
  });

  it('changes no prototype', () => {
    for (const payload of [Buffer.from('{"m":{"__proto__":{"polluted":1}}}'), Buffer.from(encodeCbor(new Map([['__proto__', 1]])))])
      decode(payload);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void readingsOf(decode(Buffer.from(bytes)))),
      { numRuns: 2_000 },
    );
  });
});

describe('readings', () => {
  it.each([
    ['a bare number', 21.5, [['', 21.5]]],
    [
      'an object',
      { celsius: 21, deep: { a: 1, list: [2, 3] }, unit: 'c', on: true, none: null },
      [
        ['celsius', 21],
        ['deep.a', 1],
        ['deep.list.0', 2],
        ['deep.list.1', 3],
      ],
    ],
    ['no number at all', { unit: 'c' }, []],
    ['bytes', new Uint8Array([1, 2]), []],
    ['a number that is none', JSON.parse('{"a":1e999}'), []],
  ])('of %s', (_, m, expected) => expect(readingsOf(m)).toEqual(expected));

  it.each([
    ['more than a message may have', Array.from({ length: MOST_READINGS + 1 }, () => 1)],
    ['deeper than eight levels', JSON.parse(`${'{"a":'.repeat(9)}1${'}'.repeat(9)}`)],
    ['more than a schema should look at', Array.from({ length: 1_024 }, () => 'x')],
    ['the same in many lists', Array.from({ length: 40 }, () => Array.from({ length: 40 }, () => null))],
    ['a field with a long name', { ['x'.repeat(200)]: 1 }],
  ])('none at all of %s', (_, m) => expect(readingsOf(m)).toBeUndefined());
});
