// May this SegmentPolicy stand as it is written? Only what the policy and its namespace say; other policies do not count. Pure.
// The CRD and the admission policies refuse most of this already. What was stored before them, or by somebody who went around them, is refused here.
import { isIP } from 'node:net';
import { segmentName } from '../api/names.ts';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import { type TopicAction, topicProblem } from '../api/topic.ts';
import type { TopicRight } from '../broker/broker.ts';
import type { Finding } from './errors.ts';
import { selectsEverything } from './selector.ts';

export type PolicyText = { name: string; namespace: string; spec: SegmentPolicySpec };

/** Topics with `{segment}` where the policy's own name stood, so that policies of one shape are alike. */
export type Accepted = { publish: TopicRight[]; subscribe: TopicRight[] };

/** `maxTrust`: highest trust that the namespace allows; `undefined` while the namespace is not known. */
export function accept(policy: PolicyText, maxTrust: number | undefined): { accepted: Accepted } | { refused: Finding[] } {
  const { spec } = policy;
  const publish = (spec.topics?.publish ?? []).map((right, i) => topicOf(policy, 'publish', i, right.topic));
  const subscribe = (spec.topics?.subscribe ?? []).map((right, i) => topicOf(policy, 'subscribe', i, right.topic));
  const refused = [
    ...trust(spec, maxTrust),
    ...workloads(spec),
    ...unsupported(spec),
    ...cidrs(spec),
    ...[...publish, ...subscribe].flatMap(({ finding }) => (finding === undefined ? [] : [finding])),
  ];
  if (refused.length > 0) return { refused };
  return {
    accepted: {
      publish: (spec.topics?.publish ?? []).map((right, i) => ({
        topic: publish[i]?.topic ?? '',
        qosMax: right.qosMax ?? 1,
        retain: right.retain ?? false,
      })),
      subscribe: (spec.topics?.subscribe ?? []).map((right, i) => ({ topic: subscribe[i]?.topic ?? '', qosMax: right.qosMax ?? 1 })),
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
    ['spec.mode: Audit', spec.mode === 'Audit'],
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
const SITE_WORDS = ['agg', 'alert'];

function topicOf(policy: PolicyText, action: TopicAction, i: number, written: string): { topic: string; finding?: Finding } {
  const { name, namespace, spec } = policy;
  const levels = written.split('/');
  const own = levels[1] === segmentName(name, namespace);
  const topic = own ? levels.with(1, '{segment}').join('/') : written;
  const refuse = (found: string): { topic: string; finding: Finding } => ({
    topic,
    finding: { code: 'HR-SEG-002', path: `spec.topics.${action}[${i}].topic`, found: `${JSON.stringify(written)}: ${found}` },
  });
  const problem = topicProblem(topic, action);
  if (problem !== undefined) return refuse(problem.message);
  if (SITE_WORDS.includes(levels[0] ?? '') && levels[1] !== '{segment}' && levels[1] !== namespace)
    return refuse(`topics under ${levels[0]}/ belong to one site each: begin with ${levels[0]}/${namespace}/`);
  if ((spec.intraSegment ?? 'Isolated') === 'Isolated' && BEFORE_DEVICE.test(topic))
    return refuse('a wildcard stands where {device} would: put {device} before it, or set intraSegment: Allow');
  return { topic };
}
