import { describe, expect, it } from 'vitest';
import { FakeClock, systemClock } from './clock.ts';
import { jittered, seededRandom } from './random.ts';

describe('the system clock', () => {
  it('sleeps, and wakes early with the reason of its signal', async () => {
    const before = systemClock.elapsed();
    await systemClock.sleep(5);
    expect(systemClock.elapsed() - before).toBeGreaterThanOrEqual(4);
    const stop = new AbortController();
    const sleeping = systemClock.sleep(3_600_000, stop.signal);
    stop.abort(new Error('the process stops'));
    await expect(sleeping).rejects.toThrow('the process stops');
    await expect(systemClock.sleep(3_600_000, stop.signal)).rejects.toThrow('the process stops');
  });

  it('does not fire at once for a time longer than setTimeout can count', async () => {
    let fired = false;
    const timer = systemClock.setTimer(40 * 86_400_000, () => {
      fired = true;
    });
    await systemClock.sleep(20);
    timer.cancel();
    expect(fired).toBe(false);
  });

  it('does not fire what was cancelled', async () => {
    let fired = false;
    systemClock
      .setTimer(1, () => {
        fired = true;
      })
      .cancel();
    await systemClock.sleep(10);
    expect(fired).toBe(false);
  });
});

describe('the fake clock', () => {
  it('fires timers in the order of their times, also those that timers set', async () => {
    const clock = new FakeClock();
    const seen: string[] = [];
    clock.setTimer(20, () => seen.push(`b@${clock.elapsed()}`));
    clock.setTimer(10, () => {
      seen.push(`a@${clock.elapsed()}`);
      clock.setTimer(5, () => seen.push(`c@${clock.elapsed()}`));
    });
    await clock.advance(30);
    expect(seen).toEqual(['a@10', 'c@15', 'b@20']);
    expect(clock.elapsed()).toBe(30);
  });

  it('keeps elapsed time apart from jumps of the wall clock', async () => {
    const clock = new FakeClock(1000);
    clock.jumpWall(-500);
    await clock.advance(10);
    expect([clock.now(), clock.elapsed()]).toEqual([510, 10]);
  });

  it('forgets a sleep that was aborted', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const sleeping = clock.sleep(100, stop.signal);
    stop.abort(new Error('enough'));
    await expect(sleeping).rejects.toThrow('enough');
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('randomness', () => {
  it('of one seed is the same twice, in [0, 1), and of another seed another', () => {
    const draw = (seed: number): number[] => {
      const random = seededRandom(seed);
      return Array.from({ length: 1000 }, () => random());
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(7).every((x) => x >= 0 && x < 1)).toBe(true);
  });

  it('spreads a period by its share to both sides', () => {
    expect([jittered(1000, 0.1, () => 0), jittered(1000, 0.1, () => 0.5), jittered(1000, 0.1, () => 1)]).toEqual([900, 1000, 1100]);
  });
});
