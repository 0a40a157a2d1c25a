// What the best detectors with public tables reached, file by file: so that a part of the corpus is compared with the same part.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Profile } from './score.ts';

export type Published = { detector: string; score: number };

const DETECTORS = { ARTime: 'artime', 'CAD OSE': 'cad-ose' } as const;

/** The best of them on just these files; undefined when one of the files is not in their tables. `windows`: how many the files have. */
export function bestPublished(files: readonly string[], figure: string, profile: Profile, windows: number): Published | undefined {
  const rows = table('published.csv');
  const known = new Map(rows.map((row) => [row.file, row]));
  if (windows === 0 || !files.every((file) => known.has(file))) return undefined;
  const all = Object.entries(DETECTORS).map(([detector, column]) => {
    const raw = files.reduce((sum, file) => sum + Number(known.get(file)?.[`${column}-${figure}`]), 0);
    const nothing = -profile.fnWeight * windows;
    return { detector, score: (100 * (raw - nothing)) / (profile.tpWeight * windows - nothing) };
  });
  return all.toSorted((a, b) => b.score - a.score).find(({ score }) => Number.isFinite(score));
}

/** A file of testdata/, a record for each line. */
export function table(file: string): Record<string, string>[] {
  const [head = '', ...lines] = readFileSync(join(import.meta.dirname, 'testdata', file), 'utf8')
    .trim()
    .split('\n');
  const columns = head.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    return Object.fromEntries(columns.map((column, n) => [column, cells[n] ?? '']));
  });
}
