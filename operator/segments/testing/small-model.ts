// Every set of conduits between three segments, read twice: what the policies mean (operator/reach, from the sentences), and what the NetworkPolicies that are made of them allow
// (operator/reach again, which evaluates NetworkPolicies and knows no SegmentPolicy). Between the two stands everything in this room.
import type { SegmentPolicySpec } from '../../api/segment-policy.ts';
import { createIntent, reachOf } from '../../reach/reach.ts';
import { buildModel, type Model } from '../model.ts';
import { denyPolicy, type NetworkPolicy, networkPoliciesOf, quarantinePolicy, siteDeny } from '../networkpolicy.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const ZONES = [
  { namespace: 'x', name: 'a' },
  { namespace: 'x', name: 'b' },
  { namespace: 'y', name: 'c' },
] as const;
/** What the administrators of the namespaces allow. y is a site too. */
const MAX_TRUST: Readonly<Record<string, number>> = { x: 4, y: 3 };
const TRUSTS = [
  [2, 3, 2],
  [1, 4, 3],
  [3, 0, 2],
  [0, 3, 3],
  [2, 3, 4],
] as const;
const ENDS = [undefined, '2027-01-01T00:00:00Z', '2026-11-26T12:00:00Z', undefined, '2026-11-26T12:00:01Z'];
type Ports = { protocol: 'TCP' | 'UDP'; port: number }[];
/** Of what is asked and what is accepted two ports are the same. */
const ASKED: Ports = [
  { protocol: 'TCP', port: 80 },
  { protocol: 'UDP', port: 53 },
  { protocol: 'TCP', port: 22 },
];
const ACCEPTED: Ports = [
  { protocol: 'TCP', port: 443 },
  { protocol: 'TCP', port: 80 },
  { protocol: 'UDP', port: 53 },
];
const PORTS = ['TCP 22', 'TCP 53', 'TCP 80', 'TCP 443', 'UDP 53'];
const BROKER = { port: 8883, peers: [{ namespace: 'emqx' }] };
const QUARANTINED = 'q1';

/** 9 ordered pairs of segments: one bit each. */
export const SUBSETS = 512;
/** Whether members reach each other, and whether every conduit is accepted or two of three. */
const VARIANTS = 4;

type Policy = { key: string; namespace: string; name: string; spec: SegmentPolicySpec };

function policiesOf(subset: number, variant: number): Policy[] {
  const trusts = TRUSTS[(subset + variant) % TRUSTS.length] ?? TRUSTS[0];
  const has = (from: number, to: number): boolean => ((subset >> (from * 3 + to)) & 1) === 1;
  const isAccepted = (from: number, to: number): boolean => variant < 2 || (subset + from + 2 * to) % 3 !== 0;
  return ZONES.map(({ namespace, name }, i) => ({
    key: `${namespace}/${name}`,
    namespace,
    name,
    spec: {
      trust: trusts[i] as SegmentPolicySpec['trust'],
      intraSegment: variant % 2 === 0 ? 'Isolated' : 'Allow',
      egress: 'Aggregates',
      mode: 'Enforce',
      workloads: [{ podSelector: { matchLabels: { app: name } } }],
      conduits: ZONES.flatMap((to, j) => {
        const expires = ENDS[(subset + 3 * i + j) % ENDS.length];
        const conduit = {
          name: `to-${to.name}`,
          to: { namespace: to.namespace, segment: to.name },
          ports: ASKED,
          justification: (subset + j) % 2 === 0 ? 'because' : '',
          ...(expires === undefined ? {} : { expires }),
        };
        return has(i, j) ? [conduit] : [];
      }),
      acceptFrom: ZONES.flatMap((from, j) =>
        has(j, i) && isAccepted(j, i) ? [{ namespace: from.namespace, segment: from.name, ports: ACCEPTED }] : [],
      ),
    },
  }));
}

const PODS = [
  { namespace: 'x', name: 'a', labels: { app: 'a' } },
  { namespace: 'x', name: 'a2', labels: { app: 'a' } },
  { namespace: 'x', name: 'b', labels: { app: 'b' } },
  { namespace: 'x', name: QUARANTINED, labels: { app: 'b', 'hedgerow.dev/device': QUARANTINED } },
  { namespace: 'x', name: 'free', labels: { app: 'free' } },
  { namespace: 'y', name: 'c', labels: { app: 'c' } },
  { namespace: 'y', name: 'lone', labels: { app: 'lone' } },
];
const POD_OBJECTS = PODS.map(({ namespace, name, labels }) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace, name, labels },
  spec: { containers: [{ name: 'c' }] },
}));
const NAMESPACE_OBJECTS = Object.entries(MAX_TRUST).map(([name, trust]) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'hedgerow.dev/max-trust': String(trust), ...(name === 'y' ? { 'hedgerow.dev/site': '' } : {}) } },
}));
const DEVICE_OBJECT = {
  apiVersion: 'hedgerow.dev/v1alpha1',
  kind: 'Device',
  metadata: { namespace: 'x', name: QUARANTINED },
  spec: { segment: 'b', lifecycle: 'Quarantined' },
};
const PAIRS = PODS.flatMap((from) => PODS.flatMap((to) => (from === to ? [] : [[textOf(from), textOf(to)] as const])));

