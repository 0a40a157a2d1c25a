import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock, systemClock } from '../runtime/clock.ts';
import { createLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { runCanary } from './canary-server.ts';
import { takesConnection } from './dial.ts';
import { type CanaryPod, createNetworkProbe, type NetworkProbe } from './network.ts';
import { type Dialed, judgeNetwork, PORTS } from './network-decide.ts';
import { createProbeMetrics } from './probe-metrics.ts';

const { open, noIngress, noEgress } = PORTS;
const at = (node: string, ...ports: number[]): Dialed => ({ node, connected: new Set(ports) });

describe('what connections say of the network', () => {
  it.each<[string, Dialed[], string]>([
    ['no canary', [], 'unknown HR-PRB-021'],
    ['what is allowed goes, what is denied does not', [at('a', open), at('b', open)], 'shut 2'],
    ['two canaries of one node are one node', [at('a', open), at('a', open)], 'shut 1'],
    ['ingress is open on one node of two', [at('a', open), at('b', open, noIngress)], 'open node b takes a connection that the ingress'],
    ['egress is open', [at('a', open, noEgress)], 'open node a takes a connection that the egress'],
    ['open on more', [at('a', open, noEgress), at('b', open, noIngress), at('c', noIngress)], 'open node a and 2 more'],
    ['open, though what is allowed does not go', [at('a', noIngress)], 'open node a'],
    ['nothing goes: nothing is said', [at('a', open), at('b')], 'unknown HR-PRB-022'],
  ])('%s', (_what, dialed, expected) => {
    const found = judgeNetwork(dialed);
    const words = found.kind === 'shut' ? `shut ${found.nodes}` : `${found.kind} ${found.problem.code} ${found.problem.found}`;
    for (const word of expected.split(' ')) expect(words).toContain(word);
    expect(words.startsWith(expected.split(' ')[0] ?? '')).toBe(true);
  });
});

describe('the loop', () => {
  let clock: FakeClock;
  let pods: CanaryPod[];
  let open_: (ip: string, port: number) => boolean;
  let dials: number;
  let told: number;
  let probe: NetworkProbe;
  let stop: AbortController;

  beforeEach(async () => {
    clock = new FakeClock();
    pods = [
      { node: 'n1', ip: '10.0.0.1' },
      { node: 'n2', ip: '10.0.0.2' },
    ];
    open_ = (_ip, port) => port === open;
    [dials, told] = [0, 0];
    const metrics = createMetrics();
    probe = createNetworkProbe({
      canaries: async () => pods,
      dial: async (ip, port) => {
        dials++;
        return open_(ip, port);
      },
      ...{ clock, metrics, measured: createProbeMetrics(metrics.registry), log: createLog({ level: 'error', write: () => undefined }) },
    });
    probe.onChange(() => void told++);
    stop = new AbortController();
    expect(probe.standing()).toEqual({ state: 'pending' });
    void probe.controller.run(stop.signal);
    await clock.advance(0);
  });
  afterEach(() => stop.abort(new Error('the test is over')));

  it('tries three ports of each canary every five minutes, and tells once', async () => {
    await clock.advance(3600_000);
    expect([probe.standing().state, dials, told]).toEqual(['passed', 13 * 6, 1]);
  });

  it('what is open for a moment only is no finding', async () => {
    open_ = () => true;
    await clock.advance(300_000);
    open_ = (_ip, port) => port === open;
    await clock.advance(10_000);
    expect([probe.standing().state, told]).toEqual(['passed', 1]);
  });

  it('what stays open is, and is shut again when it is', async () => {
    open_ = (ip, port) => port === open || ip === '10.0.0.2';
    await clock.advance(315_000);
    expect(probe.standing()).toMatchObject({
      state: 'failed',
      reason: 'ProbeFailed',
      message: expect.stringMatching(/^HR-PRB-003 .*node n2/),
    });
    open_ = (_ip, port) => port === open;
    await clock.advance(40_000);
    expect([probe.standing().state, told]).toEqual(['passed', 3]);
  });

  it('without nodes nothing is said once what was found is too old', async () => {
    pods = [];
    await clock.advance(900_000);
    await clock.advance(60_000);
    expect(probe.standing()).toMatchObject({ state: 'unknown', reason: 'NoNodes' });
    expect(told).toBe(2);
  });
});

describe('a real port', () => {
  it('takes a connection, or does not', async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expect(await takesConnection('127.0.0.1', port, systemClock)).toBe(true);
    await new Promise((resolve) => server.close(resolve));
    expect(await takesConnection('127.0.0.1', port, systemClock)).toBe(false);
  });

  it('of the canary takes connections as long as it runs, all three', async () => {
    const stop = new AbortController();
    const ended = runCanary(stop.signal);
    await expect.poll(() => takesConnection('127.0.0.1', noEgress, systemClock)).toBe(true);
    const all = await Promise.all(Object.values(PORTS).map((port) => takesConnection('127.0.0.1', port, systemClock)));
    expect(all).toEqual([true, true, true]);
    stop.abort(new Error('over'));
    expect(await ended).toBe(0);
    await expect.poll(() => takesConnection('127.0.0.1', open, systemClock)).toBe(false);
  });
});
