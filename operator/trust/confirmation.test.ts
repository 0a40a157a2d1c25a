import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { confirms, deviceOf, readConfirmation } from './confirmation.ts';
import { digestOf, type Message } from './message.ts';

const SET = { anchors: [Buffer.from('a')], keys: [Buffer.from('k')] };
const MESSAGE: Message = { ...SET, sequence: 20, since: 10, issuedAt: 0, expires: 1 };
const GOOD = { v: 1, sequence: 15, digest: digestOf(MESSAGE) };
const bytes = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

describe('a confirmation', () => {
  it('is three fields', () => expect(readConfirmation(bytes(GOOD))).toEqual({ sequence: 15, digest: GOOD.digest }));

  it.each<[what: string, payload: unknown]>([
    ['nothing', ''],
    ['no JSON', '{'],
    ['a list', [GOOD]],
    ['null', 'null'],
    ['of another version', { ...GOOD, v: 2 }],
    ['with a field more', { ...GOOD, note: '' }],
    ['without a digest', { v: 1, sequence: 15 }],
    ['with a digest in capitals', { ...GOOD, digest: GOOD.digest.toUpperCase() }],
    ['with a short digest', { ...GOOD, digest: 'ab' }],
    ['with a sequence as text', { ...GOOD, sequence: '15' }],
    ['with half a sequence', { ...GOOD, sequence: 15.5 }],
    ['with a negative sequence', { ...GOOD, sequence: -1 }],
    ['with a sequence beyond exact numbers', `{"v":1,"sequence":1e300,"digest":"${GOOD.digest}"}`],
    ['longer than any', `${JSON.stringify(GOOD)}${' '.repeat(256)}`],
  ])('is none when it is %s', (_what, payload) => expect(readConfirmation(bytes(payload))).toBeUndefined());

  it('is none for bytes that are not UTF-8', () => expect(readConfirmation(Buffer.from([0xff, 0xfe, 0x7b, 0x7d]))).toBeUndefined());

  it('never throws and never confirms by accident, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), mutated()), (payload) => {
        const read = readConfirmation(payload);
        if (read !== undefined && confirms(read, MESSAGE))
          expect(JSON.parse(Buffer.from(payload).toString())).toMatchObject({ digest: GOOD.digest });
      }),
      { numRuns: 20_000 },
    );
  });
});

/** One byte of a good one is another one. */
const mutated = (): fc.Arbitrary<Uint8Array> =>
  fc.tuple(fc.nat(bytes(GOOD).length - 1), fc.nat(255)).map(([at, value]) => {
    const payload = bytes(GOOD);
    payload[at] = value;
    return payload;
  });

describe('a confirmation counts', () => {
  it.each<[what: string, confirmation: { sequence: number; digest: string }, counts: boolean]>([
    ['from the first message of this set on', { sequence: 10, digest: GOOD.digest }, true],
    ['with the last message', { sequence: 20, digest: GOOD.digest }, true],
    ['not for another set', { sequence: 15, digest: 'f'.repeat(64) }, false],
    ['not from before: the same set was there once, and another one since', { sequence: 9, digest: GOOD.digest }, false],
    ['not for a sequence that was never sent', { sequence: 21, digest: GOOD.digest }, false],
  ])('%s', (_what, confirmation, counts) => expect(confirms(confirmation, MESSAGE)).toBe(counts));
});

it.each<[topic: string, device: string | undefined]>([
  ['trust/v1/d/thermo-1.berlin/confirmed', 'thermo-1.berlin'],
  ['trust/v1/d/thermo-1.berlin/confirmed/x', undefined],
  ['trust/v1/d/thermo-1/confirmed', undefined],
  ['trust/v1/d/a.b.c/confirmed', undefined],
  ['x/trust/v1/d/thermo-1.berlin/confirmed', undefined],
  ['trust/v1/d/+/confirmed', undefined],
])('the topic %s is that of %s', (topic, device) => expect(deviceOf(topic)).toBe(device));
