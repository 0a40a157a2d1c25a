// What goes wrong with sensors and their lines, put into healthy readings. Sizes are in standard deviations of the healthy signal, so that they mean the same in
// a thermometer and a counter.
import type { Reading } from '../../edge-k3s/gateway/detect/stream.ts';
import { normal } from './random.ts';
import { PER_DAY } from './signals.ts';

export const FAULTS = ['stuck', 'drift', 'spike', 'bias', 'noise', 'dropout', 'replayed day', 'swapped sensors'] as const;
export type Fault = (typeof FAULTS)[number];

export type Faulty = { readings: Reading[]; fromMs: number; toMs: number };

/** `other`: a device of the same room, for what happens between two. The fault begins with the reading `start`. */
export function withFault(
  fault: Fault,
  healthy: readonly Reading[],
  other: readonly Reading[],
  start: number,
  random: () => number,
): Faulty {
  const length = LENGTHS[fault];
  const fromMs = healthy[start]?.atMs ?? 0;
  const toMs = healthy[start + length]?.atMs ?? Infinity;
  const change = changeOf(fault, healthy, other, start, random);
  const readings = healthy.flatMap((reading, n) => {
    if (n < start || n >= start + length) return [reading];
    const value = change(n - start, reading.value);
    return value === undefined ? [] : [{ ...reading, value }];
  });
  return { readings, fromMs, toMs };
}

const HOUR = PER_DAY / 24;
const LENGTHS: Record<Fault, number> = {
  stuck: 12 * HOUR,
  drift: 2 * PER_DAY,
  spike: 1,
  bias: PER_DAY,
  noise: 6 * HOUR,
  dropout: 3 * HOUR,
  'replayed day': PER_DAY,
  'swapped sensors': PER_DAY,
};

/** The value instead of the healthy one, `n` readings after the start; undefined: none is sent. */
function changeOf(fault: Fault, healthy: readonly Reading[], other: readonly Reading[], start: number, random: () => number) {
  const spread = deviation(healthy.slice(0, start));
  const noise = normal(random);
  const frozen = healthy[start - 1]?.value ?? 0;
  const sign = random() < 0.5 ? -1 : 1;
  const CHANGES: Record<Fault, (n: number, value: number) => number | undefined> = {
    stuck: () => frozen,
    drift: (n, value) => value + (sign * 3 * spread * n) / LENGTHS.drift,
    spike: (_n, value) => value + sign * 5 * spread,
    bias: (_n, value) => value + sign * 2 * spread,
    noise: (_n, value) => value + spread * noise(),
    dropout: () => undefined,
    'replayed day': (n) => healthy[start + n - PER_DAY]?.value,
    'swapped sensors': (n) => other[start + n]?.value,
  };
  return CHANGES[fault];
}

function deviation(readings: readonly Reading[]): number {
  const mean = readings.reduce((sum, { value }) => sum + value, 0) / readings.length;
  return Math.sqrt(readings.reduce((sum, { value }) => sum + (value - mean) ** 2, 0) / readings.length);
}
