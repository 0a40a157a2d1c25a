// So many requests of one address, so many of one Device: a bucket each, forgotten when it is full again.
import { isIPv6 } from 'node:net';
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

/** Whom a limit counts as one: an IPv4 address, or the /64 that one IPv6 host has to itself (RFC 4291 §2.5.4), in which it may take any address. */
export function limitKey(address: string): string {
  const v4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (v4 !== undefined || !isIPv6(address)) return v4 ?? address;
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
