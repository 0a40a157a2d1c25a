// Who may reach whom in a large fleet: by ports and topics as the policies mean it, by ports as the NetworkPolicies made of them allow it, and by topics as the broker's own text lets it,
// which the operator would send for them and which is read back.
// The reference of a full answer is to ask device by device, measured on a part of the pairs; that of one changed policy is to start anew.
import { type BrokerRead, createIntent, type Intent, type Manifest, type PairCount, reachOf } from '../../operator/reach/reach.ts';
import type { PolicyFacts } from '../../operator/segments/model.ts';
import type { Bench, Figure } from './figure.ts';
import { heapMiB } from './heap.ts';
import { aclOf, deviceManifests, manifestsOf, networkManifests, policyManifest, verifyPolicies } from './verify-fleet.ts';

const DEVICES = 10_000;
const SEGMENTS = 50;
const ROUNDS = 5;
const CHANGES = 20;

export const verifyBench: Bench = {
  name: 'verify',
  about: `${DEVICES} Devices (--n N) in ${SEGMENTS} segments: who may reach whom, and again after a change of one policy`,
  async *run({ n = DEVICES, rounds = ROUNDS, progress }) {
    const policies = verifyPolicies(SEGMENTS);
    const manifests = manifestsOf([...policies.map(policyManifest), ...deviceManifests(policies, n)]);
    const network = manifestsOf(networkManifests(policies));
    progress(`${manifests.length} manifests, ${network.length} pods and NetworkPolicies, the median of ${rounds}`);
    const heapBefore = heapMiB();
    const acl = aclOf(policies);
    const first = full(manifests, network, acl);
    const { intent, count } = first;
    if (count.segments !== SEGMENTS || count.devices !== n) throw new Error(`read ${count.devices} Devices of ${count.segments} segments`);
    yield { figure: 'memory', value: heapMiB() - heapBefore, unit: 'MiB', n };
    yield { figure: 'rss', value: process.memoryUsage().rss / 2 ** 20, unit: 'MiB', n };
    const runs = Array.from({ length: rounds }, () => timesOf(full(manifests, network, acl)));
    const each = deviceByDevice(intent, policies[0] as PolicyFacts, n);
    yield {
      ...{
        figure: 'full',
        value: median(runs.map(({ intentMs, networkMs, brokerMs }) => intentMs + networkMs + brokerMs)) / 1000,
        unit: 's',
        n,
      },
      ...{ reference: 'asked device by device, from one of them', referenceValue: (each * n) / 1000 },
    };
    yield { figure: 'full-policies', value: median(runs.map(({ intentMs }) => intentMs)) / 1000, unit: 's', n };
    yield { figure: 'full-network', value: median(runs.map(({ networkMs }) => networkMs)) / 1000, unit: 's', n };
    yield { figure: 'full-broker', value: median(runs.map(({ brokerMs }) => brokerMs)) / 1000, unit: 's', n };
    yield* pairs(count, first.connections);
    yield { figure: 'ways-by-broker', value: first.ways, unit: 'pairs', n: SEGMENTS };
    yield* changes(intent, policies, manifests, n);
  },
};

type Full = { intent: Intent; count: PairCount; connections: number; ways: number; intentMs: number; networkMs: number; brokerMs: number };

function full(manifests: readonly Manifest[], network: readonly Manifest[], acl: BrokerRead): Full {
  const [{ intent, count }, intentMs] = timed(() => {
    const made = createIntent(manifests, 0);
    return { intent: made, count: made.pairs() };
  });
  const [{ connections }, networkMs] = timed(() => reachOf(network));
  const [ways, brokerMs] = timed(() => waysAt(intent, acl));
  return { intent, count, connections: connections.length, ways, intentMs, networkMs, brokerMs };
}

