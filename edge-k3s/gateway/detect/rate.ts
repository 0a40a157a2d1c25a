// How fast a value can change at all: what is faster is a fault of the sensor or of the line, not of what it measures.
import { lasting, short } from './alert.ts';
import { type Latch, newLatch, stepLatch } from './latch.ts';

export type Rate = {
  latch: Latch /** Undefined before the first reading has no place in a snapshot: 0 readings instead. */;
  seen: number;
  atMs: number;
  value: number;
};

export const newRate = (): Rate => ({ latch: newLatch(), seen: 0, atMs: 0, value: 0 });

export function stepRate(state: Rate, maxPerSecond: number | undefined, atMs: number, value: number): string | undefined {
  const overMs = atMs - state.atMs;
  const change = value - state.value;
  const before = state.value;
  const judged = state.seen > 0 && overMs > 0 && maxPerSecond !== undefined;
  state.seen = 1;
  state.atMs = atMs;
  state.value = value;
  if (!judged || !stepLatch(state.latch, Math.abs(change) / (overMs / 1000) > maxPerSecond)) return undefined;
  return `from ${short(before)} to ${short(value)} in ${lasting(overMs)}; at most ${short(maxPerSecond)} a second is possible`;
}
