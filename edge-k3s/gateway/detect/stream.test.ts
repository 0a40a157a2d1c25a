import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Alert } from './alert.ts';
import { createStream, type Reading, type Stream, type StreamOptions } from './stream.ts';

const START = Date.UTC(2026, 10, 26, 8);
const MINUTE = 60_000;
const ALL: StreamOptions = {
  pattern: true,
  timeOfDay: true,
  repeat: true,
  range: { min: -40, max: 85 },
  maxPerSecond: 0.5,
  stuckAfter: 50,
};

/** A thermometer: 21 ± 1, in a rhythm that never repeats itself exactly. */
const healthy = (n: number): Reading => ({ atMs: START + n * MINUTE, value: 21 + Math.sin(n / 7) * 0.6 + Math.sin(n * n) * 0.3 });
const many = (count: number, from = 0): Reading[] => Array.from({ length: count }, (_, n) => healthy(from + n));

function feed(stream: Stream, readings: readonly Reading[]): Alert[] {
  return readings.flatMap((reading) => stream.observe(reading).alerts);
}

const said = (alerts: readonly Alert[]): string[] => alerts.map(({ kind, says }) => `${kind}: ${says}`);

function learned(options: StreamOptions = {}): Stream {
  const stream = createStream(options);
  expect(feed(stream, many(600))).toEqual([]);
  return stream;
}

describe('a stream says in words', () => {
  it.each<[string, StreamOptions, (stream: Stream) => Alert[], string[]]>([
    [
      'that a value is outside its limits, once, and again when it has been inside',
      { range: { min: 0, max: 25 } },
      (stream) =>
        feed(
          stream,
          [26, 27, 26].map((value, n) => ({ atMs: healthy(600 + n).atMs, value })),
        ).filter(({ kind }) => kind === 'range'),
      ['range: 26 is above 25, the highest allowed'],
    ],
    [
      'that a change is faster than can be',
      { maxPerSecond: 0.05 },
      (stream) => feed(stream, [{ atMs: healthy(599).atMs + 30_000, value: 24 }]).filter(({ kind }) => kind === 'rate'),
      ['rate: from 20.5 to 24 in 30 s; at most 0.05 a second is possible'],
    ],
    [
      'that it is stuck',
      {},
      (stream) =>
        feed(
          stream,
          many(40, 600).map((reading) => ({ ...reading, value: 21 })),
        ),
      ['stuck: 21 for the 30th time in a row, for 29 min'],
    ],
    [
      'that nothing comes',
      {},
      (stream) => [...stream.silent(healthy(624).atMs), ...stream.silent(healthy(625).atMs)],
      ['gap: nothing for 25 min; a reading comes every 60 s'],
    ],
    [
      'that nothing came, when it comes again',
      {},
      (stream) => feed(stream, [healthy(620)]),
      ['gap: nothing for 21 min; a reading comes every 60 s'],
    ],
    [
      'that readings come faster',
      {},
      (stream) =>
        feed(
          stream,
          Array.from({ length: 60 }, (_, n) => ({ ...healthy(600 + n), atMs: healthy(599).atMs + 10_000 * (n + 1) })),
        ),
      ['cadence: readings come about every 28 s lately, every 58 s before'],
    ],
    [
      'that a value leapt',
      {},
      (stream) => feed(stream, [{ ...healthy(600), value: 35 }]),
      ['step: leapt from 20.5 to 35 (fewer than one reading in 1,000,000,000)'],
    ],
    [
      'that a value is no number',
      {},
      (stream) =>
        feed(stream, [
          { ...healthy(600), value: Number.NaN },
          { ...healthy(601), value: Infinity },
        ]),
      [`unusable: sent NaN at ${healthy(600).atMs}, which is no value or no time`],
    ],
    [
      'that it was sent before',
      { repeat: true },
      (stream) =>
        feed(
          stream,
          many(60, 600).map((reading, n) => ({ ...reading, value: healthy(100 + n).value })),
        ).filter(({ kind }) => kind === 'repeat'),
      ['repeat: the last 24 readings are the same, value by value, as those 500 readings before'],
    ],
  ])('%s', (_name, options, act, expected) => expect(said(act(learned(options)))).toEqual(expected));

  it('that a value is far out, also where it leaps as far all the time', () => {
    const stream = createStream();
    const leaping = (n: number): Reading => ({ ...healthy(n), value: (n % 2) * 10 + Math.sin(n * n) });
    expect(
      feed(
        stream,
        Array.from({ length: 602 }, (_, n) => leaping(n)),
      ),
    ).toEqual([]);
    const alerts = feed(stream, [{ ...healthy(602), value: 20 }]);
    expect(said(alerts)).toEqual(['level: 20 is far from 4.995, around which it has been (fewer than one reading in 1,000,000,000)']);
  });

  it('that a value is unusual at its hour, where that is asked for', () => {
    const stream = createStream({ timeOfDay: true });
    // 10 at night and 20 by day: 20 is nothing new, at night it is.
    const daily = (n: number): Reading => ({
      atMs: Date.UTC(2026, 0, 1) + n * 15 * MINUTE,
      value: (n % 96 < 48 ? 10 : 20) + Math.sin(n * n),
    });
    feed(
      stream,
      Array.from({ length: 96 * 10 + 20 }, (_, n) => daily(n)),
    );
    const alerts = feed(
      stream,
      Array.from({ length: 4 }, (_, n) => ({ ...daily(96 * 10 + 20 + n), value: 20 + Math.sin(n) })),
    );
    expect(said(alerts)).toEqual(['time-of-day: 20 is far from 9.924, which is usual between 5 and 6 h UTC (one reading in 17,000)']);
  });
});

