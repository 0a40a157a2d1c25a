// Healthy sensors of a building, as they are: a daily rhythm, weather that all of a room share, an offset of each device's own, noise, steps of the converter,
// and clocks that are not exact. Five minutes between readings.
import type { Reading } from '../../edge-k3s/gateway/detect/stream.ts';
import { normal, uniform } from './random.ts';

export const EVERY_MS = 300_000;
const DAY_MS = 86_400_000;
export const PER_DAY = DAY_MS / EVERY_MS;

export const CLASSES = ['temperature', 'pressure', 'power', 'count'] as const;
export type SignalClass = (typeof CLASSES)[number];

/** Readings of `devices` devices of one room. What they share is the same for all, whatever the class adds for each. */
export function room(signal: SignalClass, devices: number, days: number, seed: number): Reading[][] {
  const shared = sharedOf(signal, days, uniform(seed));
  return Array.from({ length: devices }, (_, device) => deviceOf(signal, shared, uniform(seed * 1_000 + device + 1)));
}

/** What the room does. */
function sharedOf(signal: SignalClass, days: number, random: () => number): number[] {
  const noise = normal(random);
  let weather = 0;
  let busy = 0;
  return Array.from({ length: days * PER_DAY }, (_, n) => {
    const hour = (24 * (n % PER_DAY)) / PER_DAY;
    const daylight = Math.sin((2 * Math.PI * (hour - 8)) / 24);
    weather = 0.999 * weather + 0.03 * noise();
    busy = 0.9 * busy + 0.1 * (Math.floor(n / PER_DAY) % 7 < 5 && hour > 7 && hour < 19 ? 1 : 0);
    const values: Record<SignalClass, number> = {
      temperature: 21 + 2 * daylight + weather,
      pressure: 1_013 + 8 * weather,
      power: 150 + 800 * busy + 40 * daylight,
      count: 0.5 + 12 * busy,
    };
    return values[signal];
  });
}

function deviceOf(signal: SignalClass, shared: readonly number[], random: () => number): Reading[] {
  const noise = normal(random);
  const off = noise();
  let machine = 0;
  return shared.map((value, n) => {
    const atMs = START_MS + n * EVERY_MS + Math.round(2_000 * random());
    // A compressor that goes on for half an hour now and then.
    if (random() < (machine > 0 ? 1 / 6 : 1 / 40)) machine = machine > 0 ? 0 : 300;
    const values: Record<SignalClass, () => number> = {
      temperature: () => rounded(value + 0.8 * off + 0.08 * noise(), 0.01),
      pressure: () => rounded(value + 0.5 * off + 0.1 * noise(), 0.01),
      power: () => rounded(value * (1 + 0.1 * off) + machine + 15 * noise(), 0.1),
      count: () => poisson(value, random),
    };
    return { atMs, value: values[signal]() };
  });
}

const START_MS = Date.UTC(2026, 0, 5);

const rounded = (value: number, step: number): number => Number((Math.round(value / step) * step).toFixed(4));

/** Knuth's way; means here are small. */
function poisson(mean: number, random: () => number): number {
  const least = Math.exp(-mean);
  let count = 0;
  for (let product = random(); product > least; product *= random()) count += 1;
  return count;
}
