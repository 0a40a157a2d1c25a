import { describe, expect, it } from 'vitest';
import { ASK_FOLLOWED_MS, type Ask } from '../api/gateway-asks.ts';
import type { Intervention } from '../api/intervention.ts';
import { KubeError } from '../kube/errors.ts';
import { FakeClock } from '../runtime/clock.ts';
import type { EventNote } from '../runtime/events.ts';
import { silentLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { createAskNews } from './ask-watch.ts';
import { createLimits, type DeviceOfLimits, type QuarantineOf, type Rules } from './limits.ts';

const SELF = 'system:serviceaccount:hedgerow-system:hedgerow';
const LOOK_MS = 15_000;

function scene(options: { devices?: number; rules?: Rules } = {}) {
  const clock = new FakeClock();
  const names = Array.from({ length: options.devices ?? 4 }, (_, n) => `d-${n + 1}`);
  const world = {
    rules: options.rules ?? { limits: { messages: '10/s' }, triggers: ['LimitExceeded'] },
    interventions: new Map<string, QuarantineOf | 'another'>(),
    /** Devices whose Intervention has expired. */
    ended: new Set<string>(),
    /** What the API server has and the cache does not show yet. */
    stored: new Map<string, Intervention>(),
    cacheFollows: true,
    fails: 0,
    says: new Set<string>(),
    told: new Map<string, { denied: number; connected: number }>(),
    counts: new Map<string, number>(names.map((name) => [name, 0])),
  };
  const seen = { events: [] as (EventNote & { on: string })[], woken: [] as string[] };
  const view = (name: string): DeviceOfLimits => ({
    ...{ key: `berlin/${name}`, uid: `u-${name}`, name, namespace: 'berlin', segment: 'sensors' },
    saysLimitExceeded: world.says.has(name),
  });
  const metrics = createMetrics();
  const limits = createLimits({
    client: {
      raw: async () => ({ status: { userInfo: { username: SELF } } }),
      create: async (_type: unknown, object: Intervention) => {
        if (world.fails-- > 0) throw new KubeError({ status: 0, reason: 'Timeout', message: 'no answer' });
        const name = object.metadata.name ?? '';
        if (world.stored.has(name)) throw new KubeError({ status: 409, reason: 'AlreadyExists', message: 'there is one' });
        world.stored.set(name, object);
        if (world.cacheFollows) show(object);
        return object;
      },
    } as never,
    devices: {
      count: () => names.length,
      all: () => names.map(view),
      get: (key) => (names.includes(key.slice('berlin/'.length)) ? view(key.slice('berlin/'.length)) : undefined),
      countOf: () => names.length,
      lifecycle: (key) =>
        [...world.interventions.values()].some((one) => one !== 'another' && `berlin/${one.device}` === key && !world.ended.has(one.device))
          ? 'Quarantined'
          : 'Active',
    },
    events: { totals: (client) => world.told.get(client) ?? { denied: 0, connected: 0 } },
    rules: () => world.rules,
    interventions: {
      named: (_namespace, name) => world.interventions.get(name),
      quarantinesBy: (user) =>
        [...world.interventions.values()].flatMap((one) => (one !== 'another' && one.requestedBy === user ? [one] : [])),
    },
    wake: (key) => void seen.woken.push(key),
    recorder: { event: (regarding, note) => void seen.events.push({ ...note, on: regarding.name }) },
    clock,
    log: silentLog,
    metrics,
  });
  function show({ metadata, spec }: Intervention): void {
    const name = metadata.name ?? '';
    world.interventions.set(name, {
      ...{ name, namespace: 'berlin', device: spec.target.name, requestedBy: spec.requestedBy },
      createdAt: new Date(clock.now()).toISOString(),
    });
  }
  void limits.controller.run(new AbortController().signal);
  const settle = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
  };
  /** A quarter of a minute goes by in which these send ten times what they may, and the broker is looked at. */
  async function look(...loud: string[]): Promise<void> {
    clock.advance(LOOK_MS);
    for (const name of names) world.counts.set(name, (world.counts.get(name) ?? 0) + (loud.includes(name) ? 1_500 : 150));
    const counted = (name: string) => ({ since: 's', messages: world.counts.get(name) ?? 0, bytes: 0 });
    limits.looked(new Map(names.map((name) => [`${name}.berlin`, { connected: true, goneAtMs: undefined, counted: counted(name) }])));
    await settle();
  }
  return { clock, world, seen, limits, look, show, settle, metrics };
}

