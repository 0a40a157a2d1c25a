import { describe, expect, it } from 'vitest';
import { FakeClock } from '../runtime/clock.ts';
import { createLine } from './line.ts';

const forever = new AbortController().signal;

describe('the line before the API server', () => {
  it('lets so many in, and the next when one leaves, in the order in which they came', async () => {
    const line = createLine(2, new FakeClock());
    const [first, second] = [await line.enter(1_000, forever), await line.enter(1_000, forever)];
    const order: string[] = [];
    const enter = async (name: string): Promise<(() => void) | undefined> => {
      const leave = await line.enter(1_000, forever);
      order.push(name);
      return leave;
    };
    const [third, fourth] = [enter('third'), enter('fourth')];
    first?.();
    // Leaving twice frees one place.
    first?.();
    expect(await third).toBeDefined();
    expect(order).toEqual(['third']);
    second?.();
    expect(await fourth).toBeDefined();
    expect(order).toEqual(['third', 'fourth']);
  });

  it('does not keep anybody longer than told, and whoever gave up holds no place', async () => {
    const clock = new FakeClock();
    const line = createLine(1, clock);
    const leave = await line.enter(1_000, forever);
    const late = line.enter(1_000, forever);
    await clock.advance(1_000);
    expect(await late).toBeUndefined();
    const stop = new AbortController();
    const gone = line.enter(1_000, stop.signal);
    stop.abort(new Error('the client has gone'));
    await expect(gone).rejects.toThrow('the client has gone');
    const last = line.enter(1_000, forever);
    leave?.();
    expect(await last).toBeDefined();
  });
});
