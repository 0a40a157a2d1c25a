// What a detector says. `says` is read by people: what was seen, and beside it what would have been ordinary.

export type AlertKind =
  | 'unusable'
  | 'range'
  | 'rate'
  | 'stuck'
  | 'gap'
  | 'cadence'
  | 'level'
  | 'step'
  | 'time-of-day'
  | 'pattern'
  | 'repeat'
  | 'peers';

export type Alert = {
  kind: AlertKind;
  atMs: number /** -log10 of how rare; undefined where a rule decides. */;
  score?: number;
  says: string;
};

/** Four digits are enough for a person: `21.53`, `0.001204`, `1.5e+9`. */
export const short = (value: number): string => String(Number(value.toPrecision(4)));

const UNITS: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
  [1, 'ms'],
];

/** `90 s`, `25 min`, `3.5 h`: in the largest unit of which it has two at least. */
export function lasting(ms: number): string {
  const [unit, name] = UNITS.find(([least]) => ms >= 2 * least) ?? [1, 'ms'];
  return `${Number((ms / unit).toPrecision(2))} ${name}`;
}

/** `one reading in 12,000`, of a score. */
export function oneIn(score: number): string {
  const readings = Number((10 ** Math.min(score, 9)).toPrecision(2));
  return score >= 9 ? 'fewer than one reading in 1,000,000,000' : `one reading in ${readings.toLocaleString('en-US')}`;
}
