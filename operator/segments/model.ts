// All SegmentPolicies -> one plain model of who may reach whom. Every emitter (NetworkPolicies, topic rights) starts from it. Pure: no I/O, no clock.

import type { GatewaySegment } from '../api/gateway-config.ts';
import type { Labels } from '../api/label-selector.ts';
import { segmentName } from '../api/names.ts';
import type { AcceptFrom, Conduit, LabelSelector, SegmentPolicySpec } from '../api/segment-policy.ts';
import type { SegmentRights } from '../broker/broker.ts';
import { type Key, keyOfRef } from '../kube/object.ts';
import { type Accepted, accept } from './accept.ts';
import type { Finding } from './errors.ts';
import { gatewayFieldsOf, gatewaySegmentOf } from './gateway-segment.ts';
import { type RawEgress, rawEgressOf, withholdRaw } from './raw-egress.ts';
import { canonicalJson, canonicalSelector, selectsEverything } from './selector.ts';
import { sharedPods } from './shared-pods.ts';
import { type Borrowed, borrow, marketOf, type Owner, rises, type TopicMarket } from './topics.ts';

export type PolicyFacts = {
  key: Key;
  name: string;
  namespace: string;
  generation: number;
  spec: SegmentPolicySpec;
  /** The last spec that was accepted with mode: Enforce, as the status remembers it. */
  lastGood?: { generation: number; spec: SegmentPolicySpec };
};

export type ModelInput = {
  policies: Iterable<PolicyFacts>;
  /** Highest trust that a namespace allows; -1 when its label cannot be read, `undefined` while the namespace is not known. */
  maxTrust: (namespace: string) => number | undefined;
  /** The pods of a namespace; asked for namespaces with several segments that have workloads. */
  pods: (namespace: string) => Iterable<{ labels: Labels }>;
  /** ms since the epoch. */
  now: number;
};

export type Port = { protocol: 'TCP' | 'UDP' | 'SCTP'; port: number };

/** One direction, initiator to target; replies are implied. */
export type Flow = { conduit: string; from: Key; to: Key; ports: Port[] };
export type OutsideFlow = { conduit: string; cidr: string; ports: Port[] };

/** SchemaViolated: spec.payload.onViolation says so. */
export type Trigger = NonNullable<NonNullable<SegmentPolicySpec['quarantine']>['triggers']>[number] | 'SchemaViolated';

/** A segment as it is in force. */
export type Segment = {
  key: Key;
  name: string;
  namespace: string;
  generation: number;
  trust: number;
  workloads: LabelSelector[];
  /** Whether members may reach each other. */
  open: boolean;
  /** What one device may use, as the spec in force says it. */
  limits: SegmentPolicySpec['limits'];
  /** What sends one device to quarantine without a person. */
  triggers: readonly Trigger[];
  /** What its devices do, for reports. */
  purpose?: string;
  /** What the gateway of the site does for it. */
  gateway: GatewaySegment;
  /** What only a gateway keeps of it, in words. */
  gatewayFields: readonly string[];
  /** Whether and until when raw data may leave; absent where the policy does not say so. */
  raw?: RawEgress;
  rights: SegmentRights;
  outgoing: Flow[];
  incoming: Flow[];
  outside: OutsideFlow[];
};

export type Verdict = {
  key: Key;
  /** Why the spec as written is not in force. */
  refused: Finding[];
  /** The current spec is not to be applied, whether it is good or not. */
  audited: boolean;
  /** The current spec, or the last good one, or nothing: then the segment has no rights and no flows. */
  segment?: Segment;
  /** Conduits and topics of other segments that are written and not, or not wholly, in force. */
  missing: Finding[];
  /** Topics of all segments that only some of their owners grant: a sentence each. */
  partly: string[];
  /** Names of conduits whose time is over. */
  expired: string[];
  conflictsWith: Key[];
  /** Pods that are shut though nothing is in force: a refused policy closes, it never opens. Empty when `segment` is there. */
  shut: LabelSelector[];
  /** When the next conduit of it ends. */
  nextExpiry?: number;
};

