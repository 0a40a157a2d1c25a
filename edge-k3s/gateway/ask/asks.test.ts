import { describe, expect, it } from 'vitest';
import { ASK_STANDS_MS, type Ask, asksText, GATEWAY_ASKS_KEY, MAX_ASKS } from '../../../operator/api/gateway-asks.ts';
import { KubeError } from '../../../operator/kube/errors.ts';
import { FakeClock } from '../../../operator/runtime/clock.ts';
import type { Raised } from '../meter/meter.ts';
import type { KnownDevice } from '../site/devices.ts';
import { createAsks } from './asks.ts';
import { writeAsks } from './writer.ts';

const NOW = 1_790_000_000_000;
const raised = (device: string, more: Partial<Raised> = {}): Raised => ({
  ...{ device: `${device}.berlin`, trigger: 'ReplayDetected', count: 31, overMs: 4_000, atMs: NOW, ...more },
});
const ask = (device: string): Ask => ({ device, uid: `u-${device}`, trigger: 'ReplayDetected', count: 31, overMs: 4_000, atMs: NOW });

function site(...names: string[]) {
  const known = new Map<string, KnownDevice>(
    names.map((name) => [
      `${name}.berlin`,
      { name: `${name}.berlin`, uid: `u-${name}`, segment: 'office.berlin', labels: {}, lifecycle: 'Active' },
    ]),
  );
  const change = (name: string, more: Partial<KnownDevice>): void => {
    const before = known.get(`${name}.berlin`);
    if (before !== undefined) known.set(before.name, { ...before, ...more });
  };
  return { asks: createAsks('berlin', { get: (name) => known.get(name) }), known, change };
}

describe('an ask', () => {
  it('names the Device as it is in the namespace', () => {
    const { asks } = site('a');
    asks.raise(raised('a'));
    expect(asks.standing(NOW)).toEqual([ask('a')]);
  });

  it.each<[string, (of: ReturnType<typeof site>) => void]>([
    ['the device is shut', ({ change }) => change('a', { lifecycle: 'Quarantined' })],
    ['it is gone', ({ known }) => known.delete('a.berlin')],
    ['another one has its name', ({ change }) => change('a', { uid: 'u-2' })],
  ])('stands until %s', (_name, then) => {
    const s = site('a', 'b');
    s.asks.raise(raised('a'));
    s.asks.raise(raised('b'));
    then(s);
    expect(s.asks.standing(NOW + 1)).toEqual([ask('b')]);
  });

  it('does not stand for long: nobody is shut for what a person has seen and forgiven', () => {
    const { asks } = site('a');
    asks.raise(raised('a'));
    expect(asks.standing(NOW + ASK_STANDS_MS - 1)).toHaveLength(1);
    expect(asks.standing(NOW + ASK_STANDS_MS)).toEqual([]);
    expect(asks.standing(NOW)).toEqual([]);
  });

  it('is one for a device and a trigger, and of more than fit the oldest are first', () => {
    const names = Array.from({ length: MAX_ASKS + 5 }, (_, n) => `d-${n}`);
    const { asks } = site(...names);
    for (let n = 0; n < 3; n++) for (const name of names) asks.raise(raised(name, { atMs: NOW + n }));
    expect(asks.standing(NOW).map(({ device }) => device)).toEqual(names.slice(0, MAX_ASKS));
  });
});

describe('what stands is written', () => {
  function server(data?: string) {
    const world = { text: data, writes: 0, isAway: false, warnings: 0, standing: [] as Ask[] };
    const answer = <T>(give: () => T): Promise<T> =>
      world.isAway
        ? Promise.reject(new KubeError({ status: 503, reason: 'ServiceUnavailable', message: 'away' }))
        : Promise.resolve(give());
    const client = {
      get: () => answer(() => ({ data: { [GATEWAY_ASKS_KEY]: world.text } })),
      mergePatch: (_type: unknown, ref: object, patch: { data: Record<string, string> }) =>
        answer(() => {
          expect(ref).toEqual({ name: 'hedgerow-gateway-asks', namespace: 'berlin' });
          world.writes += 1;
          world.text = patch.data[GATEWAY_ASKS_KEY];
        }),
    };
    const clock = new FakeClock();
    const stop = new AbortController();
    const log = {
      warn() {
        world.warnings += 1;
      },
    };
    const ended = writeAsks({ site: 'berlin', client: client as never, standing: () => world.standing, clock, log }, stop.signal);
    const pass = async (ms: number): Promise<void> => {
      for (let at = 0; at < ms; at += 1_000) {
        for (let n = 0; n < 10; n++) await new Promise((resolve) => setImmediate(resolve));
        clock.advance(1_000);
      }
      for (let n = 0; n < 10; n++) await new Promise((resolve) => setImmediate(resolve));
    };
    const end = async (): Promise<void> => {
      stop.abort();
      await ended;
    };
    const stand = (...asks: Ask[]): void => {
      world.standing = asks;
    };
    return { world, pass, end, stand };
  }

  it('when it is another one than is there, and not else', async () => {
    const s = server(asksText([ask('a')]));
    s.stand(ask('a'));
    await s.pass(5_000);
    expect(s.world.writes).toBe(0);
    s.stand(ask('a'), ask('b'));
    await s.pass(5_000);
    expect(s.world).toMatchObject({ writes: 1, text: asksText([ask('a'), ask('b')]) });
    s.stand();
    await s.pass(5_000);
    expect(s.world).toMatchObject({ writes: 2, text: asksText([]), warnings: 0 });
    await s.end();
  });

  it('after an API server was away; of that is said once', async () => {
    const s = server();
    s.world.isAway = true;
    s.stand(ask('a'));
    await s.pass(60_000);
    expect(s.world).toMatchObject({ writes: 0, warnings: 1 });
    s.world.isAway = false;
    await s.pass(30_000);
    expect(s.world).toMatchObject({ writes: 1, text: asksText([ask('a')]), warnings: 1 });
    await s.end();
  });
});
