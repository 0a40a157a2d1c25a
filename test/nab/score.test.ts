import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileOf, PROFILES } from './corpus.ts';
import { bestPublished, table } from './published.ts';
import { type Profile, probationOf, scaledSigmoid, scoreAt, scoreCorpus, type Window } from './score.ts';

const STANDARD = profileOf('standard');

describe('the NAB score', () => {
  it.each([
    ['the left edge of a window', -1, 0.98661],
    ['its middle', -0.5, 0.84828],
    ['its right edge', 0, 0],
    ['one width behind it', 1, -0.98661],
    ['three widths behind it', 3, -1],
  ])('%s is worth what the paper says', (_name, position, worth) => expect(scaledSigmoid(position)).toBeCloseTo(worth, 5));

  it('does not count the first 15 % of a file, 750 rows at most', () =>
    expect([1127, 4032, 15_902].map(probationOf)).toEqual([169, 604, 750]));

  describe('of a published detector', () => {
    // CAD OSE on realTraffic/speed_7578.csv: the rows that it gave a score above its thresholds (NAB's results/contextOSE), and the raw score of the file there.
    const detections: [row: number, score: number][] = [
      [276, 0.830193236715],
      [317, 0.95652173913],
      [363, 0.719708029197],
      [624, 0.993303571429],
      [673, 0.771794871795],
      [748, 1],
      [916, 0.81797235023],
      [958, 0.803571428571],
      [1047, 0.739265536723],
    ];
    it.each([
      ['standard', 0.70478515625, 3.14471238767, { tp: 4, tn: 837, fp: 5, fn: 112 }],
      ['reward-low-fp', 0.7640625, 3.03398870081, { tp: 4, tn: 839, fp: 3, fn: 112 }],
      ['reward-low-fn', 0.70478515625, 3.14471238767, { tp: 4, tn: 837, fp: 5, fn: 112 }],
    ])('is the published one to the last digit: %s', (figure, threshold, raw, counts) => {
      const { rows, windows } = shapeOf('realTraffic/speed_7578.csv');
      const scores = new Array<number>(rows).fill(0);
      for (const [row, score] of detections) scores[row] = score;
      const scored = scoreAt({ scores, windows }, profileOf(figure), threshold);
      expect(scored.raw).toBeCloseTo(raw, 10);
      expect(scored.counts).toEqual(counts);
    });

    it.each([
      ['standard', 74.9],
      ['reward-low-fp', 66.0],
      ['reward-low-fn', 80.4],
    ])('of the whole corpus is the sum of its table (ARTime; CAD OSE where false alerts weigh double): %s', (figure, score) => {
      const files = table('published.csv').map((row) => row.file ?? '');
      // 116 windows in 58 files.
      expect(Math.abs((bestPublished(files, figure, profileOf(figure), 116)?.score ?? 0) - score)).toBeLessThan(0.06);
    });

    it('is not compared with other files', () =>
      expect(bestPublished(['realTraffic/speed_7578.csv', 'site/boiler.csv'], 'standard', STANDARD, 5)).toBeUndefined());
  });

  it.each(table('null.csv').map((row) => [row.file ?? '', row]))(
    'of the detector that says nothing is the published one: %s',
    (file, row) => {
      const { rows, windows } = shapeOf(file);
      const { raw, counts } = scoreAt({ scores: new Float64Array(rows), windows }, STANDARD, 2);
      expect([raw, counts.tn, counts.fn]).toEqual([Number(row['null-score']), Number(row.tn), Number(row.fn)]);
    },
  );

  it.each(Object.keys(PROFILES))('is 100 for the first row of each window and 0 for silence: %s', (figure) => {
    const shapes = table('null.csv').map((row) => shapeOf(row.file ?? ''));
    const perfect = shapes.map(({ rows, windows }) => ({
      scores: marked(
        rows,
        windows.map(({ from }) => from),
      ),
      windows,
    }));
    const silent = shapes.map(({ rows, windows }) => ({ scores: new Float64Array(rows), windows }));
    expect(scoreCorpus(perfect, profileOf(figure))).toMatchObject({ score: 100, windows: 61, windowsFound: 61, counts: { fp: 0 } });
    expect(scoreCorpus(silent, profileOf(figure))).toMatchObject({ score: 0, windowsFound: 0, threshold: Infinity });
  });

  it('at the best threshold is never below that at any other', () => {
    const scores = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 40, maxLength: 80 });
    fc.assert(
      fc.property(scores, fc.integer({ min: 0, max: 6 }), (values, threshold) => {
        const series = {
          scores: values,
          windows: [
            { from: 20, to: 25 },
            { from: 33, to: 36 },
          ],
        };
        expect(scoreCorpus([series], STANDARD).raw).toBeGreaterThanOrEqual(scoreAt(series, STANDARD, threshold + 0.5).raw - 1e-12);
      }),
    );
  });
});

describe('a file of the corpus', () => {
  const csv = 'timestamp,value\n2014-04-01 00:00:00,20.5\n2014-04-01 00:05:00,-3\n2014-04-01 00:10:00,7e2\n';
  it('has its windows as rows', () =>
    expect(fileOf('a.csv', csv, [['2014-04-01 00:05:00.000000', '2014-04-01 00:10:00.000000']])).toEqual({
      ...{ name: 'a.csv', values: [20.5, -3, 700], windows: [{ from: 1, to: 2 }] },
      timesMs: [0, 5, 10].map((minute) => Date.UTC(2014, 3, 1, 0, minute)),
    }));
  it('with a window that starts at no row is refused, by name', () =>
    expect(() => fileOf('a.csv', csv, [['2014-04-01 00:06:00', '2014-04-01 00:10:00']])).toThrow(
      'a.csv: no row has the time 2014-04-01 00:06:00',
    ));
});

function shapeOf(file: string): { rows: number; windows: Window[] } {
  const row = table('null.csv').find((one) => one.file === file);
  const windows = (row?.windows ?? '').split(' ').filter((text) => text !== '');
  return {
    rows: Number(row?.rows),
    windows: windows.map((text) => {
      const [from = 0, to = 0] = text.split('-').map(Number);
      return { from, to };
    }),
  };
}

function marked(rows: number, at: readonly number[]): Float64Array {
  const scores = new Float64Array(rows);
  for (const row of at) scores[row] = 1;
  return scores;
}

function profileOf(figure: string): Profile {
  const profile = PROFILES[figure];
  if (profile === undefined) throw new Error(`no profile ${figure}`);
  return profile;
}
