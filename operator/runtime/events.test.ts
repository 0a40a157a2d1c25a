import { describe, expect, it } from 'vitest';
import { KubeError } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import { FakeClock } from './clock.ts';
import { createRecorder, type EventNote, type Regarding } from './events.ts';
import { createMetrics } from './metrics.ts';
import { recordingLog } from './testing/recording-log.ts';

type Sent = KubeObject & { note: string; reason: string; regarding: Regarding; eventTime: string; type: string };
type Series = { name: string; series: { count: number; lastObservedTime: string } };

function start() {
  const clock = new FakeClock();
  const metrics = createMetrics();
  const log = recordingLog();
  const created: Sent[] = [];
  const patched: Series[] = [];
  const faults: { create?: Error } = {};
  const client = {
    create: async (_type: object, object: object) => {
      if (faults.create !== undefined) throw faults.create;
      created.push(object as Sent);
      return object as never;
    },
    mergePatch: async (_type: object, ref: { name: string }, patch: object) => {
      patched.push({ name: ref.name, ...(patch as Omit<Series, 'name'>) });
      return {} as never;
    },
  };
  const recorder = createRecorder({ client, controller: 'hedgerow.dev/operator', instance: 'pod-1', clock, log, metrics });
  const stop = new AbortController();
  const running = recorder.run(stop.signal);
  const count = async (outcome: string): Promise<number> => {
    const line = (await metrics.registry.metrics()).split('\n').find((l) => l.startsWith(`fleet_events_total{outcome="${outcome}"}`));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  return { clock, log, created, patched, faults, recorder, stop, running, count };
}

const device = (name = 'thermo-17'): Regarding => ({
  apiVersion: 'hedgerow.dev/v1alpha1',
  kind: 'Device',
  namespace: 'berlin',
  name,
  uid: 'u1',
});
const note = (message = 'certificate issued', reason = 'Issued'): EventNote => ({ type: 'Normal', reason, message, action: 'Issue' });

describe('events', () => {
  it('are written in the background, in the namespace of the object, with all that events.k8s.io/v1 asks for', async () => {
    const e = start();
    e.recorder.event(device(), note());
    expect(e.created).toEqual([]);
    await e.clock.advance(0);
    expect(e.created).toHaveLength(1);
    expect(e.created[0]).toMatchObject({
      metadata: { namespace: 'berlin', name: expect.stringMatching(/^thermo-17\.[0-9a-f]{16}$/) },
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'hedgerow.dev/operator',
      reportingInstance: 'pod-1',
      regarding: device(),
      type: 'Normal',
      reason: 'Issued',
      action: 'Issue',
      note: 'certificate issued',
    });
    expect(await e.count('sent')).toBe(1);
  });

  it('about an object without a namespace go to default', async () => {
    const e = start();
    e.recorder.event({ apiVersion: 'v1', kind: 'Namespace', name: 'berlin' }, note());
    await e.clock.advance(0);
    expect(e.created[0]?.metadata.namespace).toBe('default');
  });

  it('that repeat become one series whose count is written at most once a minute', async () => {
    const e = start();
    for (let i = 0; i < 50; i++) {
      e.recorder.event(device(), note());
      await e.clock.advance(1000);
    }
    await e.clock.advance(120_000);
    expect(e.created).toHaveLength(1);
    expect(e.patched.length).toBeLessThanOrEqual(3);
    expect(e.patched.at(-1)).toEqual({
      name: e.created[0]?.metadata.name,
      series: { count: 50, lastObservedTime: '2026-01-01T00:00:49.000000Z' },
    });
  });

  it('begin a new series after six minutes of silence, and differ by message, reason, object and incarnation', async () => {
    const e = start();
    const different = [
      [device(), note()],
      [device(), note('another message')],
      [device(), note('certificate issued', 'Renewed')],
      [device('other'), note()],
      [{ ...device(), uid: 'u2' }, note()],
    ] as const;
    for (const [regarding, what] of different) e.recorder.event(regarding, what);
    await e.clock.advance(0);
    expect(new Set(e.created.map((sent) => `${sent.metadata.name}`)).size).toBe(5);
    await e.clock.advance(360_000);
    e.recorder.event(device(), note());
    await e.clock.advance(0);
    expect(e.created).toHaveLength(6);
    expect(e.created[5]?.metadata.name).not.toBe(e.created[0]?.metadata.name);
  });

  it('of one noisy object are dropped over 25, then one in five minutes, and counted; others are not affected', async () => {
    const e = start();
    for (let i = 0; i < 40; i++) e.recorder.event(device(), note(`message ${i}`));
    e.recorder.event(device('quiet'), note());
    await e.clock.advance(0);
    expect(e.created.filter((sent) => sent.regarding.name === 'thermo-17')).toHaveLength(25);
    expect(e.created.filter((sent) => sent.regarding.name === 'quiet')).toHaveLength(1);
    expect(await e.count('dropped')).toBe(15);
    await e.clock.advance(300_000);
    for (let i = 0; i < 3; i++) e.recorder.event(device(), note(`later ${i}`));
    await e.clock.advance(0);
    expect(e.created.filter((sent) => sent.note.startsWith('later'))).toHaveLength(1);
  });

  it('that pile up while nobody sends are bounded, and making one never blocks', async () => {
    const e = start();
    e.stop.abort(new Error('nobody sends'));
    await e.running;
    for (let i = 0; i < 3000; i++) e.recorder.event(device(`d${i}`), note());
    expect(await e.count('dropped')).toBeGreaterThanOrEqual(2000);
  });

  it('that the API server refuses are counted, harm nobody and are not retried', async () => {
    const e = start();
    e.faults.create = new KubeError({ status: 403, reason: 'Forbidden', message: 'no' });
    expect(() => e.recorder.event(device(), note())).not.toThrow();
    await e.clock.advance(0);
    expect(await e.count('failed')).toBe(1);
    delete e.faults.create;
    e.recorder.event(device(), note('next'));
    await e.clock.advance(0);
    expect(e.created.map((sent) => sent.note)).toEqual(['next']);
  });

  it('never throw, whatever they are made of', () => {
    const e = start();
    const odd = {
      ...device(),
      get name(): string {
        throw new Error('odd');
      },
    };
    expect(() => e.recorder.event(odd, note())).not.toThrow();
    expect(e.log.said.map((said) => said.level)).toEqual(['warn']);
  });

  it('never hold a credential, and hold at most 1024 bytes, cut between characters', async () => {
    const e = start();
    e.recorder.event(device(), note('the server said: Bearer abcdefgh.ijklmnop'));
    e.recorder.event(device(), note('ä'.repeat(2000)));
    await e.clock.advance(0);
    expect(e.created[0]?.note).toBe('the server said: Bearer [redacted]');
    const long = e.created[1]?.note ?? '';
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(1024);
    expect(long).toMatch(/^ä+…$/);
  });

  it('end when the signal aborts', async () => {
    const e = start();
    await e.clock.advance(0);
    e.stop.abort(new Error('the process stops'));
    await e.running;
    expect(e.clock.pendingTimers).toBe(0);
  });
});