export type Model = {
  verdicts: ReadonlyMap<Key, Verdict> /** The earliest instant after `now` at which the model changes by itself. */;
  nextExpiry?: number;
  /** What would be in force if every policy with mode: Audit were enforced; absent when there is none. Nothing of it is applied. */
  trial?: Model;
};

export function buildModel(input: ModelInput): Model {
  const policies = [...input.policies];
  const model = build({ ...input, policies });
  if (!policies.some(({ spec }) => spec.mode === 'Audit')) return model;
  const trial = build({ ...input, policies: policies.map((policy) => ({ ...policy, spec: { ...policy.spec, mode: 'Enforce' } })) });
  const ends = [model, trial].flatMap(({ nextExpiry }) => (nextExpiry === undefined ? [] : [nextExpiry]));
  return { ...model, trial, ...(ends.length === 0 ? {} : { nextExpiry: Math.min(...ends) }) };
}

function build(input: ModelInput): Model {
  const standings = new Map<Key, Standing>();
  for (const policy of [...input.policies].sort(byKey)) standings.set(policy.key, standingOf(policy, input.maxTrust(policy.namespace)));
  const owners = [...standings.values()].flatMap(ownerOf);
  const market = marketOf(owners, (key) => standings.has(key));
  const all: All = { standings, conflicts: conflictsOf(standings, input), market, now: input.now };
  const verdicts = new Map<Key, Verdict>();
  for (const standing of standings.values()) verdicts.set(standing.key, verdictOf(standing, all));
  for (const verdict of verdicts.values())
    for (const flow of verdict.segment?.outgoing ?? []) verdicts.get(flow.to)?.segment?.incoming.push(flow);
  withholdRaw(verdicts);
  const ends = [...verdicts.values()].flatMap(({ nextExpiry }) => (nextExpiry === undefined ? [] : [nextExpiry]));
  return { verdicts, ...(ends.length === 0 ? {} : { nextExpiry: Math.min(...ends) }) };
}

/** What a segment's devices may do at the broker, for every segment that is in force, by name. */
export function rightsOf(model: Model): SegmentRights[] {
  return [...model.verdicts.values()].flatMap(({ segment }) => (segment === undefined ? [] : [segment.rights]));
}

/** A policy by itself: which of its texts holds. */
type Standing = {
  key: Key;
  name: string;
  namespace: string;
  refused: Finding[];
  audited: boolean;
  inForce?: InForce;
  shut: LabelSelector[];
};
type InForce = { generation: number; spec: SegmentPolicySpec; accepted: Accepted; trust: number; workloads: LabelSelector[] };
type All = { standings: ReadonlyMap<Key, Standing>; conflicts: ReadonlyMap<Key, Key[]>; market: TopicMarket; now: number };

function standingOf(policy: PolicyFacts, maxTrust: number | undefined): Standing {
  const { key, name, namespace } = policy;
  const audited = policy.spec.mode === 'Audit';
  const now = accept(policy, maxTrust);
  const standing = (text: { generation: number; spec: SegmentPolicySpec }, accepted: Accepted, refused: Finding[]): Standing => {
    const { generation, spec } = text;
    return {
      key,
      name,
      namespace,
      refused,
      audited,
      shut: [],
      inForce: { generation, spec, accepted, trust: spec.trust ?? 2, workloads: workloadsOf(spec) },
    };
  };
  if ('accepted' in now && !audited) return standing(policy, now.accepted, []);
  const refused = 'refused' in now ? now.refused : [];
  // The last good text must still be allowed: when the administrator lowers the trust of a namespace, what was good before is not good any more.
  // One that says Audit was never enforced, whoever wrote it there.
  const before =
    policy.lastGood === undefined || policy.lastGood.spec.mode === 'Audit'
      ? undefined
      : accept({ name, namespace, spec: policy.lastGood.spec }, maxTrust);
  if (policy.lastGood !== undefined && before !== undefined && 'accepted' in before)
    return standing(policy.lastGood, before.accepted, refused);
  // A text that is only audited shuts nothing either; what was enforced before stays shut.
  const texts = [...(audited ? [] : [policy.spec]), ...(policy.lastGood === undefined ? [] : [policy.lastGood.spec])];
  return { key, name, namespace, refused, audited, shut: distinct(texts.flatMap(workloadsOf)) };
}

