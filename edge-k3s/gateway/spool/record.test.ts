import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encode, type Stored, scan, sizeOf } from './record.ts';
import { entry } from './testing/world.ts';

const SALT = 0xc0ffee;
const stored = (seq: number, more: Partial<Stored> = {}): Stored => ({ ...entry('alert', seq), seq, place: 0, lost: 0, ...more });
const file = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, (_, n) => encode(stored(n + 1), SALT)));
const seqsIn = (bytes: Buffer): number[] => scan(bytes, 'alert', SALT).records.map(({ seq }) => seq);

describe('a record', () => {
  it('comes back as it was written', () => {
    const text = fc.string({ maxLength: 200, unit: 'binary' });
    const any = fc.record({
      key: text,
      subject: text,
      payload: fc.uint8Array({ maxLength: 300 }),
      seq: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
    });
    fc.assert(
      fc.property(any, ({ key, subject, payload, seq }) => {
        const one = stored(1, { seq, key, subject, payload, fromMs: -1.5, toMs: 2e15, revision: 9, lost: 3, place: 4 });
        const bytes = encode(one, SALT);
        expect(bytes.length).toBe(sizeOf(one));
        const [read] = scan(bytes, 'alert', SALT).records;
        expect({ ...read, payload: Buffer.from(read?.payload ?? []) }).toEqual({
          ...one,
          payload: Buffer.from(payload),
          at: 0,
          end: bytes.length,
        });
      }),
      { numRuns: 40 },
    );
  });

  it.each<[string, Partial<Stored>]>([
    ['a key that is too long', { key: 'k'.repeat(1_025) }],
    ['a device name that is too long', { device: 'd'.repeat(65) }],
    ['a time that is no number', { fromMs: Number.NaN }],
    ['a time without end', { toMs: Number.POSITIVE_INFINITY }],
    ['a revision below 0', { revision: -1 }],
  ])('is not made of %s', (_name, more) => expect(sizeOf(stored(1, more))).toBeUndefined());

  it('is read again after any damage, never another than was written, and what is gone is a hole', () => {
    const whole = file(12);
    const damage = fc.record({ at: fc.nat(whole.length - 1), bytes: fc.uint8Array({ minLength: 1, maxLength: 400 }) });
    fc.assert(
      fc.property(damage, ({ at, bytes }) => {
        const damaged = Buffer.from(whole);
        damaged.set(bytes.subarray(0, whole.length - at), at);
        const { records, holes } = scan(damaged, 'alert', SALT);
        for (const one of records) expect(one.payload).toEqual(stored(one.seq).payload);
        expect([...records, ...holes].reduce((sum, one) => sum + one.end - one.at, 0)).toBe(whole.length);
        const untouched = scan(whole, 'alert', SALT).records.filter((one) => one.end <= at || one.at >= at + bytes.length);
        expect(records.map(({ seq }) => seq)).toEqual(expect.arrayContaining(untouched.map(({ seq }) => seq)));
      }),
      { numRuns: 200 },
    );
  });

  it('is not found inside a payload: who sends payloads does not know the salt', () => {
    const forged = encode(stored(5, { key: 'forged' }), 0);
    const carrier = encode(stored(1, { payload: forged }), SALT);
    carrier[3] = 0xff;
    expect(seqsIn(Buffer.concat([carrier, encode(stored(2), SALT)]))).toEqual([2]);
  });

  it('does not cost more than its share to look for, whatever the payload is made of', () => {
    // Each place looks like a record as long as the rest of the file.
    const decoy = Buffer.alloc(200_000);
    for (let at = 0; at + 52 < decoy.length; at += 52) {
      decoy.writeUInt16BE(0x4872, at);
      decoy.writeUInt32BE(decoy.length - at, at + 2);
      decoy.writeUInt8(1, at + 10);
      decoy.writeUIntBE(9, at + 11, 6);
    }
    const startedAt = performance.now();
    expect(scan(decoy, 'alert', SALT).records).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  it('with a number that was there already is none', () => {
    expect(
      seqsIn(Buffer.concat([encode(stored(3), SALT), encode(stored(3), SALT), encode(stored(2), SALT), encode(stored(4), SALT)])),
    ).toEqual([3, 4]);
  });
});
