import { describe, expect, it } from 'vitest';
import { KubeError } from '../kube/errors.ts';
import { FakeClock } from './clock.ts';
import { type ControllerOptions, createController, type ReconcileContext } from './controller.ts';
import { createMetrics } from './metrics.ts';
import { done, type Outcome } from './outcome.ts';
import { recordingLog } from './testing/recording-log.ts';

type Reconcile = ControllerOptions['reconcile'];

function start(reconcile: Reconcile, options: Partial<ControllerOptions> = {}) {
  const clock = new FakeClock();
  const log = recordingLog();
  const metrics = createMetrics();
  const controller = createController({ name: 'device', concurrency: 2, reconcile, clock, log, metrics, ...options });
  const stop = new AbortController();
  const running = controller.run(stop.signal);
  return {
    clock,
    log,
    controller,
    queue: controller.queue,
    stop,
    running,
    /** Lets promises settle; no time passes. */
    settle: () => clock.advance(0),
    metric: async (line: string): Promise<number> => metricIn(await metrics.registry.metrics(), line),
  };
}

function metricIn(text: string, start: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${start} `));
  if (line === undefined) throw new Error(`there is no metric ${start}`);
  return Number(line.slice(start.length + 1));
}

/** Reconciles that a test ends by hand. */
function held() {
  const open: { key: string; ctx: ReconcileContext; end(outcome?: Outcome): void; fail(error: unknown): void }[] = [];
  const reconcile: Reconcile = (key, ctx) =>
    new Promise((resolve, reject) => open.push({ key, ctx, end: (outcome = done) => resolve(outcome), fail: reject }));
  return { open, reconcile, at: (index: number) => open[index] as (typeof open)[number] };
}

describe('a controller', () => {
  it('works on as many keys at a time as it may, and never on one key twice', async () => {
    const work = held();
    const c = start(work.reconcile);
    for (const key of ['a', 'b', 'c', 'a']) c.queue.add(key);
    await c.settle();
    expect(work.open.map((w) => w.key)).toEqual(['a', 'b']);
    c.queue.add('a');
    await c.settle();
    expect(work.open).toHaveLength(2);
    work.at(1).end();
    await c.settle();
    expect(work.open.map((w) => w.key)).toEqual(['a', 'b', 'c']);
    work.at(0).end();
    await c.settle();
    // Added while it was worked on: once more, with what is true by now.
    expect(work.open.map((w) => w.key)).toEqual(['a', 'b', 'c', 'a']);
    expect(await c.metric('controller_runtime_active_workers{controller="device"}')).toBe(2);
    expect(await c.metric('controller_runtime_max_concurrent_reconciles{controller="device"}')).toBe(2);
  });

  it('works on keys that were added before it ran', async () => {
    const seen: string[] = [];
    const clock = new FakeClock();
    const reconcile: Reconcile = async (key) => {
      seen.push(key);
      return done;
    };
    const controller = createController({ name: 'x', concurrency: 1, reconcile, clock, log: recordingLog(), metrics: createMetrics() });
    controller.queue.add('early');
    await clock.advance(0);
    expect(seen).toEqual([]);
    const stop = new AbortController();
    const running = controller.run(stop.signal);
    await clock.advance(0);
    expect(seen).toEqual(['early']);
    stop.abort();
    await running;
  });

  it.each<[string, Outcome, number | undefined]>([
    ['done: not before the next event', done, undefined],
    ['requeue: after its time', { kind: 'requeue', afterMs: 5000, reason: 'RenewalDue' }, 5000],
    ['waiting: after its time', { kind: 'waiting', afterMs: 2000, reason: 'Issuing', message: 'm' }, 2000],
    ['stalled: not before somebody changes something', { kind: 'stalled', reason: 'CsrMissing', message: 'm' }, undefined],
  ])('comes back when the outcome says so (%s)', async (_name, outcome, afterMs) => {
    const at: number[] = [];
    const c = start(async () => {
      at.push(c.clock.elapsed());
      return at.length === 1 ? outcome : done;
    });
    c.queue.add('a');
    await c.clock.advance((afterMs ?? 3_600_000) - 1);
    expect(at).toEqual([0]);
    await c.clock.advance(1);
    expect(at).toEqual(afterMs === undefined ? [0] : [0, afterMs]);
  });

  it('survives a handler that throws, tries again with growing delay, and counts', async () => {
    const attempts: number[] = [];
    const c = start(async (_key, ctx) => {
      attempts.push(ctx.attempt);
      if (ctx.attempt < 4) throw new Error('the world is odd');
      return done;
    });
    c.queue.add('a');
    await c.clock.advance(5 + 10 + 20);
    expect(attempts).toEqual([1, 2, 3, 4]);
    expect(await c.metric('controller_runtime_reconcile_errors_total{controller="device"}')).toBe(3);
    expect(await c.metric('controller_runtime_reconcile_total{controller="device",result="error"}')).toBe(3);
    expect(await c.metric('controller_runtime_reconcile_total{controller="device",result="success"}')).toBe(1);
    expect(await c.metric('controller_runtime_reconcile_panics_total{controller="device"}')).toBe(0);
    expect(c.log.said.filter((s) => s.level === 'error').map((s) => [s.fields.code, s.fields.key, s.fields.attempt])).toEqual([
      ['HR-RUN-004', 'a', 1],
      ['HR-RUN-004', 'a', 2],
      ['HR-RUN-004', 'a', 3],
    ]);
  });

  it.each<[string, unknown]>([
    ['throws synchronously', undefined],
    ['throws a string', 'boom'],
    ['throws undefined', undefined],
  ])('survives a handler that %s', async (how, thrown) => {
    let tries = 0;
    const c = start(
      how.includes('synchronously')
        ? () => {
            if (tries++ === 0) throw new Error('before its first await');
            return Promise.resolve(done);
          }
        : async () => {
            if (tries++ === 0) throw thrown;
            return done;
          },
    );
    c.queue.add('a');
    c.queue.add('b');
    await c.clock.advance(5);
    expect(tries).toBe(3);
  });

  it('counts a TypeError as a defect of ours and an answer of the API server as an answer', async () => {
    const errors = [new TypeError('x is undefined'), new KubeError({ status: 500, reason: 'InternalError', message: 'm' })];
    const c = start(async () => {
      const error = errors.shift();
      if (error !== undefined) throw error;
      return done;
    });
    c.queue.add('a');
    await c.clock.advance(100);
    expect(await c.metric('controller_runtime_reconcile_panics_total{controller="device"}')).toBe(1);
    expect(await c.metric('controller_runtime_reconcile_errors_total{controller="device"}')).toBe(2);
  });

  it('takes a conflict for the normal way to learn that a store was old, and warns when it does not end', async () => {
    const c = start(async (_key, { attempt }) => {
      if (attempt <= 6) throw new KubeError({ status: 409, reason: 'Conflict', message: 'the object has been modified' });
      return done;
    });
    c.queue.add('a');
    await c.clock.advance(1000);
    expect(c.log.said.filter((s) => s.level === 'error').map((s) => s.fields.attempt)).toEqual([5, 6]);
  });

  it('does not take a namespace that is being deleted for a failure, and takes any other refusal for one', async () => {
    const refused = (reason: string) =>
      new KubeError({ status: 403, reason: 'Forbidden', message: 'is forbidden', details: { causes: [{ reason }] } });
    const c = start(async (key, { attempt }) => {
      if (attempt === 1) throw refused(key === 'a' ? 'NamespaceTerminating' : 'AnotherReason');
      return done;
    });
    c.queue.add('a');
    c.queue.add('b');
    await c.clock.advance(1000);
    expect(c.log.said.filter((s) => s.level === 'error')).toHaveLength(1);
  });

  it('aborts a reconcile at its deadline, says so with a code, and tries again', async () => {
    let tries = 0;
    const c = start(
      async (_key, { signal }) => {
        if (tries++ > 0) return done;
        await c.clock.sleep(1_000_000, signal);
        return done;
      },
      { timeoutMs: 90_000 },
    );
    c.queue.add('a');
    await c.clock.advance(89_999);
    expect(tries).toBe(1);
    await c.clock.advance(1 + 5);
    expect(tries).toBe(2);
    expect(c.log.said.map((s) => s.fields.code)).toContain('HR-RUN-005');
    expect(await c.metric('controller_runtime_reconcile_timeouts_total{controller="device"}')).toBe(1);
    expect(c.clock.pendingTimers).toBe(0);
  });

  it('counts what is stalled as terminal and not as an error', async () => {
    const c = start(async () => ({ kind: 'stalled', reason: 'R', message: 'm' }));
    c.queue.add('a');
    await c.settle();
    expect(await c.metric('controller_runtime_terminal_reconcile_errors_total{controller="device"}')).toBe(1);
    expect(await c.metric('controller_runtime_reconcile_errors_total{controller="device"}')).toBe(0);
  });

  it('stops: tells what is in flight, waits for it, begins nothing new, and keeps quiet about what was aborted', async () => {
    const work = held();
    const c = start(work.reconcile);
    for (const key of ['a', 'b', 'c']) c.queue.add(key);
    await c.settle();
    c.stop.abort(new Error('the process stops'));
    expect(work.open.map((w) => w.ctx.signal.aborted)).toEqual([true, true]);
    let ended = false;
    void c.running.then(() => {
      ended = true;
    });
    work.at(0).fail(new Error('aborted'));
    await c.settle();
    expect(ended).toBe(false);
    work.at(1).end();
    await c.settle();
    expect(ended).toBe(true);
    expect(work.open).toHaveLength(2);
    expect(c.log.said.filter((s) => s.level === 'error')).toEqual([]);
  });
});
