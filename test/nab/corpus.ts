// A directory in the layout of NAB's corpus: data/**/*.csv (`timestamp,value`), labels/combined_windows.json, and labels/profiles.json where it has one.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { Profile, Window } from './score.ts';

export type NabFile = { /** `realTraffic/speed_7578.csv` */ name: string; timesMs: number[]; values: number[]; windows: Window[] };

/** In the order of their names. A file without windows in the labels is not scored, as in NAB. */
export function readCorpus(directory: string): NabFile[] {
  const labels = JSON.parse(readFileSync(join(directory, 'labels', 'combined_windows.json'), 'utf8')) as Record<string, [string, string][]>;
  const files = globSync('**/*.csv', { cwd: join(directory, 'data') }).map((file) => file.split(sep).join('/'));
  return files.toSorted().flatMap((name) => {
    const limits = labels[name];
    return limits === undefined ? [] : [fileOf(name, readFileSync(join(directory, 'data', name), 'utf8'), limits)];
  });
}

/** `csv`: a head and one line `2014-04-10 16:15:00,20.5` a row; limits are the times of the first and the last row of an anomaly. */
export function fileOf(name: string, csv: string, limits: readonly (readonly [string, string])[]): NabFile {
  const rows = csv
    .split(/\r?\n/)
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => line.split(','));
  const timesMs = rows.map(([time]) => timeOf(time ?? '', name));
  const values = rows.map(([, value]) => Number(value));
  const windows = limits.map(([from, to]) => ({ from: rowAt(timesMs, from, name), to: timesMs.lastIndexOf(timeOf(to, name)) }));
  return { name, timesMs, values, windows: windows.toSorted((a, b) => a.from - b.from) };
}

/** The three profiles under the names of our figures. */
export function readProfiles(directory: string): Record<string, Profile> {
  const file = join(directory, 'labels', 'profiles.json');
  if (!existsSync(file)) return PROFILES;
  const all = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { CostMatrix: Profile }>;
  return Object.fromEntries(Object.entries(all).map(([name, { CostMatrix }]) => [figureOf(name), CostMatrix]));
}

/** NAB's config/profiles.json. */
export const PROFILES: Record<string, Profile> = {
  standard: { tpWeight: 1, fpWeight: 0.11, fnWeight: 1 },
  'reward-low-fp': { tpWeight: 1, fpWeight: 0.22, fnWeight: 1 },
  'reward-low-fn': { tpWeight: 1, fpWeight: 0.11, fnWeight: 2 },
};

/** `reward_low_FP_rate` → `reward-low-fp` */
const figureOf = (name: string): string =>
  name
    .toLowerCase()
    .replace(/_rate$/, '')
    .replaceAll('_', '-');

function rowAt(timesMs: readonly number[], time: string, name: string): number {
  const row = timesMs.indexOf(timeOf(time, name));
  if (row < 0) throw new Error(`${name}: no row has the time ${time} of a window`);
  return row;
}

function timeOf(text: string, name: string): number {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?$/.exec(text);
  const ms = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}Z`);
  if (Number.isNaN(ms)) throw new Error(`${name}: ${text} is not a time`);
  return ms;
}
