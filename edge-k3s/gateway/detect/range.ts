// Hard limits of the class of device: what a sensor cannot mean.
import { short } from './alert.ts';
import { type Latch, stepLatch } from './latch.ts';

export type Range = { min?: number; max?: number };

/** What is wrong, when it has just begun. */
export function stepRange(latch: Latch, { min = -Infinity, max = Infinity }: Range, value: number): string | undefined {
  if (!stepLatch(latch, value < min || value > max)) return undefined;
  return value > max
    ? `${short(value)} is above ${short(max)}, the highest allowed`
    : `${short(value)} is below ${short(min)}, the lowest allowed`;
}
