// May this SegmentPolicy stand as it is written? Only what the policy and its namespace say; other policies do not count. Pure.
// The CRD and the admission policies refuse most of this already. What was stored before them, or by somebody who went around them, is refused here.
import { isIP } from 'node:net';
import { segmentName } from '../api/names.ts';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import { grantProblem, type TopicAction, topicProblem } from '../api/topic.ts';
import type { TopicRight } from '../broker/broker.ts';
import { type Key, keyOfRef } from '../kube/object.ts';
import type { Finding } from './errors.ts';
import { gatewayFindings } from './gateway-segment.ts';
import { selectsEverything } from './selector.ts';

export type PolicyText = { name: string; namespace: string; spec: SegmentPolicySpec };

/** Topics with `{segment}` where the policy's own name stood, so that policies of one shape are alike. */
export type Accepted = {
  publish: TopicRight[];
  subscribe: TopicRight[];
  /** Topics of other segments that its devices should have. */
  asks: Ask[];
  /** Topics of its own that it lets others have. */
  grants: Grant[];
};

/** `owner` is undefined for a wildcard in the place of the segment: everybody's. */
export type Ask = { action: TopicAction; right: TopicRight; owner: Key | undefined; justification: string; path: string };
/** `topic` names its owner literally; {device} is the device that uses it. */
export type Grant = { to: Key; action: TopicAction; topic: string };

/** `maxTrust`: highest trust that the namespace allows; `undefined` while the namespace is not known. */
export function accept(policy: PolicyText, maxTrust: number | undefined): { accepted: Accepted } | { refused: Finding[] } {
  const { spec } = policy;
  const topics = topicsOf(policy);
  const grants = grantsOf(policy);
  const refused = [
    ...trust(spec, maxTrust),
    ...workloads(spec),
    ...unsupported(spec),
    ...cidrs(spec),
    ...gatewayFindings(policy),
    ...[...topics, ...grants].flatMap(({ finding }) => (finding === undefined ? [] : [finding])),
  ];
  if (refused.length > 0) return { refused };
  const asks = topics.map(({ ask }) => ask);
  const own = (action: TopicAction): TopicRight[] => asks.flatMap((ask) => (ask.action === action && isOwn(ask) ? [ask.right] : []));
  return {
    accepted: {
      publish: own('publish'),
      subscribe: own('subscribe'),
      asks: asks.filter((ask) => !isOwn(ask)),
      grants: grants.map(({ grant }) => grant),
    },
  };
}

function trust(spec: SegmentPolicySpec, maxTrust: number | undefined): Finding[] {
  if (maxTrust === undefined) return [{ code: 'HR-SEG-021', path: '', found: 'the labels of the namespace are not known yet' }];
  if ((spec.trust ?? 2) <= maxTrust) return [];
  const limit = maxTrust < 0 ? 'anything, because the label is no number of 0 to 4' : `${maxTrust}, the highest of this namespace`;
  return [{ code: 'HR-SEG-001', path: 'spec.trust', found: `${spec.trust ?? 2} is above ${limit}` }];
}

function workloads(spec: SegmentPolicySpec): Finding[] {
  return (spec.workloads ?? []).flatMap(({ podSelector }, i): Finding[] =>
    selectsEverything(podSelector)
      ? [{ code: 'HR-SEG-003', path: `spec.workloads[${i}].podSelector`, found: 'it is empty and would select every pod of the namespace' }]
      : [],
  );
}

/** Only what would make the result wrong or wider if it were left out; the whole table is api/not-supported-yet.ts. */
function unsupported(spec: SegmentPolicySpec): Finding[] {
  const used: [path: string, used: boolean][] = [
    ...(spec.workloads ?? []).map((w, i): [string, boolean] => [
      `spec.workloads[${i}].namespaceSelector`,
      w.namespaceSelector !== undefined,
    ]),
    ...(spec.conduits ?? []).map((c, i): [string, boolean] => [`spec.conduits[${i}].to.workload`, c.to.workload !== undefined]),
  ];
  return used.flatMap(([path, is]): Finding[] => (is ? [{ code: 'HR-SEG-004', path, found: 'it is not supported yet' }] : []));
}

function cidrs(spec: SegmentPolicySpec): Finding[] {
  return (spec.conduits ?? []).flatMap(({ to }, i): Finding[] =>
    to.cidr === undefined || isCidr(to.cidr)
      ? []
      : [{ code: 'HR-SEG-005', path: `spec.conduits[${i}].to.cidr`, found: `${JSON.stringify(to.cidr)} is no address range` }],
  );
}

