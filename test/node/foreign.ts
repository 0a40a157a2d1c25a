// NetworkPolicies as other people write them: what Hedgerow itself never emits, so that the verifier is tried on all of the API. Each row has pods of its own, which listen on
// all ports; everybody calls everybody. Rows hold at the same time.
import type { TestPod } from './pods.ts';
import { type Port, tcp } from './ports.ts';

export const FOREIGN = 'foreign';
export const OTHER = 'foreign-two';
export const MIXED = 'foreign-mixed';
/** Addresses outside the cluster, both of one block. */
export const GATE = '10.99.1.1';
export const ROGUE = '10.99.1.2';
const BLOCK = { ipBlock: { cidr: '10.99.1.0/24', except: [`${ROGUE}/32`] } };
const EVERY_POD = { namespaceSelector: {} };
const PAIR = { podSelector: { matchLabels: { pair: 'one' } } };

export const PORTS: readonly Port[] = [
  ...tcp(7001, 7002, 7003, 7004),
  { protocol: 'UDP', port: 7001 },
  { protocol: 'UDP', port: 7002 },
  { protocol: 'SCTP', port: 7001 },
  { protocol: 'SCTP', port: 7002 },
];
const WEB: Port = { protocol: 'TCP', port: 7001, name: 'web' };
/** A port without a name. Only in one namespace: what kube-router does with such ports would change other rows by chance. */
const NAMELESS: Port = { protocol: 'TCP', port: 7002 };

/** Where kube-router does something else than networking.k8s.io/v1 says. */
export type Deviation = {
  sentence: string;
  /** In kube-router 2.10.0, pkg/controllers/netpol/policy.go. */
  source: string;
  /** What it does, as a policy that says so. */
  actsLike: object;
  /** It does so at some of its syncs only. */
  byChance?: true;
};
export type Row = {
  name: string;
  namespace?: string;
  /** Parts of a spec; `podSelector` is the row's own. */
  specs: readonly object[];
  pods?: number;
  deviation?: Deviation;
};

const app = (name: string): object => ({ podSelector: { matchLabels: { app: name } } });
const from = (...peers: object[]): object => ({ ingress: [{ from: peers }] });
const at = (...ports: object[]): object => ({ ingress: [{ ports }] });
const outTo = (peers: object[], ...ports: object[]): object => ({ policyTypes: ['Egress'], egress: [{ to: peers, ports }] });

