// The score of the gateway's detector on a directory in the layout of the Numenta Anomaly Benchmark, as NAB counts it: one threshold for all files and each
// profile. What it means and what was looked at while the detector was made: docs/reference/detectors.md.
import { newNovelty, stepNovelty } from '../../edge-k3s/gateway/detect/novelty.ts';
import { type NabFile, readCorpus, readProfiles } from '../nab/corpus.ts';
import { bestPublished } from '../nab/published.ts';
import { type Profile, scoreCorpus } from '../nab/score.ts';
import type { Bench, Figure } from './figure.ts';

/** All that the detector can; the seed only chooses which windows are remembered. */
const DETECTOR = { pattern: true, timeOfDay: true, seed: 1 };

export const nabBench: Bench = {
  name: 'nab',
  about: 'the detectors of the gateway on the files of --data DIR (data/, labels/), as the Numenta Anomaly Benchmark scores them',
  async *run({ data, progress }) {
    if (data === undefined) throw new Error('say where the corpus is: --data DIR, with data/ and labels/combined_windows.json in it');
    const files = readCorpus(data);
    if (files.length === 0) throw new Error(`no file of ${data}/data is named in its labels/combined_windows.json`);
    const rows = files.reduce((sum, { values }) => sum + values.length, 0);
    const windows = files.reduce((sum, file) => sum + file.windows.length, 0);
    progress(`${files.length} files, ${rows} rows, ${windows} windows`);
    const startedAt = process.cpuUsage();
    const series = files.map((file) => ({ scores: scoresOf(file), windows: file.windows }));
    const { user, system } = process.cpuUsage(startedAt);
    for (const [figure, profile] of Object.entries(readProfiles(data))) {
      const { score, threshold, counts, windowsFound } = scoreCorpus(series, profile);
      progress(`${figure}: ${windowsFound} of ${windows} windows, ${counts.fp} false rows, threshold ${threshold.toFixed(2)}`);
      yield { figure, value: score, unit: 'points', n: files.length, ...referenceOf(files, figure, profile, windows) };
    }
    yield { figure: 'cpu-per-reading', value: (user + system) / rows, unit: 'µs', n: rows };
  },
};

function scoresOf({ timesMs, values }: NabFile): Float64Array {
  const state = newNovelty(DETECTOR);
  return Float64Array.from(values, (value, row) => stepNovelty(state, timesMs[row] ?? 0, value).score);
}

function referenceOf(files: readonly NabFile[], figure: string, profile: Profile, windows: number): Partial<Figure> {
  const names = files.map(({ name }) => name);
  const best = bestPublished(names, figure, profile, windows);
  return best === undefined
    ? {}
    : { reference: `${best.detector} on the same files, at its threshold for the whole corpus`, referenceValue: best.score };
}
