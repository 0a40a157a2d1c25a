import { describe, expect, it } from 'vitest';
import { FakeClock } from './clock.ts';
import type { Election } from './election.ts';
import type { HealthServer } from './health.ts';
import { createManager, EXIT, type ManagerOptions, type Runnable } from './manager.ts';
import { recordingLog } from './testing/recording-log.ts';

/** What happened, in order; every double writes into one list. */
function start(options: Partial<ManagerOptions> = {}) {
  const clock = new FakeClock();
  const log = recordingLog();
  const trace: string[] = [];
  const health: HealthServer = {
    healthy: (check) => void trace.push(`healthy check ${check.name}`),
    ready: (check) => void trace.push(`ready check ${check.name}`),
    listen: async () => {
      trace.push('health listens');
      return { port: 1 };
    },
    close: async () => void trace.push('health closed'),
  };
  const manager = createManager({ health, clock, log, ...options });
  const outer = new AbortController();
  const run = () => {
    const seen: { code: number | undefined } = { code: undefined };
    void manager.run(outer.signal).then((code) => {
      seen.code = code;
      trace.push(`exit ${code}`);
    });
    return seen;
  };
  /** Runs until its signal, then ends after `stopMs`. */
  const part = (name: string, stopMs = 0): Runnable => ({
    name,
    async run(signal) {
      trace.push(`${name} runs`);
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      trace.push(`${name} told`);
      if (stopMs > 0) await clock.sleep(stopMs);
      trace.push(`${name} ended`);
    },
  });
  const codes = () => log.said.flatMap((said) => (said.fields.code === undefined ? [] : [said.fields.code]));
  return { clock, log, trace, manager, outer, run, part, codes };
}

function cacheOf(kind: string, part: Runnable, synced: Promise<void>) {
  const store = { synced: false } as { synced: boolean };
  void synced.then(() => {
    store.synced = true;
  });
  const whenSynced = (signal: AbortSignal) => Promise.race([synced, aborted(signal).then(() => Promise.reject(signal.reason))]);
  return { kind, store: store as never, run: part.run, whenSynced, silentMs: () => 0 };
}

