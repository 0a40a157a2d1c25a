// So many requests of one address, so many of one Device: a bucket each, forgotten when it is full again.
import type { Clock } from '../runtime/clock.ts';
import { createTokenBucket, type TokenBucket } from '../runtime/token-bucket.ts';

export interface Limiter {
  /** False when this one has to wait. */
  take(key: string): boolean;
}

/** More than this many at once share one bucket: memory stays bounded, whoever asks. */
const MOST_BUCKETS = 10_000;

export function createLimiter(o: { burst: number; refillEveryMs: number; clock: Clock }): Limiter {
  const buckets = new Map<string, TokenBucket>();
  const overflow = createTokenBucket(o);

  function bucketOf(key: string): TokenBucket {
    const known = buckets.get(key);
    if (known !== undefined) return known;
    if (buckets.size >= MOST_BUCKETS) for (const [other, bucket] of buckets) if (bucket.full()) buckets.delete(other);
    if (buckets.size >= MOST_BUCKETS) return overflow;
    const made = createTokenBucket(o);
    buckets.set(key, made);
    return made;
  }

  return { take: (key) => bucketOf(key).take() };
}