function isCidr(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/');
  const family = isIP(address);
  return rest.length === 0 && family !== 0 && /^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128);
}

/** A wildcard where `{device}` would stand: one device of the segment could speak for, or listen to, another. */
const BEFORE_DEVICE = /[{]segment[}]\/([^{]*\/)?[+#]/;
const SITE_WORDS = ['agg', 'alert', 'raw'];
/** Whoever tells the hub what a site has to say stands where gateways stand. */
const SITE_SPEAKER = 3;

type Written = { ask: Ask; finding?: Finding };

function topicsOf(policy: PolicyText): Written[] {
  const { publish = [], subscribe = [] } = policy.spec.topics ?? {};
  return [
    ...publish.map(({ topic, qosMax = 1, retain = false, justification = '' }, i) =>
      topicOf(policy, { action: 'publish', right: { topic, qosMax, retain }, justification, path: `spec.topics.publish[${i}].topic` }),
    ),
    ...subscribe.map(({ topic, qosMax = 1, justification = '' }, i) =>
      topicOf(policy, { action: 'subscribe', right: { topic, qosMax }, justification, path: `spec.topics.subscribe[${i}].topic` }),
    ),
  ];
}

function topicOf(policy: PolicyText, written: Omit<Ask, 'owner'>): Written {
  const { namespace, spec } = policy;
  const topic = withPlaceholder(policy, written.right.topic);
  const levels = topic.split('/');
  const ask: Ask = { ...written, right: { ...written.right, topic }, owner: ownerOf(levels[1] ?? '') };
  const refuse = (found: string): Written => ({
    ask,
    finding: { code: 'HR-SEG-002', path: written.path, found: `${JSON.stringify(written.right.topic)}: ${found}` },
  });
  const problem = topicProblem(topic, written.action);
  if (problem !== undefined) return refuse(problem.message);
  if (SITE_WORDS.includes(levels[0] ?? '') && levels[1] !== '{segment}' && levels[1] !== namespace)
    return refuse(`topics under ${levels[0]}/ belong to one site each: begin with ${levels[0]}/${namespace}/`);
  if (SITE_WORDS.includes(levels[0] ?? '') && levels[1] === namespace && written.action === 'publish' && (spec.trust ?? 2) < SITE_SPEAKER)
    return {
      ask,
      finding: {
        code: 'HR-SEG-009',
        path: written.path,
        found: `${JSON.stringify(topic)} is the voice of a site, and spec.trust is ${spec.trust ?? 2}`,
      },
    };
  if ((spec.intraSegment ?? 'Isolated') === 'Isolated' && BEFORE_DEVICE.test(topic))
    return refuse('a wildcard stands where {device} would: put {device} before it, or set intraSegment: Allow');
  return { ask };
}

function grantsOf(policy: PolicyText): { grant: Grant; finding?: Finding }[] {
  const { name, namespace, spec } = policy;
  return (spec.acceptFrom ?? []).flatMap((entry, i) =>
    (entry.topics ?? []).map(({ topic: written, action }, j) => {
      const topic = withPlaceholder(policy, written);
      const to = keyOfRef({ namespace: entry.namespace ?? namespace, name: entry.segment });
      const grant: Grant = { to, action, topic: topic.replaceAll('{segment}', segmentName(name, namespace)) };
      const problem = grantProblem(topic, action);
      if (problem === undefined) return { grant };
      const path = `spec.acceptFrom[${i}].topics[${j}].topic`;
      return { grant, finding: { code: 'HR-SEG-002', path, found: `${JSON.stringify(written)}: ${problem}` } };
    }),
  );
}

function withPlaceholder({ name, namespace }: PolicyText, topic: string): string {
  const levels = topic.split('/');
  return levels[1] === segmentName(name, namespace) ? levels.with(1, '{segment}').join('/') : topic;
}

/** Whose topics these are, by the second level. */
function ownerOf(level: string): Key | undefined {
  const [name = '', namespace = '', ...rest] = level.split('.');
  return namespace === '' || rest.length > 0 ? undefined : keyOfRef({ namespace, name });
}

/** By placeholder, or of its site. */
const isOwn = ({ right: { topic } }: Ask): boolean => topic.split('/')[1] === '{segment}' || SITE_WORDS.includes(topic.split('/')[0] ?? '');
