// So many at once, and then so many in a time.
import type { Clock } from './clock.ts';

export interface TokenBucket {
  /** Takes one if there is one. */
  take(): boolean;
  /** True when it has been left alone long enough to be full: it may be forgotten. */
  full(): boolean;
}

export function createTokenBucket(o: { burst: number; refillEveryMs: number; clock: Clock }): TokenBucket {
  let tokens = o.burst;
  let at = o.clock.elapsed();
  const refill = (): void => {
    const now = o.clock.elapsed();
    tokens = Math.min(o.burst, tokens + (now - at) / o.refillEveryMs);
    at = now;
  };
  return {
    take() {
      refill();
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
    full() {
      refill();
      return tokens >= o.burst;
    },
  };
}
