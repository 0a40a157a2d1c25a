// A thousand devices that come and go: what it costs the API server, and what a restart and a broker without memory make of it.
import { beforeEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../kube/object.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import type { Sight } from './touch.ts';
import { createTouchWatch, type TouchWatch } from './touch-watch.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const BUDGET = 2 * HOUR;
const NAMES = Array.from({ length: 1_000 }, (_, at) => `thermo-${at}.berlin`);

function scene() {
  const clock = new FakeClock();
  const objects = new Map<string, KubeObject & { data?: Record<string, string> }>();
  const world = { writes: 0, down: false, objects };
  const client = {
    get: async (_type: unknown, { name }: { name: string }) => {
      if (world.down) throw new Error('down');
      return objects.get(name) as never;
    },
    apply: async (_type: unknown, object: KubeObject) => {
      if (world.down) throw new Error('down');
      world.writes += 1;
      objects.set(object.metadata.name ?? '', object);
      return object as never;
    },
  };
  const flips: string[] = [];
  const out = new Set<string>();
  let metrics = createMetrics();
  let running: { watch: TouchWatch; stop: AbortController };
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  async function start(): Promise<void> {
    const stop = new AbortController();
    metrics = createMetrics();
    const watch = createTouchWatch({ client, namespace: 'hedgerow-system', clock, log: silentLog, metrics });
    void watch.run(stop.signal);
    running = { watch, stop };
    await settle();
  }
  /** As the room does: a status is written for each that is given. */
  function look(isThere: (name: string, at: number) => boolean): void {
    const clients = new Map<string, Sight>();
    for (const [at, name] of NAMES.entries()) if (isThere(name, at)) clients.set(name, { connected: true, goneAtMs: undefined });
    const watched = NAMES.map((name) => ({ name, budgetMs: BUDGET, saysOut: out.has(name) }));
    for (const name of running.watch.look(clients, watched)) {
      flips.push(name);
      if (!out.delete(name)) out.add(name);
    }
  }
  async function pass(ms: number, isThere: (name: string, at: number) => boolean): Promise<void> {
    for (let left = ms; left > 0; left -= MINUTE) {
      await clock.advance(MINUTE);
      await settle();
      look(isThere);
    }
  }
  return {
    clock,
    world,
    flips,
    out,
    start,
    look,
    pass,
    settle,
    kill: () => running.stop.abort(),
    running: () => running,
    text: () => metrics.registry.metrics(),
  };
}

describe('a fleet of a thousand', () => {
  let s: ReturnType<typeof scene>;
  beforeEach(async () => {
    s = scene();
    await s.start();
  });

  it('that comes and goes within its budget costs no status at all, and no more than eight small writes in ten minutes', async () => {
    await s.pass(12 * HOUR, (_name, at) => (at * 7919 + Math.floor(s.clock.elapsed() / MINUTE) * 31) % 97 < 50);
    expect(s.flips).toEqual([]);
    expect(s.world.writes).toBeGreaterThan(0);
    expect(s.world.writes).toBeLessThanOrEqual(8 * 6 * 12);
  });

  it('that is always there costs nothing', async () => {
    await s.pass(12 * HOUR, () => true);
    expect([s.flips.length, s.world.writes]).toEqual([0, 0]);
  });

  it('tells of each that stays away once, and once when it is back, however often the operator is killed meanwhile', async () => {
    const isThere = (_name: string, at: number) => at >= 3;
    // Of each quarter of an hour the end is lost with the operator: it does not count.
    for (let restart = 0; restart < 20; restart++) {
      await s.pass(15 * MINUTE, isThere);
      s.kill();
      await s.start();
    }
    expect([...s.out].sort()).toEqual(NAMES.slice(0, 3).sort());
    expect(s.flips).toHaveLength(3);
    await s.pass(MINUTE, isThere);
    expect(await s.text()).toContain('fleet_devices_out_of_touch 3');
    await s.pass(10 * MINUTE, () => true);
    expect([s.out.size, s.flips.length]).toEqual([0, 6]);
  });

  it('is not out of touch because the operator was away for days', async () => {
    await s.pass(30 * MINUTE, (_name, at) => at !== 0);
    s.kill();
    await s.clock.advance(72 * HOUR);
    await s.start();
    await s.pass(BUDGET - 5 * MINUTE, (_name, at) => at !== 0);
    expect(s.flips).toEqual([]);
    await s.pass(10 * MINUTE, (_name, at) => at !== 0);
    expect(s.flips).toEqual([NAMES[0]]);
  });

  it('is not out of touch because the broker lost all sessions and all of them connect again', async () => {
    await s.pass(30 * MINUTE, () => true);
    await s.pass(10 * MINUTE, () => false);
    await s.pass(3 * HOUR, () => true);
    expect(s.flips).toEqual([]);
  });

  it('is judged only after the memory was read: an API server that is down delays it', async () => {
    s.kill();
    s.world.down = true;
    await s.start();
    s.look(() => false);
    expect(s.running().watch.touch(NAMES[0] ?? '')).toBe('unknown');
    s.world.down = false;
    await s.clock.advance(6_000);
    await s.settle();
    s.look(() => false);
    expect(s.running().watch.touch(NAMES[0] ?? '')).toBe('absent');
  });

  it('leaves nothing in the pages once all are back', async () => {
    await s.pass(30 * MINUTE, () => false);
    expect([...s.world.objects.values()].some(({ data }) => data?.away !== '')).toBe(true);
    await s.pass(30 * MINUTE, () => true);
    expect([...s.world.objects.values()].every(({ data }) => data?.away === '')).toBe(true);
    const before = s.world.writes;
    await s.pass(2 * HOUR, () => true);
    expect(s.world.writes).toBe(before);
  });
});
