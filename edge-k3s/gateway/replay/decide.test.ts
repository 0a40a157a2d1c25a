import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyBitmap, mark } from './bitmap.ts';
import { decide, type Rules, type Track } from './decide.ts';
import { type Envelope, readEnvelope } from './envelope.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const HOUR = 3_600_000;
const rules: Rules = { window: 64, maxSkewMs: 120_000 };
/** Boot 5, has sent 90 to 100, the last one just now, and was silent from 09:00 to 11:00. */
const track = (): Track => {
  let seen = emptyBitmap(64);
  for (let seq = 90; seq <= 100; seq++) seen = mark(seen, seq);
  return { boot: 5, seen, liveMs: NOW, gap: { fromMs: NOW - 3 * HOUR, toMs: NOW - HOUR } };
};
const of = (more: Partial<Envelope>): Omit<Envelope, 'm'> => ({ boot: 5, seq: 101, ts: NOW, backfill: false, ...more });

describe('a message of a device', () => {
  it.each<[string, Partial<Envelope>, string | undefined]>([
    ['the next one is taken', {}, undefined],
    ['one that was overtaken is taken', { seq: 60 }, undefined],
    ['the same again is not', { seq: 95 }, 'HR-GW-202'],
    ['one that fell out of the window is not', { seq: 36 }, 'HR-GW-203'],
    ['the oldest in the window is', { seq: 37 }, undefined],
    ['after a restart numbers begin anew', { boot: 6, seq: 1 }, undefined],
    ['what was sent before the restart is not taken, whatever its number', { boot: 4, seq: 1_000 }, 'HR-GW-204'],
    ['a clock may be off a little', { ts: NOW + 120_000 }, undefined],
    ['and not more, neither fast', { ts: NOW + 120_001 }, 'HR-GW-205'],
    ['nor slow', { ts: NOW - 120_001 }, 'HR-GW-205'],
    ['what was measured in the gap may come later', { ts: NOW - 2 * HOUR, backfill: true }, undefined],
    ['what was measured before may not', { ts: NOW - 4 * HOUR, backfill: true }, 'HR-GW-206'],
    ['nor what is said to be of the future', { ts: NOW + HOUR, backfill: true }, 'HR-GW-206'],
    ['what comes later is not taken twice either', { ts: NOW - 2 * HOUR, backfill: true, seq: 95 }, 'HR-GW-202'],
  ])('%s', (_name, more, expected) => {
    const found = decide(track(), of(more), rules, NOW);
    expect(typeof found === 'string' ? found : undefined).toBe(expected);
  });

  it('of a device that nobody knows is taken at its time', () => {
    expect(decide(undefined, of({ boot: 9, seq: 1 }), rules, NOW)).toMatchObject({ boot: 9, liveMs: NOW, gap: undefined });
  });

  it('after a silence opens the gap for what was measured in it', () => {
    const back = decide(track(), of({ ts: NOW + HOUR }), rules, NOW + HOUR) as Track;
    expect(back.gap).toEqual({ fromMs: NOW, toMs: NOW + HOUR });
    expect(typeof decide(back, of({ seq: 102, ts: NOW + HOUR / 2, backfill: true }), rules, NOW + HOUR)).toBe('object');
  });

  it('that is refused leaves everything as it was', () => {
    const any = fc.record({
      boot: fc.integer({ min: 1, max: 7 }),
      seq: fc.integer({ min: 1, max: 200 }),
      ts: fc.integer({ min: NOW - 5 * HOUR, max: NOW + HOUR }),
      backfill: fc.boolean(),
    });
    fc.assert(
      fc.property(any, (one) => {
        const before = track();
        if (typeof decide(before, one, rules, NOW) === 'string') expect(before).toEqual(track());
      }),
    );
  });
});

describe('an envelope', () => {
  const good = { v: 1, boot: 3, seq: 1, ts: NOW, m: { t: 21.5 } };
  it('is read as it is', () => {
    expect(readEnvelope(good)).toEqual({ boot: 3, seq: 1, ts: NOW, backfill: false, m: { t: 21.5 } });
    expect(readEnvelope({ ...good, backfill: true, m: null })).toMatchObject({ backfill: true });
  });
  it.each<[string, unknown]>([
    ['of another version', { ...good, v: 2 }],
    ['without a number', { ...good, seq: undefined }],
    ['with 0', { ...good, seq: 0 }],
    ['with a fraction', { ...good, seq: 1.5 }],
    ['with more than a number can count', { ...good, seq: 2 ** 53 }],
    ['with a number as text', { ...good, boot: '3' }],
    ['with a time that is none', { ...good, ts: Number.NaN }],
    ['with a word for backfill', { ...good, backfill: 'yes' }],
    ['with another field', { ...good, dev: 'other.berlin' }],
    ['without a message', { v: 1, boot: 3, seq: 1, ts: NOW }],
    ['that is a list', [good]],
    ['that is nothing', null],
  ])('is none %s', (_name, value) => expect(readEnvelope(value)).toBe('HR-GW-201'));
  it('is never made of whatever else a device sends', () => {
    fc.assert(fc.property(fc.anything(), (value) => void readEnvelope(value)));
  });
});