function conflictsOf(standings: ReadonlyMap<Key, Standing>, input: ModelInput): Map<Key, Key[]> {
  const byNamespace = Map.groupBy(
    [...standings.values()].flatMap(({ key, namespace, inForce }) =>
      inForce === undefined || inForce.workloads.length === 0 ? [] : [{ key, namespace, selectors: inForce.workloads }],
    ),
    ({ namespace }) => namespace,
  );
  return new Map(
    [...byNamespace].flatMap(([namespace, segments]) => (segments.length < 2 ? [] : [...sharedPods(input.pods(namespace), segments)])),
  );
}

function verdictOf(standing: Standing, all: All): Verdict {
  const { key, refused, audited, inForce, shut } = standing;
  const conflictsWith = all.conflicts.get(key) ?? [];
  const verdict: Verdict = { key, refused, audited, missing: [], partly: [], expired: [], conflictsWith, shut };
  if (inForce === undefined) return verdict;
  const segment = emptySegment(standing, inForce, { conflicted: conflictsWith.length > 0, now: all.now });
  if (segment.raw?.open === true) verdict.nextExpiry = segment.raw.endMs;
  for (const [i, conduit] of sortedConduits(inForce.spec)) {
    const end = endOf(conduit);
    if (end !== undefined && end <= all.now) {
      verdict.expired.push(conduit.name);
      continue;
    }
    if (end !== undefined) verdict.nextExpiry = Math.min(end, verdict.nextExpiry ?? end);
    if (conflictsWith.length > 0) continue;
    const { flow, outside, finding } = grant(conduit, `spec.conduits[${i}]`, { standing, inForce }, all);
    if (finding !== undefined) verdict.missing.push(finding);
    if (flow !== undefined) segment.outgoing.push(flow);
    if (outside !== undefined) segment.outside.push(outside);
  }
  const owner = all.market.owners.get(key);
  if (owner !== undefined) borrowInto(segment.rights, verdict, borrow(owner, all.market));
  return { ...verdict, segment };
}

/** A pod in two segments takes nothing from their topics: at the broker a certificate names one segment, whatever labels a pod has. */
function borrowInto(rights: SegmentRights, verdict: Verdict, { publish, subscribe, missing, partly }: Borrowed): void {
  rights.publish.push(...publish);
  rights.subscribe.push(...subscribe);
  verdict.missing.push(...missing);
  verdict.partly.push(...partly);
}

function ownerOf({ key, name, namespace, inForce }: Standing): Owner[] {
  if (inForce === undefined) return [];
  const { publish, subscribe, asks, grants } = inForce.accepted;
  return [{ key, wireName: segmentName(name, namespace), trust: inForce.trust, own: { publish, subscribe }, asks, grants }];
}

type Granted = { flow?: Flow; outside?: OutsideFlow; finding?: Finding };
type Initiator = { standing: Standing; inForce: InForce };

/** Is this conduit granted by both sides, and for which ports? */
function grant(conduit: Conduit, path: string, { standing, inForce }: Initiator, all: All): Granted {
  const ports = portsOf(conduit.ports);
  // Nobody can grant for addresses outside: the other segments of the cluster are still shut by their own denies.
  if (conduit.to.cidr !== undefined) return { outside: { conduit: conduit.name, cidr: conduit.to.cidr, ports } };
  const namespace = conduit.to.namespace ?? standing.namespace;
  const to = keyOfRef({ namespace, name: conduit.to.segment ?? '' });
  const missing = (code: Finding['code'], found: string): Granted => ({
    finding: { code, path, found: `conduit ${conduit.name} to ${to}: ${found}` },
  });
  const peer = all.standings.get(to);
  if (peer === undefined) return missing('HR-SEG-010', 'there is no such SegmentPolicy');
  if (peer.inForce === undefined) return missing('HR-SEG-012', 'that SegmentPolicy is not in force');
  if (peer.inForce.trust === 0) return missing('HR-SEG-013', 'its trust is 0');
  if (rises(inForce.trust, peer.inForce.trust) && (conduit.justification ?? '').trim() === '')
    return missing('HR-SEG-014', `trust rises from ${inForce.trust} to ${peer.inForce.trust} and there is no justification`);
  if (all.conflicts.has(to)) return missing('HR-SEG-012', 'a pod of it belongs to another segment too');
  const accepted = acceptedPorts(peer, standing);
  const granted = ports.filter((port) => accepted.has(textOf(port)));
  const refused = ports.filter((port) => !accepted.has(textOf(port)));
  return {
    ...(granted.length === 0 ? {} : { flow: { conduit: conduit.name, from: standing.key, to, ports: granted } }),
    ...(refused.length === 0 ? {} : missing('HR-SEG-011', `${to} does not accept ${refused.map(textOf).join(', ')} from ${standing.key}`)),
  };
}