export const ROWS: readonly Row[] = [
  { name: 'closed', specs: [{}] },
  { name: 'open', specs: [{ ingress: [{}] }] },
  { name: 'silent', specs: [{ policyTypes: ['Egress'] }] },
  { name: 'range', specs: [at({ port: 7002, endPort: 7003 })] },
  { name: 'range-out', specs: [outTo([EVERY_POD], { port: 7001, endPort: 7002 })] },
  { name: 'udp', specs: [at({ protocol: 'UDP', port: 7001 })] },
  { name: 'all-udp', specs: [at({ protocol: 'UDP' })] },
  { name: 'sctp', specs: [at({ protocol: 'SCTP', port: 7001 })] },
  { name: 'sctp-out', specs: [outTo([EVERY_POD, BLOCK], { protocol: 'SCTP', port: 7001, endPort: 7002 })] },
  { name: 'named', specs: [at({ port: 'web' })] },
  { name: 'named-out', specs: [outTo([{ podSelector: {} }, { namespaceSelector: { matchLabels: { team: 'two' } } }], { port: 'web' })] },
  { name: 'named-udp', specs: [at({ port: 'web', protocol: 'UDP' })] },
  { name: 'both-peers', specs: [from({ namespaceSelector: { matchLabels: { team: 'two' } }, ...app('a') })] },
  { name: 'either-peer', specs: [from({ namespaceSelector: { matchLabels: { team: 'two' } } }, app('a'))] },
  { name: 'by-name', specs: [from({ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': OTHER } } })] },
  { name: 'not-in', specs: [from({ podSelector: { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['a'] }] } })] },
  {
    name: 'exists',
    specs: [
      from({
        podSelector: {
          matchExpressions: [
            { key: 'app', operator: 'Exists' },
            { key: 'tier', operator: 'DoesNotExist' },
          ],
        },
      }),
    ],
  },
  {
    name: 'sum',
    specs: [{ ingress: [{ from: [app('a')], ports: [{ port: 7001 }] }] }, { ingress: [{ from: [app('b')], ports: [{ port: 7002 }] }] }],
  },
  { name: 'block', specs: [from(BLOCK)] },
  { name: 'block-out', specs: [outTo([BLOCK], { protocol: 'UDP', port: 7001 }, { port: 7002 })] },
  { name: 'world-out', specs: [outTo([{ ipBlock: { cidr: '0.0.0.0/0', except: ['10.244.0.0/16'] } }], { port: 7001 })] },
  {
    name: 'block-pods',
    specs: [from({ ipBlock: { cidr: '0.0.0.0/0' } })],
    deviation: {
      sentence: 'an ipBlock that spans addresses of pods names those pods too; to the API it is for what is outside the cluster',
      source: 'evalIPBlockPeer: a set of addresses, whoever has them',
      actsLike: from({ ipBlock: { cidr: '0.0.0.0/0' } }, EVERY_POD),
    },
  },
  { name: 'filled', specs: [from(BLOCK, { ipBlock: { cidr: `${ROGUE}/32` } })] },
  {
    name: 'hole',
    specs: [from({ ipBlock: { cidr: `${ROGUE}/32` } }, BLOCK)],
    deviation: {
      sentence: 'an ipBlock that excepts what one before it in the same rule allows takes it away; to the API peers add up',
      source: 'evalIPBlockPeer: the blocks of a rule share one ipset, and of two like entries the later one holds',
      actsLike: from(BLOCK),
    },
  },
  {
    name: 'no-such-port',
    specs: [{ ingress: [{ from: [EVERY_POD], ports: [{ port: 'nowhere' }] }] }],
    deviation: {
      sentence: 'a named port that no pod has opens all ports to the pods of the rule; to the API it opens none',
      source: 'processIngressRules: no port resolved is taken for no port asked for',
      actsLike: from(EVERY_POD),
    },
  },
  {
    name: 'named-anywhere',
    specs: [outTo([], { port: 'web' })],
    deviation: {
      sentence:
        'a named port of an egress rule without peers is open everywhere at each number that pods of the namespace give it; to the API a pod has its own',
      source: 'processEgressRules: matchAllDestinations with namedPorts matches no destination set',
      actsLike: outTo([], { port: 7001 }, { port: 7002 }),
    },
  },
  {
    name: 'both-ways',
    pods: 2,
    specs: [{ ...from({ podSelector: {} }), policyTypes: ['Ingress', 'Egress'] }],
    deviation: {
      sentence:
        'pods of one policy for both directions may go where its ingress rules let them in; to the API egress needs a rule of its own',
      source: 'setupPodNetpolRules: the chain of such a policy is run for either direction',
      actsLike: {
        ...from({ podSelector: {} }),
        policyTypes: ['Ingress', 'Egress'],
        egress: [{ to: [{ podSelector: { matchLabels: { row: 'both-ways' } } }] }],
      },
    },
  },
  {
    name: 'mixed',
    namespace: MIXED,
    specs: [outTo([PAIR], { port: 'web' })],
    deviation: {
      sentence:
        'a named port of one pod is by chance also open at another that shares a port without a name with it; to the API a pod has its own',
      source: 'grabNamedPortFromPod: all ports of a pod share one list of addresses, to which other pods are added',
      actsLike: outTo([PAIR], { port: 7001 }),
      byChance: true,
    },
  },
];

export function foreignNamespaces(): object[] {
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: FOREIGN } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: OTHER, labels: { team: 'two' } } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: MIXED } },
  ];
}

export function foreignPods(nodes: readonly [string, string]): TestPod[] {
  const pod = (at: number, namespace: string, name: string, labels: Record<string, string>, ...declared: readonly Port[]): TestPod => ({
    name,
    namespace,
    labels,
    node: nodes[at % 2] ?? nodes[0],
    ports: PORTS,
    declared,
  });
  return [
    pod(0, FOREIGN, 'a', { app: 'a' }, WEB),
    pod(1, FOREIGN, 'b', { app: 'b', tier: 'back' }, { ...WEB, port: 7002 }),
    pod(0, OTHER, 'c', { app: 'a' }, { ...WEB, port: 7003 }),
    pod(1, OTHER, 'd', { app: 'b' }, WEB),
    pod(0, MIXED, 'with', { pair: 'one' }, WEB, NAMELESS),
    pod(1, MIXED, 'without', { pair: 'one' }, NAMELESS),
    ...ROWS.flatMap(({ name, namespace = FOREIGN, pods = 1 }, at) =>
      Array.from({ length: pods }, (_, n) =>
        pod(at + n, namespace, `${name}-${n}`, { row: name }, ...(namespace === FOREIGN ? [WEB] : [])),
      ),
    ),
  ];
}

export function foreignPolicies(): object[] {
  return ROWS.flatMap(({ name, namespace = FOREIGN, specs }) =>
    specs.map((spec, at) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: policyName(name, at), namespace },
      spec: specOf(name, spec),
    })),
  );
}

export type Exception = { namespace: string; policy: string; spec: object; deviation: Deviation };

/** The rows where kube-router deviates, with the spec that says what it does. */
export function exceptions(): Exception[] {
  return ROWS.flatMap(({ name, namespace = FOREIGN, deviation }) =>
    deviation === undefined ? [] : [{ namespace, policy: policyName(name, 0), spec: specOf(name, deviation.actsLike), deviation }],
  );
}

const policyName = (row: string, at: number): string => `${row}-${at}`;
const specOf = (row: string, spec: object): object => ({ podSelector: { matchLabels: { row } }, ...spec });