function electionOf(trace: string[]) {
  const leads = Promise.withResolvers<boolean>();
  const lost = Promise.withResolvers<'lost'>();
  const election: Election = {
    transitions: 0,
    isHeld: () => true,
    lead: (signal) => {
      trace.push('asks to lead');
      return Promise.race([leads.promise, aborted(signal).then(() => false)]);
    },
    hold: (signal) => Promise.race([lost.promise, aborted(signal).then(() => 'stopped' as const)]),
    release: async () => void trace.push('lease released'),
  };
  return { election, leads, lost };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

describe('the manager', () => {
  it('starts caches, then what always runs, then warms up, asks to lead, and only then lets writers run', async () => {
    const trace: string[] = [];
    const { election, leads } = electionOf(trace);
    const m = start({ election });
    const filled = Promise.withResolvers<void>();
    m.manager.cache(cacheOf('devices', m.part('cache'), filled.promise));
    m.manager.always(m.part('metrics'));
    m.manager.warmUp('broker', async () => void m.trace.push('warmed up'));
    m.manager.whileLeading(m.part('writer'));
    m.run();
    await m.clock.advance(0);
    expect(m.trace).toEqual(['ready check cache-devices', 'ready check watch-devices', 'health listens', 'cache runs']);
    filled.resolve();
    await m.clock.advance(0);
    expect(m.trace.slice(4)).toEqual(['metrics runs', 'warmed up']);
    expect(trace).toEqual(['asks to lead']);
    leads.resolve(true);
    await m.clock.advance(0);
    expect(m.trace.slice(6)).toEqual(['writer runs']);
  });

  it('stops writers first, gives the Lease back when they are idle, and stops the caches last', async () => {
    const trace: string[] = [];
    const { election, leads } = electionOf(trace);
    const m = start({ election });
    m.manager.cache(cacheOf('devices', m.part('cache'), Promise.resolve()));
    m.manager.always(m.part('metrics'));
    m.manager.whileLeading(m.part('writer', 5_000));
    leads.resolve(true);
    const seen = m.run();
    await m.clock.advance(0);
    m.outer.abort(new Error('SIGTERM'));
    await m.clock.advance(4_999);
    expect(trace).not.toContain('lease released');
    expect(m.trace).not.toContain('cache told');
    await m.clock.advance(1);
    expect(trace).toContain('lease released');
    expect(m.trace.slice(-7)).toEqual([
      'writer ended',
      'metrics told',
      'metrics ended',
      'cache told',
      'cache ended',
      'health closed',
      'exit 0',
    ]);
    expect(seen.code).toBe(EXIT.stopped);
    expect(m.codes()).toEqual([]);
  });

  it('ends with 75 at once when the Lease is lost, without waiting for writers', async () => {
    const { election, leads, lost } = electionOf([]);
    const m = start({ election });
    m.manager.whileLeading(m.part('writer', 60_000));
    leads.resolve(true);
    const seen = m.run();
    await m.clock.advance(0);
    lost.resolve('lost');
    await m.clock.advance(0);
    expect(seen.code).toBe(EXIT.leaseLost);
    expect(EXIT.leaseLost).toBe(75);
    expect(m.trace).toContain('writer told');
    expect(m.codes()).toEqual(['HR-RUN-001']);
  });

  it.each<[string, Runnable['run']]>([
    ['throws', () => Promise.reject(new Error('boom'))],
    ['ends by itself', () => Promise.resolve()],
  ])('ends with 1 when a part %s', async (_how, run) => {
    const m = start();
    m.manager.always(m.part('bystander'));
    m.manager.whileLeading({ name: 'odd', run });
    const seen = m.run();
    await m.clock.advance(0);
    expect(seen.code).toBe(EXIT.failed);
    expect(m.trace).toContain('bystander ended');
    expect(m.log.said.find((said) => said.level === 'error')?.fields).toMatchObject({ part: 'odd', code: 'HR-RUN-003' });
  });

  it('ends with 1 and names the kinds when the caches are not filled in time', async () => {
    const m = start({ cacheSyncMs: 120_000 });
    m.manager.cache(cacheOf('devices', m.part('a'), Promise.resolve()));
    m.manager.cache(cacheOf('segmentpolicies', m.part('b'), new Promise(() => undefined)));
    m.manager.whileLeading(m.part('writer'));
    const seen = m.run();
    await m.clock.advance(119_999);
    expect(seen.code).toBeUndefined();
    await m.clock.advance(1);
    expect(seen.code).toBe(EXIT.failed);
    expect(String(m.log.said.find((said) => said.level === 'error')?.fields.err)).toMatch(/HR-RUN-002.*: segmentpolicies$/);
    expect(m.trace).not.toContain('writer runs');
  });

  it('ends with 1 when a warm-up fails or the health port is taken', async () => {
    const warm = start();
    warm.manager.warmUp('broker', () => Promise.reject(new Error('no broker')));
    const seen = warm.run();
    await warm.clock.advance(0);
    expect(seen.code).toBe(EXIT.failed);
    const port = start({
      health: {
        healthy: () => undefined,
        ready: () => undefined,
        listen: () => Promise.reject(new Error('EADDRINUSE')),
        close: () => Promise.resolve(),
      },
    });
    const portSeen = port.run();
    await port.clock.advance(0);
    expect(portSeen.code).toBe(EXIT.failed);
  });

  it('ends after the grace time though a part does not, says so, and keeps the Lease: a writer may still write', async () => {
    const trace: string[] = [];
    const { election, leads } = electionOf(trace);
    const m = start({ election, graceMs: 30_000 });
    m.manager.whileLeading(m.part('stubborn', 3_600_000));
    leads.resolve(true);
    const seen = m.run();
    await m.clock.advance(0);
    m.outer.abort(new Error('SIGTERM'));
    await m.clock.advance(30_000);
    expect(seen.code).toBe(EXIT.stopped);
    expect(trace).not.toContain('lease released');
    expect(m.codes()).toEqual(['HR-RUN-006']);
  });

  it('stops at once while it waits for caches or for leadership, and lets nothing begin after that', async () => {
    const { election } = electionOf([]);
    const waiting = start({ election });
    waiting.manager.whileLeading(waiting.part('writer'));
    const seen = waiting.run();
    await waiting.clock.advance(1_000);
    waiting.outer.abort(new Error('SIGTERM'));
    await waiting.clock.advance(0);
    expect(seen.code).toBe(EXIT.stopped);
    expect(waiting.trace).not.toContain('writer runs');
    const filling = start();
    filling.manager.cache(cacheOf('devices', filling.part('cache'), new Promise(() => undefined)));
    filling.manager.whileLeading(filling.part('writer'));
    const fillingSeen = filling.run();
    await filling.clock.advance(1_000);
    filling.outer.abort(new Error('SIGTERM'));
    await filling.clock.advance(0);
    expect(fillingSeen.code).toBe(EXIT.stopped);
    expect(filling.trace).not.toContain('writer runs');
  });

  it('starts nothing when it was told to stop before', async () => {
    const m = start();
    m.manager.whileLeading(m.part('writer'));
    m.outer.abort(new Error('SIGTERM'));
    const seen = m.run();
    await m.clock.advance(0);
    expect(seen.code).toBe(EXIT.stopped);
    expect(m.trace.filter((line) => line.endsWith('runs'))).toEqual([]);
  });
});
