// The small parts that the loop stands on.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../runtime/clock.ts';
import { createKeyLock, inParallel } from './parallel.ts';
import { createPulse } from './pulse.ts';
import { createReach } from './reach.ts';
import { BrokerError, OneFailed } from './rest.ts';
import { createShelf } from './shelf.ts';

describe('a restart of EMQX', () => {
  const seen = async (steps: [passedMs: number, uptimes: Record<string, number>][]): Promise<boolean> => {
    const clock = new FakeClock();
    const pulse = createPulse(clock);
    let last = false;
    for (const [passedMs, uptimes] of steps) {
      await clock.advance(passedMs);
      last = pulse.restarted(new Map(Object.entries(uptimes)), clock.elapsed());
    }
    return last;
  };
  it.each<[string, [number, Record<string, number>][], boolean]>([
    ['is not the first sight of it', [[0, { a: 5 }]], false],
    [
      'is not time going by',
      [
        [0, { a: 5000 }],
        [1000, { a: 6000 }],
      ],
      false,
    ],
    [
      'is not a clock that is a little slow',
      [
        [0, { a: 5000 }],
        [1000, { a: 5920 }],
      ],
      false,
    ],
    [
      'shows in a smaller uptime',
      [
        [0, { a: 5000 }],
        [1000, { a: 800 }],
      ],
      true,
    ],
    [
      'shows although the uptime grew',
      [
        [0, { a: 5000 }],
        [60_000, { a: 20_000 }],
      ],
      true,
    ],
    [
      'of one node of two counts',
      [
        [0, { a: 5000, b: 5000 }],
        [1000, { a: 6000, b: 100 }],
      ],
      true,
    ],
    [
      'a node that is gone counts',
      [
        [0, { a: 5000, b: 5000 }],
        [1000, { a: 6000 }],
      ],
      true,
    ],
    [
      'a node that is new does too: what it holds is not known',
      [
        [0, { a: 5000 }],
        [1000, { a: 6000, b: 100 }],
      ],
      true,
    ],
  ])('%s', async (_name, steps, expected) => expect(await seen(steps)).toBe(expected));
});

describe('what the broker was seen to hold', () => {
  it('a full read replaces it, but not what was written while it was read', () => {
    const shelf = createShelf<string>();
    shelf.set('old', 'x');
    shelf.set('kept', 'x');
    const mark = shelf.mark();
    shelf.set('new', 'x');
    shelf.delete('kept');
    shelf.load(
      [
        ['kept', 'x'],
        ['seen', 'x'],
      ],
      mark,
    );
    expect([...shelf.keys()].sort()).toEqual(['new', 'seen']);
  });

  it('any order of writes and reads: what was written last before the read began is the broker’s word, what came later is ours', () => {
    const write = fc.record({ key: fc.constantFrom('a', 'b', 'c'), value: fc.option(fc.integer(), { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(write), fc.array(write), fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.integer()), (before, during, read) => {
        const shelf = createShelf<number>();
        const put = ({ key, value }: { key: string; value: number | undefined }): void =>
          value === undefined ? shelf.delete(key) : shelf.set(key, value);
        for (const one of before) put(one);
        const mark = shelf.mark();
        for (const one of during) put(one);
        shelf.load(Object.entries(read), mark);
        for (const key of ['a', 'b', 'c']) {
          const later = during.filter((one) => one.key === key).at(-1);
          expect(shelf.get(key)).toBe(later === undefined ? read[key] : later.value);
        }
      }),
    );
  });
});

describe('so many at a time', () => {
  it('never more than that, and all of them', async () => {
    let now = 0;
    let most = 0;
    const done: number[] = [];
    await inParallel([...Array(50).keys()], 8, async (i) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      done.push(i);
    });
    expect([most, done.length]).toEqual([8, 50]);
  });

  it('what fails does not stop the others, and is thrown in the end', async () => {
    const done: number[] = [];
    const work = inParallel([1, 2, 3, 4], 2, async (i) => {
      if (i === 2) throw new Error('two');
      done.push(i);
    });
    await expect(work).rejects.toThrow('two');
    expect(done).toEqual([1, 3, 4]);
  });

  it('unless nothing answers any more', async () => {
    let begun = 0;
    const fails = async (): Promise<void> => {
      begun++;
      throw new Error('gone');
    };
    await expect(inParallel(Array(100), 4, fails, () => true)).rejects.toThrow('gone');
    expect(begun).toBeLessThanOrEqual(4);
  });

  it('one after the other for each key, also after a failure', async () => {
    const locked = createKeyLock();
    const order: string[] = [];
    const step =
      (name: string, fails = false) =>
      async (): Promise<void> => {
        order.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(`${name} ends`);
        if (fails) throw new Error(name);
      };
    await Promise.allSettled([locked('k', step('first', true)), locked('k', step('second')), locked('other', step('other'))]);
    expect(order.indexOf('second begins')).toBeGreaterThan(order.indexOf('first ends'));
    expect(order.indexOf('other begins')).toBeLessThan(order.indexOf('first ends'));
  });
});

describe('how long a broker that does not answer is left alone', () => {
  it('from a tenth of a second, doubling to two', () => {
    const reach = createReach({ clock: new FakeClock(), random: () => 1 });
    const failed = new BrokerError('HR-BRK-001', 0, 'x');
    expect(Array.from({ length: 8 }, () => reach.failed(failed))).toEqual([100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    reach.succeeded();
    expect(reach.failed(failed)).toBe(100);
  });

  it('is unreachable after five seconds, never for what fails for one identity', async () => {
    const clock = new FakeClock();
    const reach = createReach({ clock, random: () => 1 });
    reach.failed(new OneFailed(new BrokerError('HR-BRK-004', 500, 'x')));
    await clock.advance(60_000);
    expect(reach.unreachable()).toBeUndefined();
    reach.failed(new BrokerError('HR-BRK-002', 401, 'x'));
    await clock.advance(4999);
    reach.failed(new BrokerError('HR-BRK-002', 401, 'x'));
    expect(reach.unreachable()).toBeUndefined();
    await clock.advance(1);
    reach.failed(new BrokerError('HR-BRK-002', 401, 'x'));
    expect(reach.unreachable()).toBe('HR-BRK-002');
    reach.succeeded();
    expect(reach.unreachable()).toBeUndefined();
  });
});