describe('a device above the limits of its segment', () => {
  it('is said to be so, quarantined by one Intervention with the evidence, and its neighbours are not', async () => {
    const s = scene();
    for (let n = 0; n < 6; n++) await s.look('d-1');
    expect(s.limits.verdict('d-1.berlin')).toMatchObject({ is: 'over', reason: 'MessagesAboveLimit' });
    expect(s.limits.verdict('d-2.berlin').is).not.toBe('over');
    expect([...s.world.stored.keys()]).toEqual(['d-1-limit-exceeded']);
    expect(s.world.stored.get('d-1-limit-exceeded')?.spec).toEqual({
      ...{ target: { kind: 'Device', name: 'd-1' }, action: 'Quarantine', requestedBy: SELF },
      reason:
        'LimitExceeded: sent at least 1500 messages within 30 s, limits.messages is 10/s; spec.quarantine.triggers of SegmentPolicy sensors',
    });
    expect(new Set(s.seen.woken)).toEqual(new Set(['berlin/d-1']));
    expect(await s.metrics.registry.metrics()).toContain('fleet_automatic_quarantines_total{segment="sensors.berlin",outcome="made"} 1');
  });

  it('without the trigger is only said to be so', async () => {
    const s = scene({ rules: { limits: { messages: '10/s' }, triggers: [] } });
    for (let n = 0; n < 4; n++) await s.look('d-1');
    expect(s.limits.verdict('d-1.berlin').is).toBe('over');
    expect(s.world.stored.size).toBe(0);
  });

  it('when all of a segment do it, one of four goes, and of the others an Event each says why not', async () => {
    const s = scene();
    for (let n = 0; n < 6; n++) await s.look('d-1', 'd-2', 'd-3', 'd-4');
    expect(s.world.stored.size).toBe(1);
    expect(s.seen.events.map(({ on, reason }) => `${on} ${reason}`)).toEqual([
      'd-2 QuarantineBudgetSpent',
      'd-3 QuarantineBudgetSpent',
      'd-4 QuarantineBudgetSpent',
    ]);
    expect(s.seen.events[0]?.message).toMatch(
      /^HR-LIM-001: d-2 is above limits\.messages 10\/s and is not quarantined: the budget of its segment is spent\. Cure: /,
    );
  });

  it('the budget holds while the cache lags behind, and after a person took the quarantine away', async () => {
    const s = scene();
    s.world.cacheFollows = false;
    for (let n = 0; n < 4; n++) await s.look('d-1', 'd-2');
    s.world.interventions.clear();
    for (let n = 0; n < 4; n++) await s.look('d-2', 'd-3');
    expect([...s.world.stored.keys()]).toEqual(['d-1-limit-exceeded']);
  });

  it('one that a person released and that goes on is quarantined again, within its own place in the budget', async () => {
    const s = scene();
    for (let n = 0; n < 3; n++) await s.look('d-1');
    s.world.stored.clear();
    s.world.interventions.clear();
    for (let n = 0; n < 3; n++) await s.look('d-1', 'd-2');
    expect([...s.world.stored.keys()]).toEqual(['d-1-limit-exceeded']);
    expect(s.seen.events.map(({ on }) => on)).toEqual(['d-2']);
  });

  it('an hour later the next one may go', async () => {
    const s = scene();
    for (let n = 0; n < 3; n++) await s.look('d-1');
    for (let n = 0; n < 250; n++) await s.look();
    for (let n = 0; n < 10; n++) await s.look('d-2');
    expect(s.world.stored.size).toBe(2);
  });

  it('a process that is killed behind the write makes no second one, and knows what was spent', async () => {
    const before = scene();
    for (let n = 0; n < 3; n++) await before.look('d-1');
    const s = scene();
    for (const [name, object] of before.world.stored) {
      s.world.stored.set(name, object);
      s.show(object);
    }
    for (let n = 0; n < 4; n++) await s.look('d-1', 'd-2');
    expect([...s.world.stored.keys()]).toEqual(['d-1-limit-exceeded']);
    expect(s.seen.events.map(({ on }) => on)).toEqual(['d-2']);
  });

  it('one that was made and not heard of is found by its name, counts in the budget, and is no failure', async () => {
    const s = scene();
    s.world.cacheFollows = false;
    const spec = { target: { kind: 'Device', name: 'd-1' }, action: 'Quarantine', requestedBy: SELF, reason: 'r' };
    s.world.stored.set('d-1-limit-exceeded', { metadata: { name: 'd-1-limit-exceeded', namespace: 'berlin' }, spec } as Intervention);
    for (let n = 0; n < 3; n++) await s.look('d-1');
    for (let n = 0; n < 3; n++) await s.look('d-2');
    expect([...s.world.stored.keys()]).toEqual(['d-1-limit-exceeded']);
    expect(s.seen.events.map(({ on, reason }) => `${on} ${reason}`)).toEqual(['d-2 QuarantineBudgetSpent']);
  });

  it('one of a person under that name is not taken for ours', async () => {
    const s = scene();
    const byAlice = {
      name: 'd-1-limit-exceeded',
      namespace: 'berlin',
      device: 'd-1',
      requestedBy: 'alice',
      createdAt: '2026-01-01T00:00:00Z',
    };
    s.world.interventions.set(byAlice.name, byAlice);
    s.world.ended.add('d-1');
    for (let n = 0; n < 3; n++) await s.look('d-1');
    expect(s.seen.events).toMatchObject([{ on: 'd-1', reason: 'QuarantineNameTaken' }]);
  });

  it('what cannot be written is tried again', async () => {
    const s = scene();
    s.world.fails = 2;
    await s.look('d-1');
    await s.look('d-1');
    for (let n = 0; n < 5; n++) {
      s.clock.advance(5_000);
      await s.settle();
    }
    expect([...s.world.stored.keys()]).toEqual(['d-1-limit-exceeded']);
  });

  it('denials quarantine where the policy asks for it; those of a device that is shut are no reason when it is released', async () => {
    // Enough devices that the budget is not what keeps it from a second quarantine.
    const s = scene({ devices: 40, rules: { limits: undefined, triggers: ['AuthorizationDenials'] } });
    let denied = 0;
    const deny = async (count: number): Promise<void> => {
      denied += count;
      s.world.told.set('d-1.berlin', { denied, connected: 1 });
      await s.look();
    };
    await deny(0);
    await deny(30);
    expect(s.world.stored.size).toBe(0);
    await deny(10);
    expect(s.world.stored.get('d-1-limit-exceeded')?.spec.reason).toBe(
      'AuthorizationDenials: was denied a topic at least 40 times within 45 s, 30/m are borne; spec.quarantine.triggers of SegmentPolicy sensors',
    );
    expect(s.limits.verdict('d-1.berlin')).toMatchObject({ reason: 'DenialsAboveLimit' });
    for (let n = 0; n < 10; n++) await deny(500);
    s.world.stored.clear();
    s.world.interventions.clear();
    for (let n = 0; n < 10; n++) await deny(n === 0 ? 500 : 0);
    expect(s.world.stored.size).toBe(0);
    for (let n = 0; n < 3; n++) await deny(50);
    expect(s.world.stored.size).toBe(1);
  });

  it('one that connects again and again is above connectRate, as far as the broker tells', async () => {
    const s = scene({ rules: { limits: { connectRate: '5/m' }, triggers: ['LimitExceeded'] } });
    for (let n = 0; n < 4; n++) {
      s.world.told.set('d-1.berlin', { denied: 0, connected: 3 * n });
      await s.look();
    }
    expect(s.limits.verdict('d-1.berlin')).toMatchObject({ reason: 'ConnectsAboveLimit' });
    expect([...s.world.stored.keys()]).toEqual(['d-1-limit-exceeded']);
  });

  it('a name that something else has is left alone, and an Event says so', async () => {
    const s = scene();
    s.world.interventions.set('d-1-limit-exceeded', 'another');
    for (let n = 0; n < 4; n++) await s.look('d-1');
    expect(s.world.stored.size).toBe(0);
    expect(s.seen.events).toMatchObject([{ on: 'd-1', reason: 'QuarantineNameTaken', type: 'Warning' }]);
  });
});

