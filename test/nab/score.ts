// The score of the Numenta Anomaly Benchmark as its authors published it (Lavin and Ahmad, arXiv 1510.03336; NAB's technical paper, "The NAB scoring
// algorithm"): what is detected early in a window of an anomaly counts most, later ones in the same window nothing, a false alert costs more the further it
// is behind a window, and one threshold holds for the whole corpus. Rows are numbered from 0; nothing here knows a time or a file.

export type Window = { /** First row of the anomaly. */ from: number /** Its last row. */; to: number };

/** One file of the corpus as a detector saw it: a score for each row, higher is stranger. */
export type Series = { scores: ArrayLike<number>; windows: readonly Window[] };

/** What a find, a false alert and a missed window weigh. */
export type Profile = { tpWeight: number; fpWeight: number; fnWeight: number };

export type Counts = { tp: number; fp: number; tn: number; fn: number };

export type Score = {
  /** 100 is the perfect detector, 0 one that never says anything. */
  score: number;
  /** Rows at or above it are alerts. */
  threshold: number;
  raw: number;
  windowsFound: number;
  windows: number;
  counts: Counts;
};

/** A row that counts: what it is worth as an alert, and the window it is in. */
type Row = { score: number; worth: number; window: number | undefined };

/** The best score that one threshold gives for all series together. */
export function scoreCorpus(corpus: readonly Series[], profile: Profile): Score {
  let windows = 0;
  const rows = corpus.flatMap((series) => {
    const own = rowsOf(series, profile, windows);
    windows += series.windows.length;
    return own;
  });
  rows.sort((a, b) => b.score - a.score);
  return sweep(rows, profile);
}

/** The raw score at a threshold that is given, as NAB's tables of single files have it. */
export function scoreAt(series: Series, profile: Profile, threshold: number): { raw: number; counts: Counts } {
  const tally = newTally(rowsOf(series, profile, 0), profile);
  for (const row of tally.rows) if (row.score >= threshold) alert(tally, row);
  return { raw: tally.raw, counts: tally.counts };
}

/** NAB gives a detector 15 % of a file, 750 rows at most, to learn in; what it says there does not count. */
export const probationOf = (rows: number): number => Math.min(Math.floor(0.15 * rows), 0.15 * 5000);

/** 0.987 at the left edge of a window, 0 at its right edge, towards -1 behind it. */
export function scaledSigmoid(position: number): number {
  return position >= 3 ? -1 : 2 / (1 + Math.exp(5 * position)) - 1;
}

function rowsOf(series: Series, profile: Profile, firstWindow: number): Row[] {
  const { scores, windows } = series;
  const probation = probationOf(scores.length);
  const rows: Row[] = [];
  let next = 0;
  for (let row = 0; row < scores.length; row += 1) {
    while ((windows[next]?.to ?? Infinity) < row) next += 1;
    if (row < probation) continue;
    const window = windows[next];
    const inside = window !== undefined && row >= window.from;
    rows.push({
      score: scores[row] ?? 0,
      worth: inside ? worthInside(row, window) * profile.tpWeight : worthBehind(row, windows[next - 1]) * profile.fpWeight,
      window: inside ? firstWindow + next : undefined,
    });
  }
  return rows;
}

/** 1 at the left edge. */
function worthInside(row: number, { from, to }: Window): number {
  return scaledSigmoid(-(to - row + 1) / (to - from + 1)) / scaledSigmoid(-1);
}

function worthBehind(row: number, before: Window | undefined): number {
  if (before === undefined) return -1;
  return scaledSigmoid((row - before.to) / Math.max(1, before.to - before.from));
}

/** From the strangest row down: after each new score the sum so far is what the threshold at that score is worth. */
function sweep(rows: readonly Row[], profile: Profile): Score {
  const tally = newTally(rows, profile);
  const nothing = tally.raw;
  let best = resultOf(tally, Infinity);
  rows.forEach((row, index) => {
    alert(tally, row);
    if (rows[index + 1]?.score !== row.score && tally.raw > best.raw) best = resultOf(tally, row.score);
  });
  const perfect = tally.found.size * profile.tpWeight;
  return { ...best, score: perfect === nothing ? 0 : (100 * (best.raw - nothing)) / (perfect - nothing) };
}

type Tally = {
  rows: readonly Row[];
  counts: Counts /** The worth of each window so far: missed until a row of it is an alert. */;
  found: Map<number, number>;
  raw: number;
  missed: number;
};

function newTally(rows: readonly Row[], { fnWeight }: Profile): Tally {
  const found = new Map<number, number>();
  for (const { window } of rows) if (window !== undefined) found.set(window, -fnWeight);
  const inside = rows.filter(({ window }) => window !== undefined).length;
  const counts = { tp: 0, fp: 0, tn: rows.length - inside, fn: inside };
  return { rows, counts, found, raw: 0 - fnWeight * found.size, missed: found.size };
}

function alert(tally: Tally, { window, worth }: Row): void {
  if (window === undefined) {
    tally.raw += worth;
    tally.counts.fp += 1;
    tally.counts.tn -= 1;
    return;
  }
  tally.counts.tp += 1;
  tally.counts.fn -= 1;
  const before = tally.found.get(window) ?? 0;
  if (before < 0) tally.missed -= 1;
  tally.raw += Math.max(before, worth) - before;
  tally.found.set(window, Math.max(before, worth));
}

function resultOf(tally: Tally, threshold: number): Score {
  const windows = tally.found.size;
  return { score: 0, threshold, raw: tally.raw, windows, windowsFound: windows - tally.missed, counts: { ...tally.counts } };
}
