import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { seededRandom } from '../runtime/random.ts';
import { KubeError } from './errors.ts';
import { noKubeMetrics } from './ports.ts';
import { createReflector } from './reflector.ts';
import type { Change } from './store.ts';
import { gone, type Thing, TinyServer } from './testing/tiny-server.ts';

type P = { key: string; uid: string; resourceVersion: string; value: number };

const THINGS = { group: 'test', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };

type StartOptions = {
  streaming?: boolean;
  project?: (object: Thing) => P;
  client?: ReturnType<TinyServer['client']>;
  clock?: FakeClock;
  seed?: number;
};

function start(server: TinyServer, options: StartOptions = {}) {
  const clock = options.clock ?? new FakeClock();
  const changes: Change<P>[] = [];
  const stop = new AbortController();
  const reflector = createReflector<Thing, P>({
    client: options.client ?? server.client(),
    type: THINGS,
    project: options.project ?? project,
    onChange: (change) => changes.push(change),
    streaming: options.streaming ?? true,
    clock,
    random: seededRandom(options.seed ?? 7),
    log: silentLog,
    metrics: noKubeMetrics,
  });
  const running = reflector.run(stop.signal);
  const shown = (): Record<string, string> =>
    Object.fromEntries([...reflector.store.values()].map((p) => [p.key, `${p.uid}@${p.resourceVersion}=${p.value}`]));
  /** Lets promises settle; no time passes. */
  const settle = (): Promise<void> => clock.advance(0);
  const end = async (): Promise<void> => {
    stop.abort(new Error('test ends'));
    await running;
  };
  return { clock, reflector, changes, shown, settle, end, stop };
}

const project = (object: Thing): P => ({
  key: `${object.metadata.namespace}/${object.metadata.name}`,
  uid: object.metadata.uid ?? '',
  resourceVersion: object.metadata.resourceVersion ?? '',
  value: object.value,
});

function serverWith(count: number): TinyServer {
  const server = new TinyServer();
  for (let i = 0; i < count; i++) server.put(`t${i}`, i);
  return server;
}

