import { describe, expect, it } from 'vitest';
import type { GatewayConfig } from '../../../operator/api/gateway-config.ts';
import { FakeClock } from '../../../operator/runtime/clock.ts';
import { silentLog } from '../../../operator/runtime/log.ts';
import type { Stored } from '../spool/record.ts';
import { createKeeper } from './keeper.ts';

const CONFIG = { version: 1, site: 'berlin', segments: [{ name: 'office.berlin', retentionMs: { trend: 1, alert: 2, security: 3 } }] };

async function world() {
  const clock = new FakeClock();
  const of = { synced: true, fails: false, follows: 0, changed: 0, expires: [] as unknown[] };
  const keeper = createKeeper({
    residents: {
      devices: { isSynced: () => of.synced, get: () => undefined, all: () => [] },
      refOf: () => undefined,
      async follow() {
        of.follows += 1;
        if (of.fails) throw new Error('the disk');
      },
    },
    spool: {
      async expire(isOver, beforeMs) {
        of.expires.push({
          beforeMs,
          isOver: isOver({ class: 'trend', toMs: clock.now() - 2, payload: Buffer.from('{}') } as unknown as Stored),
        });
        return 0;
      },
    },
    config: () => CONFIG as unknown as GatewayConfig,
    changed: () => {
      of.changed += 1;
    },
    clock,
    log: silentLog,
  });
  let isReady = false;
  void keeper.ready.then(() => {
    isReady = true;
  });
  const stop = new AbortController();
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return { clock, of, keeper, stop, turns, isReady: () => isReady };
}

describe('the keeper', () => {
  it('is ready when those who are there were taken in, and not before they are known, nor while the disk fails', async () => {
    const { clock, of, keeper, stop, turns, isReady } = await world();
    Object.assign(of, { synced: false, fails: true });
    const running = keeper.follow(stop.signal);
    await turns();
    of.fails = false;
    await clock.advance(10_000);
    expect([of.follows, isReady()]).toEqual([2, false]);
    of.synced = true;
    keeper.look();
    await turns();
    expect([of.follows, of.changed, isReady()]).toEqual([3, 3, true]);
    stop.abort();
    await running;
  });

  it('looks again when it is told while it looks', async () => {
    const { of, keeper, stop, turns } = await world();
    const running = keeper.follow(stop.signal);
    keeper.look();
    await turns();
    expect(of.follows).toBe(2);
    stop.abort();
    await running;
  });

  it('lets go of what is over at the start and every hour', async () => {
    const { clock, of, keeper, stop, turns } = await world();
    const startMs = clock.now();
    const running = keeper.retain(stop.signal);
    await turns();
    expect(of.expires).toEqual([{ beforeMs: { trend: startMs - 1, alert: startMs - 2, security: startMs - 3 }, isOver: true }]);
    await clock.advance(3_600_000);
    expect(of.expires).toHaveLength(2);
    stop.abort();
    await running;
  });
});