describe('a device whose gateway asks for its quarantine', () => {
  const RULES: Rules = { limits: undefined, triggers: ['ReplayDetected'] };
  const ask = (s: ReturnType<typeof scene>, device: string, more: Partial<Ask> = {}): Ask => ({
    ...{ device, uid: `u-${device}`, trigger: 'ReplayDetected', count: 31, overMs: 4_000, atMs: s.clock.now(), ...more },
  });
  const follow = async (s: ReturnType<typeof scene>, ...asks: Ask[]): Promise<void> => {
    for (const one of asks) s.limits.asked(`berlin/${one.device}`, one);
    await s.settle();
  };
  const made = (s: ReturnType<typeof scene>) => [...s.world.stored.keys()];

  it('is quarantined by an Intervention that says who saw what', async () => {
    const s = scene({ rules: RULES });
    await follow(s, ask(s, 'd-1'));
    expect(s.world.stored.get('d-1-limit-exceeded')?.spec.reason).toBe(
      'ReplayDetected: sent 31 messages of a recording within 4 s, says the gateway of the site; spec.quarantine.triggers of SegmentPolicy sensors',
    );
  });

  it('within the budget that limits have too; of each of the others one Event says why not, however often it is asked for', async () => {
    const s = scene({ rules: RULES });
    for (let n = 0; n < 5; n++) {
      await follow(s, ask(s, 'd-1'), ask(s, 'd-2'), ask(s, 'd-3'));
      await s.look();
    }
    expect(made(s)).toEqual(['d-1-limit-exceeded']);
    expect(s.seen.events.map(({ on, reason }) => `${on} ${reason}`)).toEqual(['d-2 QuarantineBudgetSpent', 'd-3 QuarantineBudgetSpent']);
  });

  it.each<[string, Rules, Partial<Ask>]>([
    ['not where the policy in force has no such trigger', { limits: undefined, triggers: ['SchemaFlood'] }, {}],
    ['not for what another Device of that name did', RULES, { uid: 'u-before' }],
    ['not when it was asked long ago', RULES, { atMs: 0 }],
  ])('%s', async (_name, rules, more) => {
    const s = scene({ rules });
    await follow(s, ask(s, 'd-1', more), ask(s, 'gone', more));
    expect(made(s)).toEqual([]);
  });
});

describe('what of the asks of a gateway is new', () => {
  const ask: Ask = { device: 'd', uid: 'u', trigger: 'SchemaFlood', count: 31, overMs: 1, atMs: 5_000_000 };
  it('is handed on once, for each site for itself, and again only when it is another one', () => {
    const news = createAskNews();
    expect(news('berlin', [ask, ask], 5_000_000)).toEqual([ask]);
    expect(news('berlin', [ask], 5_000_000)).toEqual([]);
    expect(news('paris', [ask], 5_000_000)).toEqual([ask]);
    const later = { ...ask, atMs: 5_060_000 };
    expect(news('berlin', [ask, later], 5_060_000)).toEqual([later]);
  });
  it('is not what is old, or of a clock that is far off', () => {
    for (const nowMs of [5_000_000 + ASK_FOLLOWED_MS, 5_000_000 - ASK_FOLLOWED_MS])
      expect(createAskNews()('berlin', [ask], nowMs)).toEqual([]);
  });
});
