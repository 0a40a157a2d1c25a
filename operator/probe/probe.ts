// The door of the probe room: whether the broker enforces what it was told, shown by packets of a client of the operator's own (docs/adr/0025-probe.md).
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { PODS } from '../api/resources.ts';
import { CANARY } from '../broker/broker.ts';
import type { OwnCertificate } from '../identity/identity.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { runCanary as canaryServer } from './canary-server.ts';
import { takesConnection } from './dial.ts';
import type { ProbeCode } from './errors.ts';
import { createLoop, type Loop, type LoopDeps } from './loop.ts';
import type { Target } from './mqtt.ts';
import { createNetworkProbe, type NetworkProbe as NetworkProbePart } from './network.ts';
import { NETWORK_NOT_CONFIGURED } from './network-decide.ts';
import { type ProbeMetrics as ProbeMetricsPart, createProbeMetrics as probeMetrics } from './probe-metrics.ts';
import type { Question } from './questions.ts';
import { type Run, run } from './run.ts';
import { NOT_CONFIGURED, type Standing } from './standing.ts';

export type { Standing } from './standing.ts';

export type ProbeDeps = Omit<LoopDeps, 'ask'> & {
  /** Where devices reach the broker; `caFile`: by what the canary knows it (default: the system's CAs). */
  target: Target;
  caFile: string | undefined;
  /** A certificate for CANARY as client and segment. Rejects with a sentence. */
  certificate(signal: AbortSignal): Promise<OwnCertificate>;
};

export type Probe = Loop & {
  /** Whether a client that calls itself the canary is the one of this process, by the MD5 of its certificate. */
  isCanary(md5: string): boolean;
};

/** Of every segment, where nobody said how to reach the broker; of the network, where there are no canaries. */
export const notProbed = (): Standing => NOT_CONFIGURED;
export const networkNotProbed = (): Standing => NETWORK_NOT_CONFIGURED;

/** One of a process, for both. */
export const createProbeMetrics = probeMetrics;
export type ProbeMetrics = ProbeMetricsPart;

/** For `operator canary`, a process of its own. */
export const runCanary = canaryServer;

/** A certificate is replaced this long before it ends. */
const RENEW_BEFORE_MS = 3600_000;

export function createProbe(deps: ProbeDeps): Probe {
  const { clock, text, rights, metrics, measured } = deps;
  let own: OwnCertificate | undefined;

  async function ask(questions: readonly Question[], signal: AbortSignal): Promise<Run> {
    let code: ProbeCode = 'HR-PRB-011';
    try {
      const { certificate: chain, key } = await certificate(signal);
      code = 'HR-PRB-012';
      const ca = deps.caFile === undefined ? undefined : await readFile(deps.caFile, 'utf8');
      const credentials = { ca, certificate: chain, key, clientId: CANARY };
      return await run(questions, { target: deps.target, credentials, nonce: randomBytes(16).toString('hex'), clock }, signal);
    } catch (error) {
      return { ended: false, problem: { code, found: error instanceof Error ? error.message : String(error) } };
    }
  }

  async function certificate(signal: AbortSignal): Promise<OwnCertificate> {
    if (own === undefined || own.notAfterMs - clock.now() < RENEW_BEFORE_MS) own = await deps.certificate(signal);
    return own;
  }

  const loop = createLoop({ ask, text, rights, clock, metrics, measured, log: deps.log.child({ room: 'probe' }) });
  return { ...loop, isCanary: (md5) => own?.md5 === md5 };
}

export type NetworkProbe = NetworkProbePart;
export type NetworkProbeDeps = Pick<ProbeDeps, 'clock' | 'log' | 'metrics' | 'measured'> & {
  client: Pick<KubeClient, 'list'>;
  /** Where the canaries are, and the label by which they are known. */
  namespace: string;
  selector: string;
};

type Pod = KubeObject & {
  spec?: { nodeName?: string };
  status?: { podIP?: string; conditions?: { type: string; status: string }[] };
};

/** Whether the network keeps pods from what NetworkPolicies deny, on the nodes where canaries run. */
export function createNetworkCanaries({ client, namespace, selector, ...shared }: NetworkProbeDeps): NetworkProbe {
  return createNetworkProbe({
    ...shared,
    log: shared.log.child({ room: 'probe' }),
    dial: (host, port) => takesConnection(host, port, shared.clock),
    async canaries(signal) {
      const pods = await client.list<Pod>(PODS, { namespace, labelSelector: selector }, signal);
      return pods.flatMap(({ metadata, spec, status }) => {
        const isReady = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
        const ip = status?.podIP;
        return isReady && ip !== undefined && metadata.deletionTimestamp === undefined ? [{ node: spec?.nodeName ?? '', ip }] : [];
      });
    },
  });
}
