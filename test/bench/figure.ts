// One measured figure as `npm run bench` prints it: one JSON object per line.
import { execFileSync } from 'node:child_process';

export type Figure = {
  figure: string;
  value: number;
  unit: string;
  /** How many things were measured. */
  n: number;
  /** The peer or the floor measured in the same run; absent only where the figure is a count or a bound. */
  reference?: string;
  referenceValue?: number;
};

/** Progress goes to stderr, figures to stdout: `npm run bench -- ready > figures.jsonl` stays clean. */
export type Bench = { name: string; about: string; run(args: BenchArgs): AsyncIterable<Figure> };

/** What was said on the command line; each bench has its own defaults. */
export type BenchArgs = {
  n?: number;
  clients?: number;
  sockets?: number;
  rounds?: number;
  seed?: number;
  round?: number;
  /** A directory with what is measured on. */
  data?: string;
  progress: (line: string) => void;
};

/** Nearest rank, of numbers in order. */
export function percentile(ordered: readonly number[], p: number): number {
  return ordered[Math.max(0, Math.ceil((p / 100) * ordered.length) - 1)] ?? Number.NaN;
}

export function printFigure(bench: string, figure: Figure): void {
  const ratio =
    figure.referenceValue === undefined || figure.referenceValue === 0 ? {} : { ratio: round(figure.value / figure.referenceValue) };
  console.log(
    JSON.stringify({
      bench,
      ...figure,
      value: round(figure.value),
      ...(figure.referenceValue === undefined ? {} : { referenceValue: round(figure.referenceValue) }),
      ...ratio,
      commit: commit(),
    }),
  );
}

function commit(): string {
  try {
    const dirty = execFileSync('git', ['status', '--porcelain'], { encoding: 'utf8' }).trim() === '' ? '' : '+';
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim() + dirty;
  } catch {
    return 'unknown';
  }
}

const round = (value: number): number => Number(value.toPrecision(4));