function acceptedPorts(peer: Standing, initiator: Standing): Set<string> {
  const isInitiator = (entry: AcceptFrom): boolean =>
    (entry.namespace ?? peer.namespace) === initiator.namespace && entry.segment === initiator.name;
  return new Set((peer.inForce?.spec.acceptFrom ?? []).filter(isInitiator).flatMap((entry) => portsOf(entry.ports ?? []).map(textOf)));
}

function emptySegment(standing: Standing, inForce: InForce, { conflicted, now }: { conflicted: boolean; now: number }): Segment {
  const { key, name, namespace } = standing;
  const { spec, accepted, trust, generation } = inForce;
  const raw = rawEgressOf(spec, now);
  return {
    key,
    name,
    namespace,
    generation,
    trust,
    workloads: inForce.workloads,
    // Nobody initiates into trust 0, its own members included.
    open: spec.intraSegment === 'Allow' && trust > 0 && !conflicted,
    limits: spec.limits,
    triggers: [...(spec.quarantine?.triggers ?? []), ...(spec.payload?.onViolation === 'Quarantine' ? (['SchemaViolated'] as const) : [])],
    ...(spec.function === undefined ? {} : { purpose: spec.function }),
    gateway: gatewaySegmentOf({ name, namespace, spec }, now),
    gatewayFields: gatewayFieldsOf(spec),
    ...(raw === undefined ? {} : { raw }),
    rights: { segment: segmentName(name, namespace), publish: [...accepted.publish], subscribe: [...accepted.subscribe] },
    outgoing: [],
    incoming: [],
    outside: [],
  };
}

/** Never one that selects everything: that is the site's deny. */
function workloadsOf(spec: SegmentPolicySpec): LabelSelector[] {
  return distinct(
    (spec.workloads ?? []).map((workload) => canonicalSelector(workload.podSelector)).filter((selector) => !selectsEverything(selector)),
  );
}

function distinct(selectors: LabelSelector[]): LabelSelector[] {
  return [...new Map(selectors.map((selector): [string, LabelSelector] => [canonicalJson(selector), selector]))]
    .sort(byFirst)
    .map(([, selector]) => selector);
}

/** By name, so that the order in a manifest changes nothing; with its place in the manifest, for messages. */
function sortedConduits(spec: SegmentPolicySpec): [index: number, conduit: Conduit][] {
  return (spec.conduits ?? [])
    .map((conduit, i): [number, Conduit] => [i, conduit])
    .sort(([, a], [, b]) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** An end that cannot be read is over: it closes instead of staying open for ever. */
function endOf(conduit: Conduit): number | undefined {
  if (conduit.expires === undefined) return undefined;
  const end = Date.parse(conduit.expires);
  return Number.isNaN(end) ? Number.NEGATIVE_INFINITY : end;
}

function portsOf(ports: readonly { protocol?: Port['protocol']; port: number }[]): Port[] {
  const all = ports.map(({ protocol, port }) => ({ protocol: protocol ?? 'TCP', port }));
  return [...new Map(all.map((port) => [textOf(port), port])).values()].sort(
    (a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1),
  );
}

const textOf = ({ protocol, port }: Port): string => `${protocol} ${port}`;
const byKey = (a: { key: Key }, b: { key: Key }): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
const byFirst = (a: readonly [string, unknown], b: readonly [string, unknown]): number => (a[0] < b[0] ? -1 : 1);
