// How long to wait before asking again, after an attempt that ended: 0.8 s doubling to 30 s, full jitter (client-go's and kube-rs' defaults).
import type { Random } from './ports.ts';

const FIRST_MS = 800;
const LONGEST_MS = 30_000;
/** Every 20 s of health forgive one failure: six of them, which is all that the longest delay needs, are forgiven in the 120 s after which client-go resets. */
const FORGIVE_ONE_AFTER_MS = 20_000;
const MOST_FAILURES = 6;

export interface Backoff {
  /** An attempt ended after being healthy for so long: the ms to wait before the next. The first after a healthy time is 0. */
  next(healthyMs: number): number;
}

export function createBackoff(random: Random): Backoff {
  let failures = 0;
  return {
    next(healthyMs) {
      failures = Math.max(0, failures - Math.floor(healthyMs / FORGIVE_ONE_AFTER_MS));
      const delayMs = failures === 0 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1)) * random();
      failures = Math.min(MOST_FAILURES + 1, failures + 1);
      return delayMs;
    },
  };
}
