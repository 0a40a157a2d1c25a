// A state that is told of once: on with the first bad reading, off again only after some good ones in a row, so that a value at its limit is not an alert a second.
export type Latch = { on: boolean; good: number };

const CALM = 20;

export const newLatch = (): Latch => ({ on: false, good: 0 });

/** True when the state has just begun. */
export function stepLatch(latch: Latch, bad: boolean): boolean {
  if (bad) {
    latch.good = 0;
    if (latch.on) return false;
    latch.on = true;
    return true;
  }
  latch.good += 1;
  if (latch.good >= CALM) latch.on = false;
  return false;
}
