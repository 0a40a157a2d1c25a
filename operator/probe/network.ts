// When the network is tried, and who is told. The canaries are pods of the chart, one a node; the operator makes none and needs no right for them but to see pods.
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController } from '../runtime/controller.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Outcome } from '../runtime/outcome.ts';
import { type Dialed, judgeNetwork, type NetworkFinding, type NetworkState, networkStandingOf, PORTS } from './network-decide.ts';
import type { ProbeMetrics } from './probe-metrics.ts';
import type { Standing } from './standing.ts';

export type CanaryPod = { node: string; ip: string };

export type NetworkDeps = {
  /** The canaries that are Ready. */
  canaries(signal: AbortSignal): Promise<readonly CanaryPod[]>;
  dial(host: string, port: number): Promise<boolean>;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  measured: ProbeMetrics;
};

export type NetworkProbe = { standing(): Standing; onChange(listener: () => void): void; controller: Controller };

const EVERY_MS = 300_000;
const AGAIN_MS = 30_000;
/** A pod may take connections for a moment before its policies are in place (k3s-io/k3s#13432): what is open must be open for longer. */
const SECOND_LOOK_MS = 10_000;
const AT_ONCE = 16;
/** 500 nodes, where every refusal is silence: 2 minutes. */
const LONGEST_MS = 300_000;

export function createNetworkProbe(deps: NetworkDeps): NetworkProbe {
  const { clock, log } = deps;
  const state: NetworkState = { startedAtMs: clock.elapsed(), tried: undefined, stopped: undefined };
  const listeners: (() => void)[] = [];
  let told = '';

  async function look(signal: AbortSignal): Promise<NetworkFinding> {
    const pods = await deps.canaries(signal);
    const dialed: Dialed[] = [];
    for (let i = 0; i < pods.length; i += AT_ONCE) dialed.push(...(await Promise.all(pods.slice(i, i + AT_ONCE).map(dialAll))));
    return judgeNetwork(dialed);
  }

  async function dialAll({ node, ip }: CanaryPod): Promise<Dialed> {
    const ports = Object.values(PORTS);
    const taken = await Promise.all(ports.map((port) => deps.dial(ip, port)));
    return { node, connected: new Set(ports.filter((_port, i) => taken[i])) };
  }

  async function reconcile(signal: AbortSignal): Promise<Outcome> {
    let found = await look(signal);
    if (found.kind === 'open') {
      await clock.sleep(SECOND_LOOK_MS, signal);
      found = await look(signal);
    }
    note(found);
    tell();
    return { kind: 'requeue', afterMs: found.kind === 'shut' ? EVERY_MS : AGAIN_MS, reason: 'level-triggered' };
  }

  function note(found: NetworkFinding): void {
    const atMs = clock.elapsed();
    if (found.kind === 'unknown') {
      state.stopped = { atMs, problem: found.problem };
      deps.measured.ended('network', 'incomplete', 0, clock.now());
      log.warn({ code: found.problem.code, found: found.problem.found }, 'the network could not be probed; it is tried again');
      return;
    }
    const open = found.kind === 'open' ? found.problem : undefined;
    state.tried = { atMs, open, nodes: found.kind === 'shut' ? found.nodes : 0 };
    state.stopped = undefined;
    deps.measured.ended('network', open === undefined ? 'passed' : 'failed', open === undefined ? 0 : 1, clock.now());
    if (open !== undefined) log.error({ code: open.code, found: open.found }, 'the network does not enforce NetworkPolicies');
    else log.debug({ nodes: state.tried.nodes }, 'the network enforces NetworkPolicies');
  }

  function tell(): void {
    const standing = networkStandingOf(state, clock.elapsed());
    const words = standing.state === 'pending' ? told : `${standing.reason} ${standing.message}`;
    if (words === told) return;
    told = words;
    for (const listener of listeners) listener();
  }

  const controller = createController({
    ...{ name: 'network-probe', concurrency: 1, clock, log, metrics: deps.metrics, timeoutMs: LONGEST_MS },
    reconcile: (_key, ctx) => reconcile(ctx.signal),
  });
  controller.queue.add('network');
  return {
    standing: () => networkStandingOf(state, clock.elapsed()),
    onChange: (listener) => void listeners.push(listener),
    controller,
  };
}
