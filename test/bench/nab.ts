// The score of the gateway's detector on a directory in the layout of the Numenta Anomaly Benchmark, as NAB counts it: one threshold for all files and each
// profile. What it means and what was looked at while the detector was made: docs/reference/detectors.md.
import { newNovelty, stepNovelty } from '../../edge-k3s/gateway/detect/novelty.ts';
import { type NabFile, readCorpus, readProfiles } from '../nab/corpus.ts';
import { bestPublished } from '../nab/published.ts';
import { type Profile, scoreCorpus } from '../nab/score.ts';
import type { Bench, Figure } from './figure.ts';

/** Which windows a pattern remembers is chosen by a seed, and is worth a point more or less: the figure is the median of so many seeds. */
const SEEDS = 5;

export const nabBench: Bench = {
  name: 'nab',
  about: `the detectors of the gateway on the files of --data DIR (data/, labels/), as the Numenta Anomaly Benchmark scores them; the median of ${SEEDS} seeds (--rounds N)`,
  async *run({ data, rounds = SEEDS, progress }) {
    if (data === undefined) throw new Error('say where the corpus is: --data DIR, with data/ and labels/combined_windows.json in it');
    const files = readCorpus(data);
    if (files.length === 0) throw new Error(`no file of ${data}/data is named in its labels/combined_windows.json`);
    const rows = files.reduce((sum, { values }) => sum + values.length, 0);
    const windows = files.reduce((sum, file) => sum + file.windows.length, 0);
    progress(`${files.length} files, ${rows} rows, ${windows} windows`);
    const startedAt = process.cpuUsage();
    const runs = Array.from({ length: rounds }, (_, n) => files.map((file) => ({ scores: scoresOf(file, n + 1), windows: file.windows })));
    const { user, system } = process.cpuUsage(startedAt);
    for (const [figure, profile] of Object.entries(readProfiles(data))) {
      const scores = runs.map((series) => scoreCorpus(series, profile)).toSorted((a, b) => a.score - b.score);
      for (const { score, threshold, counts, windowsFound } of scores)
        progress(
          `${figure} ${score.toFixed(2)}: ${windowsFound} of ${windows} windows, ${counts.fp} false rows, threshold ${threshold.toFixed(2)}`,
        );
      const middle = scores[Math.floor(scores.length / 2)]?.score ?? 0;
      yield { figure, value: middle, unit: 'points', n: files.length, ...referenceOf(files, figure, profile, windows) };
    }
    yield { figure: 'cpu-per-reading', value: (user + system) / rows / rounds, unit: 'µs', n: rows };
  },
};

/** With all that the detector can. */
function scoresOf({ timesMs, values }: NabFile, seed: number): Float64Array {
  const state = newNovelty({ pattern: true, timeOfDay: true, seed });
  return Float64Array.from(values, (value, row) => stepNovelty(state, timesMs[row] ?? 0, value).score);
}

function referenceOf(files: readonly NabFile[], figure: string, profile: Profile, windows: number): Partial<Figure> {
  const names = files.map(({ name }) => name);
  const best = bestPublished(names, figure, profile, windows);
  return best === undefined
    ? {}
    : { reference: `${best.detector} on the same files, at its threshold for the whole corpus`, referenceValue: best.score };
}
