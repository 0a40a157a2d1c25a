import { describe, expect, it } from 'vitest';
import { CLEAR_MS, Meter, type Readings, type Watched } from './meter.ts';

const NAME = 'thermo-1.berlin';
const LOOK_MS = 15_000;
const counted = (messages: number, bytes = 0, session = 'a'): Readings => ({
  messages: { session, count: messages },
  bytes: { session, count: bytes },
});
const watched = (change: Partial<Watched> = {}): Watched => ({ name: NAME, limits: { messages: '10/s' }, saysOver: false, ...change });

/** One look a quarter of a minute; what a status says follows the flips, as the devices room does it. */
function scene() {
  const meter = new Meter();
  let now = 0;
  let says = false;
  const flips: number[] = [];
  return {
    meter,
    flips,
    says: () => says,
    look(seen: Readings | undefined, change: Partial<Watched> = {}) {
      now += LOOK_MS;
      const look = meter.look(now, () => seen, [watched({ saysOver: says, ...change })]);
      if (look.flips.length > 0) flips.push(now);
      const verdict = meter.verdict(NAME);
      if (look.flips.includes(NAME) && verdict.is !== 'unknown') says = verdict.is === 'over';
      return look;
    },
    restartSaying: (was: boolean) => {
      says = was;
    },
  };
}

describe('who is above a limit', () => {
  it('is said at once, once, and taken back five minutes after the last excess', () => {
    const s = scene();
    for (let n = 0; n < 8; n++) s.look(counted(1_500 * n));
    expect(s.meter.verdict(NAME)).toMatchObject({ is: 'over', limit: 'messages', allowed: '10/s' });
    for (let n = 0; n < CLEAR_MS / LOOK_MS + 2; n++) s.look(counted(1_500 * 7));
    expect(s.meter.verdict(NAME)).toEqual({ is: 'within' });
    expect(s.flips).toEqual([2 * LOOK_MS, 8 * LOOK_MS + CLEAR_MS]);
  });

  it('is found anew for as long as it goes on, and not by what it did before', () => {
    const s = scene();
    const fresh = Array.from({ length: 8 }, (_, n) => s.look(counted(1_500 * Math.min(n, 4))).fresh.length);
    expect(fresh).toEqual([0, 1, 1, 1, 1, 0, 0, 0]);
  });

  it('a process that has just begun neither accuses nor acquits', () => {
    const s = scene();
    s.restartSaying(true);
    for (let n = 0; n < CLEAR_MS / LOOK_MS; n++) {
      s.look(counted(0));
      expect(s.meter.verdict(NAME)).toEqual({ is: 'unknown' });
    }
    expect(s.flips).toEqual([]);
    s.look(counted(0));
    expect(s.says()).toBe(false);
  });

  it('bytes are measured beside messages; the first that is exceeded is named', () => {
    const s = scene();
    const limits = { messages: '10/s', bytes: '1KiB/s' };
    s.look(counted(0, 0), { limits });
    expect(s.look(counted(1, 1024 * 61), { limits }).fresh).toEqual([
      { name: NAME, limit: 'bytes', allowed: '1KiB/s', excess: { amount: 62_464, overMs: 30_000 } },
    ]);
  });

  it('other limits are another reckoning, and none is no excess', () => {
    const s = scene();
    s.look(counted(0));
    s.look(counted(1_500));
    expect(s.look(counted(3_000), { limits: { messages: '1000/s' } }).fresh).toEqual([]);
    expect(s.meter.verdict(NAME).is).not.toBe('over');
  });

  it('a broker that does not say its counts leads to nothing', () => {
    const s = scene();
    for (let n = 0; n < 40; n++) expect(s.look(undefined)).toEqual({ flips: [], fresh: [] });
  });

  it('who is away stays what it was until its time is over', () => {
    const s = scene();
    s.look(counted(0));
    s.look(counted(1_500));
    s.look(undefined);
    expect(s.meter.verdict(NAME).is).toBe('over');
  });
});