describe('a stream is silent', () => {
  it('about a value that never moved', () =>
    expect(
      feed(
        createStream(ALL),
        many(500).map((reading) => ({ ...reading, value: 21 })),
      ).filter(({ kind }) => kind !== 'stuck'),
    ).toEqual([]));
  it('for 100 readings, whatever they are', () => {
    const wild = many(100).map((reading, n) => ({ ...reading, value: (n % 2 === 0 ? 1 : -1) * 10 ** (n % 20) }));
    expect(feed(createStream({ pattern: true, timeOfDay: true }), wild)).toEqual([]);
  });
  it('about a reading that was overtaken, but not about its limits', () => {
    const stream = learned({ range: { max: 50 } });
    expect(said(feed(stream, [{ ...healthy(590), value: 40 }]))).toEqual([]);
    expect(said(feed(stream, [{ ...healthy(590), value: 60 }]))).toEqual(['range: 60 is above 50, the highest allowed']);
  });
  it('not for ever when the clock of the device was set back', () => {
    const stream = learned();
    const yesterday = many(30, -1_440);
    const strange = { ...healthy(-1_400), value: 60 };
    expect(feed(stream, yesterday)).toEqual([]);
    expect(feed(stream, [strange]).map(({ kind }) => kind)).toContain('level');
  });
});

describe('whatever comes', () => {
  const value = fc.oneof(
    { weight: 6, arbitrary: fc.double({ min: -100, max: 100, noNaN: true }) },
    { weight: 2, arbitrary: fc.constantFrom(0, -0, 21, 21, 21) },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity, Number.MAX_VALUE, 1e100, -1e100, Number.MIN_VALUE) },
  );
  const time = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 120_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, -1, -86_400_000, 86_400_000, 1e13, 1e300, Number.NaN, -Infinity) },
  );
  const readings = fc.array(fc.tuple(time, value), { minLength: 1, maxLength: 400, size: 'max' }).map((steps) => {
    let atMs = START;
    return steps.map(([step, one]): Reading => {
      const at = atMs + step;
      if (Math.abs(at) <= 8.64e15) atMs = at;
      return { atMs: at, value: one };
    });
  });

  it('no reading throws, every score is a number, and the state stays finite and bounded', () => {
    fc.assert(
      fc.property(readings, (all) => {
        const stream = createStream(ALL);
        for (const reading of all) {
          const { score } = stream.observe(reading);
          expect(score >= 0 && score <= 30).toBe(true);
          stream.silent(reading.atMs);
        }
        const state: unknown = JSON.parse(stream.snapshot());
        expect(stream.snapshot()).not.toContain('null,');
        expect(numbersOf(state)).toBeLessThan(14_000);
      }),
      { numRuns: 40 },
    );
  });

  it('a restored stream goes on exactly as the one that was not', () => {
    fc.assert(
      fc.property(readings, fc.nat(400), (all, cut) => {
        const whole = createStream(ALL);
        let resumed = createStream(ALL);
        all.forEach((reading, n) => {
          if (n === cut % all.length) resumed = createStream(ALL, resumed.snapshot());
          expect(resumed.observe(reading)).toEqual(whole.observe(reading));
        });
        expect(resumed.snapshot()).toBe(whole.snapshot());
      }),
      { numRuns: 40 },
    );
  });

  it('a snapshot that was bent is as none, or as one of the same make: never an exception', () => {
    const stream = learned(ALL);
    const snapshot = stream.snapshot();
    fc.assert(
      fc.property(fc.nat(snapshot.length - 1), fc.constantFrom('', '9', '"', 'null', '[', '-1e400'), (at, instead) => {
        const bent = createStream(ALL, snapshot.slice(0, at) + instead + snapshot.slice(at + 1));
        expect(bent.observe(healthy(600)).score).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 200 },
    );
  });
});

describe('after ten thousand readings a stream keeps no more numbers than the reference says', () => {
  it.each<[string, StreamOptions, number]>([
    ['with what is always on', {}, 600],
    ['with the time of day', { timeOfDay: true }, 720],
    ['with patterns', { pattern: true }, 10_350],
    ['with what was sent before', { repeat: true }, 3_500],
  ])('%s', (_name, options, most) => {
    const stream = createStream(options);
    feed(stream, many(10_000));
    const count = numbersOf(JSON.parse(stream.snapshot()));
    expect(count).toBeLessThanOrEqual(most);
    expect(count).toBeGreaterThan(100);
  });
});

/** A snapshot of other options, or of another version, is of another make. */
it('a snapshot of a stream with other options is as none', () => {
  const fresh = createStream({ pattern: true }).snapshot();
  expect(createStream({ pattern: true }, learned({}).snapshot()).snapshot()).toBe(fresh);
  expect(createStream({ pattern: true }, 'no JSON').snapshot()).toBe(fresh);
});

function numbersOf(state: unknown): number {
  if (typeof state === 'number') return 1;
  if (typeof state !== 'object' || state === null) return 0;
  return Object.values(state).reduce((sum: number, one) => sum + numbersOf(one), 0);
}
