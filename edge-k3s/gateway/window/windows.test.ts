import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyAggregate, include } from './aggregate.ts';
import { emptyWindows, forget, put, readWindows, type Trend, tick, type WindowRules, type Windows, writeWindows } from './windows.ts';

const MINUTE = 60_000;
const NOW = Date.parse('2026-11-26T12:00:00Z');
const rules: WindowRules = {
  widthMs: MINUTE,
  latenessMs: 30_000,
  correctionMs: 5 * MINUTE,
  maxAheadMs: 120_000,
  idleMs: 3 * MINUTE,
  maxStreams: 3,
};
type Value = { stream: string; ms: number; value: number };
const time = { nowMs: NOW + 3_600_000, elapsedMs: 0 };
const run = (of: Windows, values: readonly Value[]): Trend[] => values.flatMap((one) => put(of, one, time).trends);
const at = (seconds: number, value = 1, stream = 'a'): Value => ({ stream, ms: NOW + seconds * 1_000, value });
const said = (trends: readonly Trend[]) =>
  trends.map(({ fromMs, revision, aggregate }) => [(fromMs - NOW) / 1_000, revision, aggregate.count]);

describe('windows', () => {
  it.each<[string, Value[], number[][]]>([
    ['are given out when the stream itself is so far', [at(0), at(59), at(89)], []],
    ['at the end and the lateness', [at(0), at(59), at(90)], [[0, 0, 2]]],
    ['with what came out of order before', [at(0), at(80), at(20), at(90)], [[0, 0, 2]]],
    [
      'several at once after a silence, the ones without values not',
      [at(0), at(70), at(200)],
      [
        [0, 0, 1],
        [60, 0, 1],
      ],
    ],
    [
      'a late value corrects, and is given out when nothing more can come',
      [at(0), at(90), at(30), at(10), at(450)],
      [
        [0, 0, 1],
        [0, 1, 3],
        [60, 0, 1],
      ],
    ],
  ])('%s', (_name, values, expected) => expect(said(run(emptyWindows(rules), values))).toEqual(expected));

  it('corrections that came together are one, of the same window, one revision on', () => {
    const windows = emptyWindows(rules);
    run(windows, [at(0), at(90), at(30), at(10)]);
    expect(said(tick(windows, 0))).toEqual([[0, 1, 3]]);
    expect(tick(windows, 0)).toEqual([]);
  });

  it('what comes too late is refused and changes nothing', () => {
    const windows = emptyWindows(rules);
    run(windows, [at(0), at(450)]);
    expect(put(windows, at(119), time)).toEqual({ outcome: 'late', trends: [] });
    expect(put(windows, at(120), time).outcome).toBe('taken');
  });

  it('a stream that falls silent has its windows given out as they are, and corrects them later', () => {
    const windows = emptyWindows(rules);
    run(windows, [at(0), at(61)]);
    expect(tick(windows, 3 * MINUTE - 1)).toEqual([]);
    expect(said(tick(windows, 3 * MINUTE))).toEqual([
      [0, 0, 1],
      [60, 0, 1],
    ]);
    run(windows, [at(70)]);
    expect(said(tick(windows, 6 * MINUTE))).toEqual([[60, 1, 2]]);
  });

  it('a time far in the future, or none, moves no watermark, of others neither', () => {
    const windows = emptyWindows(rules);
    run(windows, [at(0), at(0, 1, 'b')]);
    for (const ms of [time.nowMs + 120_001, Number.MAX_VALUE, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      expect(put(windows, { stream: 'a', ms, value: 1 }, time)).toEqual({ outcome: 'ahead', trends: [] });
    expect(said(run(windows, [{ stream: 'a', ms: time.nowMs, value: 1 }]))).toEqual([[0, 0, 1]]);
    expect(said(run(windows, [at(30, 1, 'b'), at(90, 1, 'b')]))).toEqual([[0, 0, 2]]);
  });

  it('have a bound, however many streams and whatever times', () => {
    const windows = emptyWindows(rules);
    const outcomes = ['a', 'b', 'c', 'd'].map((stream) => put(windows, at(0, 1, stream), time).outcome);
    expect(outcomes).toEqual(['taken', 'taken', 'taken', 'too many']);
    for (let n = 0; n < 20_000; n++) put(windows, { stream: 'a', ms: NOW - 86_400_000 + ((n * 7_919_000) % 90_000_000), value: n }, time);
    expect(windows.streams.get('a')?.windows.size).toBeLessThanOrEqual(9);
    forget(windows, 'a');
    expect(writeWindows(windows)).not.toContain('"a"');
    expect(put(windows, at(0, 1, 'd'), time).outcome).toBe('taken');
  });

  const values = fc.array(
    fc.record({
      stream: fc.constantFrom('a', 'b'),
      ms: fc.integer({ min: NOW, max: NOW + 20 * MINUTE }),
      value: fc.oneof(fc.double({ min: -40, max: 90, noNaN: true }), fc.constant(Number.NaN)),
    }),
    { maxLength: 120 },
  );

  it('hold every value that was taken exactly once: the last revisions are those of all values', () => {
    fc.assert(
      fc.property(values, (all) => {
        const windows = emptyWindows(rules);
        const last = new Map<string, Trend>();
        const naive = new Map<string, ReturnType<typeof emptyAggregate>>();
        const keep = (trends: readonly Trend[]): void => {
          for (const one of trends) {
            const key = `${one.stream} ${one.fromMs}`;
            expect(one.revision).toBe((last.get(key)?.revision ?? -1) + 1);
            last.set(key, one);
          }
        };
        for (const one of all) {
          const { outcome, trends } = put(windows, one, time);
          keep(trends);
          if (outcome !== 'taken') continue;
          const key = `${one.stream} ${Math.floor(one.ms / MINUTE) * MINUTE}`;
          naive.set(key, naive.get(key) ?? emptyAggregate());
          include(naive.get(key) ?? emptyAggregate(), one.ms, one.value);
        }
        keep(tick(windows, rules.idleMs));
        expect(new Map([...last].map(([key, { aggregate }]) => [key, aggregate]))).toEqual(naive);
      }),
    );
  });

  it('of one stream do not depend on what other streams do', () => {
    fc.assert(
      fc.property(values, (all) => {
        const mine = all.filter(({ stream }) => stream === 'a');
        const together = run(emptyWindows(rules), all).filter(({ stream }) => stream === 'a');
        expect(together).toEqual(run(emptyWindows(rules), mine));
      }),
    );
  });

  it('go on from a snapshot as if there had been no restart, to the last bit', () => {
    fc.assert(
      fc.property(values, fc.nat(120), (all, cut) => {
        const through = emptyWindows(rules);
        const first = run(through, all.slice(0, cut));
        const rest = run(through, all.slice(cut));
        const before = emptyWindows(rules);
        expect(run(before, all.slice(0, cut))).toEqual(first);
        const restored = readWindows(writeWindows(before), rules, 0);
        expect(run(restored, all.slice(cut))).toEqual(rest);
        expect(writeWindows(restored)).toBe(writeWindows(through));
      }),
    );
  });
});