function textOf({ namespace, name }: (typeof PODS)[number]): string {
  return `${namespace}/${name}[Pod]`;
}

const manifests = (objects: readonly unknown[]) => objects.map((object) => ({ source: 'small model', object }));

/** `from -> to TCP 80` for everything that the policies mean to allow. */
function meant(policies: readonly Policy[]): Set<string> {
  const objects = policies.map(({ namespace, name, spec }) => ({
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'SegmentPolicy',
    metadata: { namespace, name },
    spec,
  }));
  const intent = createIntent(manifests([...objects, ...POD_OBJECTS, ...NAMESPACE_OBJECTS, DEVICE_OBJECT]), NOW);
  const can = (from: string, to: string, port: string): boolean => intent.can({ pods: from }, { pods: to }, { port }).allowed;
  return new Set(PAIRS.flatMap(([from, to]) => PORTS.filter((port) => can(from, to, port)).map((port) => `${from} -> ${to} ${port}`)));
}

/** What this room makes of them. */
export function emitted(subset: number, variant: number): NetworkPolicy[] {
  const policies = policiesOf(subset, variant).map((policy) => ({ ...policy, generation: 1 }));
  const model = buildModel({
    policies,
    maxTrust: (namespace) => MAX_TRUST[namespace],
    pods: (namespace) => PODS.filter((pod) => pod.namespace === namespace),
    now: NOW,
  });
  const shut = (namespace: string): string[] => (namespace === 'x' ? [QUARANTINED] : []);
  return [
    ...[...model.verdicts.values()].flatMap((verdict) => madeOf(verdict, model, shut)),
    siteDeny('y'),
    quarantinePolicy('x', [QUARANTINED], BROKER),
  ];
}

type Verdict = Model['verdicts'] extends ReadonlyMap<string, infer V> ? V : never;

function madeOf({ key, segment, shut: selectors }: Verdict, model: Model, shut: (namespace: string) => string[]): NetworkPolicy[] {
  const [namespace = '', name = ''] = key.split('/');
  if (segment === undefined) return selectors.map((selector) => denyPolicy(namespace, name, selector));
  return networkPoliciesOf(segment, model, BROKER, shut(namespace));
}

/** `from -> to TCP 80` for everything that these NetworkPolicies allow. */
export function allowedBy(policies: readonly unknown[]): Set<string> {
  const { connections } = reachOf(manifests([...policies, ...POD_OBJECTS, ...NAMESPACE_OBJECTS]));
  return new Set(
    connections.flatMap(({ from, to, connections: open }) =>
      PORTS.filter((port) => {
        const [protocol = '', number = ''] = port.split(' ');
        const ranges = open.get(protocol as 'TCP' | 'UDP') ?? [];
        return ranges.some(([first, last]) => first <= Number(number) && Number(number) <= last);
      }).map((port) => `${from.text} -> ${to.text} ${port}`),
    ),
  );
}

const EVERYTHING = PAIRS.flatMap(([from, to]) => PORTS.map((port) => `${from} -> ${to} ${port}`));

export type Comparison = { models: number; allowed: number; different: string[] };

/** Every model, or every `step`th. The first few differences by name. */
export function compare(step = 1): Comparison {
  const found: Comparison = { models: 0, allowed: 0, different: [] };
  for (let i = 0; i < SUBSETS * VARIANTS; i += step) {
    const [subset, variant] = [Math.floor(i / VARIANTS), i % VARIANTS];
    const [want, have] = [meant(policiesOf(subset, variant)), allowedBy(emitted(subset, variant))];
    found.models++;
    found.allowed += want.size;
    const wrong = EVERYTHING.filter((line) => want.has(line) !== have.has(line));
    for (const line of wrong)
      if (found.different.length < 5)
        found.different.push(`model ${subset}.${variant}: ${line}: ${want.has(line) ? 'meant' : 'not meant'}`);
  }
  return found;
}
