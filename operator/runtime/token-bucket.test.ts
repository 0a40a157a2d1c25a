import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from './clock.ts';
import { createTokenBucket } from './token-bucket.ts';

describe('the token bucket', () => {
  it('gives its burst at once, then one for each refill time', async () => {
    const clock = new FakeClock();
    const bucket = createTokenBucket({ burst: 3, refillEveryMs: 1000, clock });
    expect([1, 2, 3, 4].map(() => bucket.take())).toEqual([true, true, true, false]);
    await clock.advance(999);
    expect(bucket.take()).toBe(false);
    await clock.advance(1);
    expect([bucket.take(), bucket.take()]).toEqual([true, false]);
  });

  it('is full only when it was left alone long enough, and never holds more than its burst', async () => {
    const clock = new FakeClock();
    const bucket = createTokenBucket({ burst: 2, refillEveryMs: 1000, clock });
    expect(bucket.full()).toBe(true);
    bucket.take();
    await clock.advance(900);
    expect(bucket.full()).toBe(false);
    await clock.advance(3_600_000);
    expect(bucket.full()).toBe(true);
    expect([1, 2, 3].map(() => bucket.take())).toEqual([true, true, false]);
  });

  it('never gives more than burst + elapsed / refill, however it is asked', async () => {
    const asks = fc.array(fc.record({ takes: fc.nat(6), waitMs: fc.nat(3000) }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(asks, async (list) => {
        const clock = new FakeClock();
        const bucket = createTokenBucket({ burst: 4, refillEveryMs: 700, clock });
        let given = 0;
        for (const { takes, waitMs } of list) {
          for (let i = 0; i < takes; i++) if (bucket.take()) given++;
          expect(given).toBeLessThanOrEqual(4 + clock.elapsed() / 700);
          await clock.advance(waitMs);
        }
      }),
      { numRuns: 40 },
    );
  });
});