describe.each([
  ['by WatchList', true],
  ['page by page', false],
])('reflector %s', (_how, streaming) => {
  it('takes in the first state, marked as initial, and is synced only then', async () => {
    const server = serverWith(7);
    const r = start(server, { streaming });
    expect(r.reflector.store.synced).toBe(false);
    await r.reflector.whenSynced(r.stop.signal);
    expect(r.shown()).toEqual(server.state);
    expect(r.changes).toHaveLength(7);
    expect(r.changes.every((change) => change.initial && change.before === undefined)).toBe(true);
    await r.end();
  });

  it('follows additions, changes and deletions with the object before and after', async () => {
    const server = serverWith(2);
    const r = start(server, { streaming });
    await r.reflector.whenSynced(r.stop.signal);
    await r.settle();
    r.changes.length = 0;
    server.put('t0', 10);
    server.put('new', 1);
    server.remove('t1');
    await r.settle();
    expect(r.changes.map((change) => [change.key, change.before?.value, change.after?.value, change.initial])).toEqual([
      ['ns/t0', 0, 10, false],
      ['ns/new', undefined, 1, false],
      ['ns/t1', 1, undefined, false],
    ]);
    await r.end();
  });

  it('after the server ends the watch it goes on from the last version and lists no more', async () => {
    const server = serverWith(4);
    const r = start(server, { streaming });
    await r.reflector.whenSynced(r.stop.signal);
    await r.settle();
    const [calls, lists] = [server.watchCalls, server.lists];
    server.endWatches((watch) => watch.end());
    server.put('t1', 11);
    await r.clock.advance(1000);
    expect(r.shown()).toEqual(server.state);
    expect(server.lists).toBe(lists);
    expect(server.watchCalls).toBe(calls + 1);
    expect([...server.watches].every((watch) => watch.query.sendInitialEvents === undefined)).toBe(true);
    await r.end();
  });

  it('a watch cut in the middle of an event loses nothing', async () => {
    const server = serverWith(3);
    const r = start(server, { streaming });
    await r.reflector.whenSynced(r.stop.signal);
    await r.settle();
    server.put('t0', 5);
    server.endWatches((watch) => watch.cutMidEvent());
    server.put('t0', 6);
    await r.clock.advance(2000);
    expect(r.shown()).toEqual(server.state);
    await r.end();
  });

  it('after a 410 it lists anew, and what is gone by then is deleted by uid', async () => {
    const server = serverWith(4);
    const r = start(server, { streaming });
    await r.reflector.whenSynced(r.stop.signal);
    await r.settle();
    r.changes.length = 0;
    server.endWatches((watch) => watch.end());
    server.remove('t0');
    server.remove('t1');
    server.put('t1', 100);
    server.compact();
    await r.clock.advance(5000);
    expect(r.shown()).toEqual(server.state);
    expect(r.changes.map((change) => [change.key, change.before?.value, change.after?.value])).toEqual(
      expect.arrayContaining([
        ['ns/t0', 0, undefined],
        ['ns/t1', 1, undefined],
        ['ns/t1', undefined, 100],
      ]),
    );
    expect(r.changes).toHaveLength(3);
    await r.end();
  });

  it('asks for bookmarks, and a quiet kind resumes from the last one', async () => {
    const server = serverWith(1);
    const r = start(server, { streaming });
    await r.reflector.whenSynced(r.stop.signal);
    await r.settle();
    server.endWatches((watch) => watch.bookmark());
    await r.settle();
    server.compact();
    const lists = server.lists;
    server.endWatches((watch) => watch.end());
    await r.clock.advance(1000);
    expect(server.lists).toBe(lists);
    expect(server.watches.size).toBe(1);
    await r.end();
  });

  it('a silent watch is dropped after the idle limit and resumed', async () => {
    const server = serverWith(2);
    const r = start(server, { streaming });
    await r.reflector.whenSynced(r.stop.signal);
    await r.settle();
    const before = server.watchCalls;
    await r.clock.advance(89_000);
    expect(server.watchCalls).toBe(before);
    await r.clock.advance(33_000);
    expect(server.watchCalls).toBe(before + 1);
    server.put('t1', 9);
    await r.settle();
    expect(r.shown()).toEqual(server.state);
    await r.end();
  });

  it('a line that is no event restarts the watch and is never skipped; the third in a row lists anew', async () => {
    const server = serverWith(2);
    const r = start(server, { streaming });
    await r.reflector.whenSynced(r.stop.signal);
    await r.settle();
    const before = server.watchCalls;
    for (let i = 0; i < 3; i++) {
      server.endWatches((watch) => watch.sendRaw('{"type":"MODIFIED","object":\n'));
      await r.clock.advance(31_000);
    }
    expect(server.watchCalls).toBeGreaterThanOrEqual(before + 3 - (streaming ? 0 : 1));
    server.put('t0', 77);
    await r.settle();
    expect(r.shown()).toEqual(server.state);
    await r.end();
  });

  it('a server that answers 500 for ever is asked at most a handful of times a minute', async () => {
    const server = serverWith(1);
    server.failures = Array.from(
      { length: 1000 },
      () => new KubeError({ status: 503, reason: 'ServiceUnavailable', message: 'no', retryAfterMs: 1000 }),
    );
    const r = start(server, { streaming });
    await r.clock.advance(300_000);
    const asked = 1000 - server.failures.length;
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(50);
    server.failures = [];
    await r.clock.advance(31_000);
    expect(r.shown()).toEqual(server.state);
    await r.end();
  });

  it('a 410 at every watch does not become a storm of lists', async () => {
    const server = serverWith(1);
    const r = start(server, { streaming: false });
    await r.reflector.whenSynced(r.stop.signal);
    await r.settle();
    for (let second = 0; second < 120; second++) {
      server.endWatches((watch) =>
        watch.sendRaw(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })}\n`),
      );
      await r.clock.advance(1000);
    }
    expect(server.lists).toBeLessThan(20);
    await r.end();
  });

  it('a listener that throws and an object that cannot be projected harm nobody else', async () => {
    const server = serverWith(3);
    const r = start(server, {
      streaming,
      project: (object) => {
        if (object.metadata.name === 't1') throw new Error('odd');
        return project(object);
      },
    });
    r.reflector.subscribe(() => {
      throw new Error('bad listener');
    });
    await r.reflector.whenSynced(r.stop.signal);
    expect([...r.reflector.store.keys()].sort()).toEqual(['ns/t0', 'ns/t2']);
    await r.end();
  });
});

describe('reflector', () => {
  it('falls back to pages where WatchList is refused, and remembers it', async () => {
    const server = serverWith(8);
    server.supportsWatchList = false;
    const client = server.client();
    const r = start(Object.assign(server, { client: () => client }));
    await r.reflector.whenSynced(r.stop.signal);
    expect(r.shown()).toEqual(server.state);
    expect(server.lists).toBe(1);
    await r.end();
    const calls = server.watchCalls;
    const again = start(server);
    await again.reflector.whenSynced(again.stop.signal);
    await again.settle();
    expect(server.lists).toBe(2);
    expect(server.watchCalls).toBe(calls + 1);
    await again.end();
  });

  it('a continue token that expires in mid-list starts the list anew', async () => {
    const server = serverWith(8);
    let once = true;
    server.betweenPages = () => {
      if (!once) return;
      once = false;
      server.remove('t0');
      server.compact();
    };
    const r = start(server, { streaming: false });
    await r.clock.advance(2000);
    expect(r.reflector.store.synced).toBe(true);
    expect(r.shown()).toEqual(server.state);
    expect(server.lists).toBe(2);
    await r.end();
  });

  it('whenSynced rejects with the reason of its signal', async () => {
    const server = serverWith(1);
    server.failures = [gone(), gone(), gone()];
    const r = start(server);
    const waiting = new AbortController();
    const synced = r.reflector.whenSynced(waiting.signal);
    waiting.abort(new Error('enough'));
    await expect(synced).rejects.toThrow('enough');
    await r.end();
  });

  it('whatever happens in whatever order, the store ends equal to the server and every change was told', async () => {
    const action = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constant('put' as const),
          name: fc.integer({ min: 0, max: 6 }),
          value: fc.integer({ min: 0, max: 99 }),
        }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), name: fc.integer({ min: 0, max: 6 }) }) },
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constantFrom(
            'end',
            'cut',
            'compact',
            'bookmark',
            'garbage',
            'error500',
            'error410',
            'fail410',
            'fail500',
            'fail429',
            'failNetwork',
          ),
        }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 100, 1000, 40_000, 130_000) }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 1, maxLength: 40 }),
        fc.boolean(),
        fc.boolean(),
        async (actions, streaming, supported) => {
          const server = serverWith(5);
          server.supportsWatchList = supported;
          const r = start(server, { streaming });
          const told = new Map<string, string>();
          r.reflector.subscribe(({ key, before, after }) => {
            // Each change starts from what the last one of this key left.
            expect(before?.resourceVersion).toBe(told.get(key));
            if (after === undefined) told.delete(key);
            else told.set(key, after.resourceVersion);
          });
          for (const step of actions) await act(server, r, step);
          server.failures = [];
          await r.clock.advance(200_000);
          expect(r.shown()).toEqual(server.state);
          expect(Object.fromEntries(told)).toEqual(
            Object.fromEntries([...server.objects].map(([key, object]) => [key, object.metadata.resourceVersion])),
          );
          await r.end();
        },
      ),
      { numRuns: 150 },
    );
  }, 60_000);
});

type Step = { do: string; name?: number; value?: number; ms?: number };

async function act(server: TinyServer, r: ReturnType<typeof start>, step: Step): Promise<void> {
  const status = (code: number): string => `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code } })}\n`;
  const fail = (code: number): void =>
    void server.failures.push(new KubeError({ status: code, reason: code === 0 ? 'NetworkError' : 'X', message: 'injected' }));
  const actions: Record<string, () => void> = {
    put: () => server.put(`t${step.name}`, step.value ?? 0),
    remove: () => server.remove(`t${step.name}`),
    end: () => server.endWatches((watch) => watch.end()),
    cut: () => server.endWatches((watch) => watch.cutMidEvent()),
    compact: () => server.compact(),
    bookmark: () => server.endWatches((watch) => watch.bookmark()),
    garbage: () => server.endWatches((watch) => watch.sendRaw('<html>\n')),
    error500: () => server.endWatches((watch) => watch.sendRaw(status(500))),
    error410: () => server.endWatches((watch) => watch.sendRaw(status(410))),
    fail410: () => fail(410),
    fail500: () => fail(500),
    fail429: () => fail(429),
    failNetwork: () => fail(0),
  };
  if (step.ms !== undefined) await r.clock.advance(step.ms);
  else actions[step.do]?.();
}

describe('reflectors of one server that was away', () => {
  const away = (): KubeError => new KubeError({ status: 0, reason: 'NetworkError', message: 'connection refused' });

  it.each([
    ['and still knows the versions', false],
    ['and knows no version any more', true],
  ])('%s: all come back with the first of them, however long the others would have waited', async (_how, forgetful) => {
    const server = serverWith(3);
    const [client, clock] = [server.client(), new FakeClock()];
    const all = Array.from({ length: 8 }, (_, seed) => start(server, { client, clock, seed: seed + 1 }));
    await clock.advance(0);
    server.failures = Array.from({ length: 1000 }, away);
    server.endWatches((watch) => watch.end());
    await clock.advance(120_000);
    expect(server.watches.size).toBe(0);
    const asked = 1000 - server.failures.length;
    expect(asked).toBeLessThan(8 * 16); // seldom: 0.8 s doubling to 30 s
    server.failures = [];
    server.put('t1', 98);
    if (forgetful) server.compact();
    while (server.watches.size === 0) await clock.advance(50);
    await clock.advance(500);
    expect(server.watches.size).toBe(8);
    server.put('t0', 99);
    await clock.advance(0);
    expect(all.every((r) => r.shown()['ns/t0']?.endsWith('=99'))).toBe(true);
    await Promise.all(all.map((r) => r.end()));
  });

  it('do not chase each other when it answers each of them once and fails again', async () => {
    const server = serverWith(2);
    const [client, clock] = [server.client(), new FakeClock()];
    let calls = 0;
    const flapping: typeof client = {
      ...client,
      watch: async (...args) => {
        calls += 1;
        const stream = await client.watch(...args);
        server.endWatches((watch) => watch.sendRaw('{"type":"ERROR","object":{"kind":"Status","code":500}}\n'));
        return stream;
      },
    };
    const all = Array.from({ length: 8 }, (_, seed) => start(server, { client: flapping, clock, seed: seed + 1 }));
    await clock.advance(60_000);
    expect(calls).toBeLessThan(8 * 70);
    await Promise.all(all.map((r) => r.end()));
  });
});
