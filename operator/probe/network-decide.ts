// What connections between pods say of the network's fence. Pure: no clock, no I/O.
import { explain, type Problem } from './errors.ts';
import { FRESH_MS, START_MS, type Standing } from './standing.ts';

/** One canary of a node, and which of its ports took a connection of the operator's. */
export type Dialed = { node: string; connected: ReadonlySet<number> };

/** Ports on which every canary listens, in one process: what differs is what NetworkPolicies say of them (charts/hedgerow/templates/canary.yaml). */
export const PORTS = {
  /** Allowed on both sides: it has to be reached, or a refusal of the others means nothing. */
  open: 7001,
  /** Not in the ingress of the canary. */
  noIngress: 7002,
  /** Not in the egress of the operator. */
  noEgress: 7003,
} as const;

export type NetworkState = {
  startedAtMs: number;
  tried: { atMs: number; open: Problem | undefined; nodes: number } | undefined;
  stopped: { atMs: number; problem: Problem } | undefined;
};

/** Something that was open; or how many nodes hold; or why nothing can be said. */
export type NetworkFinding = { kind: 'open'; problem: Problem } | { kind: 'shut'; nodes: number } | { kind: 'unknown'; problem: Problem };

export function judgeNetwork(dialed: readonly Dialed[]): NetworkFinding {
  if (dialed.length === 0) return { kind: 'unknown', problem: { code: 'HR-PRB-021' } };
  const open = dialed.filter(({ connected }) => connected.has(PORTS.noIngress) || connected.has(PORTS.noEgress));
  const [first] = open;
  if (first !== undefined) {
    const side = first.connected.has(PORTS.noIngress) ? 'the ingress of its pod' : 'the egress of the operator';
    const others = open.length === 1 ? '' : ` and ${open.length - 1} more`;
    return {
      kind: 'open',
      problem: { code: 'HR-PRB-003', found: `the canary on node ${first.node}${others} takes a connection that ${side} denies` },
    };
  }
  const unreached = dialed.filter(({ connected }) => !connected.has(PORTS.open)).map(({ node }) => node);
  if (unreached.length > 0)
    return {
      kind: 'unknown',
      problem: {
        code: 'HR-PRB-022',
        found: `the canary on node ${unreached[0]}${unreached.length === 1 ? '' : ` and ${unreached.length - 1} more`} does not take a connection that is allowed`,
      },
    };
  return { kind: 'shut', nodes: new Set(dialed.map(({ node }) => node)).size };
}

export function networkStandingOf({ startedAtMs, tried, stopped }: NetworkState, nowMs: number): Standing {
  if (tried !== undefined && nowMs - tried.atMs < FRESH_MS) {
    if (tried.open !== undefined) return { state: 'failed', reason: 'ProbeFailed', message: explain(tried.open) };
    return SHUT;
  }
  if (nowMs < startedAtMs + START_MS) return { state: 'pending' };
  if (stopped === undefined) return { state: 'unknown', reason: 'ProbeStale', message: explain({ code: 'HR-PRB-014' }) };
  const reason = stopped.problem.code === 'HR-PRB-021' ? 'NoNodes' : 'ProbeIncomplete';
  return { state: 'unknown', reason, message: explain(stopped.problem) };
}

// Without the number of nodes: it changes, and nothing of what is said here does.
const SHUT: Standing = {
  state: 'passed',
  reason: 'Probed',
  message:
    "tried in the network: on every node with a canary, a connection that its NetworkPolicy denies fails and one that it allows does not, and what the operator's own denies fails too. Not tried: the pods and policies of this segment themselves",
};

export const NETWORK_NOT_CONFIGURED: Standing = { state: 'unknown', reason: 'NetworkNotProbed', message: explain({ code: 'HR-PRB-020' }) };