/** Pairs of segments of which the one hears the other at the broker; the text and the policies have to say the same. */
function waysAt(intent: Intent, acl: BrokerRead): number {
  const fleet = intent.atBroker(acl);
  const ways = fleet.ways();
  const [foreign] = ways.filter(({ meant, unsure }) => unsure || !meant);
  if (foreign !== undefined) throw new Error(`${foreign.from} -> ${foreign.to}: the broker lets it through, and no policy`);
  const waiting = fleet.pending()[0] ?? fleet.notInForce()[0];
  if (waiting !== undefined) throw new Error(`not in force at the broker: ${JSON.stringify(waiting)}`);
  return ways.length;
}

/** Without the answers, which would stay in memory. */
const timesOf = ({ intentMs, networkMs, brokerMs }: Full) => ({ intentMs, networkMs, brokerMs });

function* pairs(count: PairCount, connections: number): Iterable<Figure> {
  for (const [name, value] of [['by-ports', count.byPorts] as const, ['by-topics', count.byTopics] as const, ['any', count.any] as const])
    yield { figure: `pairs-${name}`, value, unit: 'pairs', n: count.devices };
  yield { figure: 'connections-of-networkpolicies', value: connections, unit: 'pairs', n: SEGMENTS };
}

/** Milliseconds of asking for every other device from one. What comes of it must be what was counted. */
function deviceByDevice(intent: Intent, { namespace, name }: PolicyFacts, n: number): number {
  const devices = intent.devices();
  const from = devices.find(({ segment }) => segment === `${namespace}/${name}`);
  if (from === undefined) throw new Error(`nobody is in ${namespace}/${name}`);
  const [allowed, ms] = timed(
    () => devices.filter(({ key }) => key !== from.key && intent.can({ device: from.key }, { device: key }).allowed).length,
  );
  const counted = intent.edges(from.key).reduce((sum, { devicePairs }) => sum + devicePairs, 0);
  if (allowed !== counted || allowed === 0) throw new Error(`${from.key} may reach ${allowed} of ${n} devices, ${counted} were counted`);
  return ms;
}

/** One policy after another loses a conduit and gets it back, with the NetworkPolicies that follow from it. */
function* changes(intent: Intent, policies: readonly PolicyFacts[], manifests: readonly Manifest[], n: number): Iterable<Figure> {
  const spent: number[] = [];
  const before = intent.pairs();
  let anewMs = 0;
  for (let at = 0; at < CHANGES; at += 1) {
    const policy = policies[at] as PolicyFacts;
    const changed = { ...policy, spec: { ...policy.spec, conduits: (policy.spec.conduits ?? []).slice(1) } };
    const network = manifestsOf(networkManifests(policies.map((one) => (one === policy ? changed : one))));
    const acl = aclOf(policies.map((one) => (one === policy ? changed : one)));
    const [count, ms] = timed(() => {
      intent.change(policyManifest(changed));
      reachOf(network);
      waysAt(intent, acl);
      return intent.pairs();
    });
    spent.push(ms);
    if (count.byPorts >= before.byPorts) throw new Error(`a conduit less, and ${count.byPorts} pairs instead of ${before.byPorts}`);
    if (at === 0) {
      const anew = full([...manifestsOf([policyManifest(changed)]), ...manifests.filter((_, index) => index !== at)], network, acl);
      anewMs = anew.intentMs + anew.networkMs + anew.brokerMs;
      if (JSON.stringify(anew.count) !== JSON.stringify(count))
        throw new Error(`a new start counts ${JSON.stringify(anew.count)}, not ${JSON.stringify(count)}`);
    }
    intent.change(policyManifest(policy));
    if (JSON.stringify(intent.pairs()) !== JSON.stringify(before)) throw new Error('it is not as before');
  }
  const common = { unit: 's', n, reference: 'a new start', referenceValue: anewMs / 1000 };
  yield { figure: 'incremental', value: median(spent) / 1000, ...common };
  yield { figure: 'incremental-slowest', value: Math.max(...spent) / 1000, ...common };
}

function timed<T>(work: () => T): [T, number] {
  const startedAt = performance.now();
  const result = work();
  return [result, performance.now() - startedAt];
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
