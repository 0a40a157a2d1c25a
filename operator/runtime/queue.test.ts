import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from './clock.ts';
import { createMetrics } from './metrics.ts';
import { createQueue } from './queue.ts';
import { type Finish, QueueModel } from './testing/queue-model.ts';

function start() {
  const clock = new FakeClock();
  const queue = createQueue({ clock });
  const drain = (): string[] => {
    const keys: string[] = [];
    for (let taken = queue.take(); taken !== undefined; taken = queue.take()) keys.push(taken.key);
    return keys;
  };
  return { clock, queue, drain };
}

describe('the queue', () => {
  it('holds a key once, however often it is added', () => {
    const { queue, drain } = start();
    for (let i = 0; i < 5; i++) queue.add('a');
    queue.add('b');
    expect(queue.size).toBe(2);
    expect(drain()).toEqual(['a', 'b']);
  });

  it('never gives a key that is being worked on; what was added meanwhile comes once afterwards', () => {
    const { queue } = start();
    queue.add('a');
    expect(queue.take()?.key).toBe('a');
    queue.add('a');
    queue.add('a');
    expect(queue.take()).toBeUndefined();
    queue.finish('a', 'done');
    expect(queue.take()?.key).toBe('a');
    queue.finish('a', 'done');
    expect(queue.take()).toBeUndefined();
  });

  it('gives what people wait for before background work, and lifts a key that is wanted by both', () => {
    const { queue, drain } = start();
    queue.add('resync-1', { band: 'background' });
    queue.add('resync-2', { band: 'background' });
    queue.add('user');
    queue.add('resync-2');
    expect(drain()).toEqual(['user', 'resync-2', 'resync-1']);
  });

  it('does not push a user key down into the background', () => {
    const { queue } = start();
    queue.add('a');
    queue.add('a', { band: 'background' });
    expect(queue.take()).toMatchObject({ key: 'a', band: 'user' });
  });

  it('gives one background key after 32 user keys in a row, so that steady traffic cannot stop resync', () => {
    const { queue } = start();
    queue.add('resync', { band: 'background' });
    const order: string[] = [];
    for (let i = 0; i < 40; i++) {
      queue.add(`user-${i}`);
      const taken = queue.take();
      order.push(taken?.band ?? 'none');
      queue.finish(taken?.key ?? '', 'done');
    }
    expect(order.indexOf('background')).toBe(32);
  });

  it('does not take a key that was lifted out of the background for background work', () => {
    const { queue } = start();
    queue.add('lifted', { band: 'background' });
    queue.add('resync', { band: 'background' });
    for (let i = 0; i < 32; i++) {
      queue.add(`user-${i}`);
      queue.finish(queue.take()?.key ?? '', 'done');
    }
    queue.add('lifted');
    expect([queue.take()?.key, queue.take()?.key]).toEqual(['resync', 'lifted']);
  });

  it('of several delays that were asked for while a key was worked on the shortest counts', async () => {
    const { queue, clock } = start();
    queue.add('a');
    queue.take();
    queue.add('a', { afterMs: 100 });
    queue.add('a', { afterMs: 900 });
    queue.finish('a', 'done');
    await clock.advance(100);
    expect(queue.take()?.key).toBe('a');
  });

  it('gives a delayed key when it is due and not before, and the shorter of two delays counts', async () => {
    const { queue, clock } = start();
    let ready = 0;
    queue.onReady(() => ready++);
    queue.add('a', { afterMs: 1000 });
    queue.add('a', { afterMs: 300 });
    queue.add('a', { afterMs: 5000 });
    await clock.advance(299);
    expect([queue.take(), ready]).toEqual([undefined, 0]);
    await clock.advance(1);
    expect([queue.take()?.key, ready]).toEqual(['a', 1]);
    queue.finish('a', 'done');
    await clock.advance(10_000);
    expect(queue.take()).toBeUndefined();
  });

  it('backs off from 5 ms, doubling, to 1000 s, and forgets failures at the first success', async () => {
    const { queue, clock } = start();
    const delays: number[] = [];
    queue.add('a');
    for (let failure = 1; failure <= 20; failure++) {
      expect(queue.take()).toMatchObject({ key: 'a', attempt: failure });
      queue.finish('a', 'retry');
      const from = clock.elapsed();
      let due = 0;
      queue.onReady(() => {
        if (due === 0) due = clock.elapsed();
      });
      await clock.advance(1_000_000);
      delays.push(due - from);
    }
    expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(delays[17]).toBe(5 * 2 ** 17);
    expect(delays.slice(18)).toEqual([1_000_000, 1_000_000]);
    queue.take();
    queue.finish('a', 'done');
    queue.add('a');
    expect(queue.take()?.attempt).toBe(1);
  });

  it('lets news of a key that failed overtake its back-off', async () => {
    const { queue } = start();
    queue.add('a');
    queue.take();
    queue.add('a');
    queue.finish('a', 'retry');
    expect(queue.take()).toMatchObject({ key: 'a', attempt: 2 });
  });

  it('refuses to finish what was not taken', () => {
    const { queue } = start();
    queue.add('a');
    expect(() => queue.finish('a', 'done')).toThrow('not being worked on');
    expect(() => queue.finish('b', 'done')).toThrow('not being worked on');
  });

  it('tells how long the longest work has been going on', async () => {
    const { queue, clock } = start();
    queue.add('a');
    queue.take();
    await clock.advance(700);
    queue.add('b');
    queue.take();
    await clock.advance(300);
    expect(queue.longestRunningMs()).toBe(1000);
    queue.finish('a', 'done');
    expect(queue.longestRunningMs()).toBe(300);
  });

  it('counts depth, additions, retries and unfinished work', async () => {
    const clock = new FakeClock();
    const metrics = createMetrics();
    const queue = createQueue({ clock, metrics: metrics.queue('device') });
    queue.add('a');
    queue.add('b', { band: 'background' });
    queue.add('c', { afterMs: 1000 });
    queue.take();
    await clock.advance(250);
    const text = await metrics.registry.metrics();
    expect(text).toContain('workqueue_depth{name="device",controller="device",priority="0"} 0');
    expect(text).toContain('workqueue_depth{name="device",controller="device",priority="-100"} 1');
    expect(text).toContain('workqueue_adds_total{name="device",controller="device"} 3');
    expect(text).toContain('workqueue_unfinished_work_seconds{name="device"} 0.25');
    expect(text).toContain('workqueue_longest_running_processor_seconds{name="device"} 0.25');
    queue.finish('a', 'retry');
    expect(await metrics.registry.metrics()).toContain('workqueue_retries_total{name="device",controller="device"} 1');
  });

  it('behaves like its model, whatever is added, taken, finished and waited for', async () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const delay = fc.constantFrom(0, 0, 0, 3, 10, 40);
    const how: fc.Arbitrary<Finish> = fc.oneof(fc.constantFrom<Finish>('done', 'retry'), fc.record({ afterMs: delay }));
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant('add' as const), key, band: fc.constantFrom('user', 'background'), delay }) },
      { weight: 4, arbitrary: fc.constant({ do: 'take' as const }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('finish' as const), which: fc.nat(2), how }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 5, 20) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { queue, clock } = start();
        const model = new QueueModel();
        for (const s of steps) {
          if (s.do === 'add') {
            queue.add(s.key, { band: s.band as 'user', afterMs: s.delay });
            model.add(s.key, s.band as 'user', s.delay);
          } else if (s.do === 'take') {
            expect(queue.take()).toEqual(model.take());
          } else if (s.do === 'finish' && model.running.length > 0) {
            const running = model.running[s.which % model.running.length] as string;
            queue.finish(running, s.how);
            model.finish(running, s.how);
          } else if (s.do === 'wait') {
            await clock.advance(s.ms);
            model.wait(s.ms);
          }
          expect(queue.size).toBe(model.size);
        }
      }),
      { numRuns: 500 },
    );
  });
});
