// Small random fleets of topic rights for property tests, and by definition (not by the model) who may use which topic in them.
import fc from 'fast-check';
import type { PolicyFacts } from '../model.ts';
import { policyOf } from './fleet.ts';

const SEGMENTS = ['a.berlin', 'b.berlin', 'a.paris'];
const ACTIONS = ['publish', 'subscribe'] as const;
type Action = (typeof ACTIONS)[number];
/** Behind `dt/<segment>/`. */
const BELOW = ['x', '+/x', '{device}/x', '{device}/#', '#', 'x/#', '+/x/#', '{segment}/x'];

const ask = fc
  .tuple(fc.constantFrom('{segment}', '+', ...SEGMENTS), fc.constantFrom(...BELOW), fc.constantFrom('', 'because'))
  .map(([whose, below, justification]) => ({ topic: `dt/${whose}/${below}`, qosMax: 1 as const, justification }));
const asks = fc.uniqueArray(
  fc.oneof({ weight: 9, arbitrary: ask }, fc.constant({ topic: 'dt/#', qosMax: 1 as const, justification: '' })),
  {
    maxLength: 3,
    selector: ({ topic }) => topic,
  },
);
const grant = fc.record({
  namespace: fc.constantFrom('berlin', 'paris'),
  segment: fc.constantFrom('a', 'b'),
  topics: fc.uniqueArray(
    fc.record({ topic: fc.constantFrom(...BELOW).map((below) => `dt/{segment}/${below}`), action: fc.constantFrom(...ACTIONS) }),
    { minLength: 1, maxLength: 3, selector: ({ topic, action }) => `${topic} ${action}` },
  ),
});
const spec = fc.record({
  trust: fc.constantFrom(0, 1, 2, 2, 3, 4),
  // Isolated segments may not use a wildcard in the place of the device: they would be refused as a whole.
  intraSegment: fc.constantFrom<'Isolated' | 'Allow'>('Allow', 'Allow', 'Isolated'),
  topics: fc.record({ publish: asks.map((list) => list.map((one) => ({ ...one, retain: false }))), subscribe: asks }),
  acceptFrom: fc.array(grant, { maxLength: 4 }),
});

export const topicFleet: fc.Arbitrary<PolicyFacts[]> = fc
  .uniqueArray(fc.record({ segment: fc.constantFrom(...SEGMENTS), spec }), {
    minLength: 2,
    maxLength: SEGMENTS.length,
    selector: ({ segment }) => segment,
  })
  .map((list) =>
    list.map(({ segment, spec: one }) => {
      const [name = '', namespace = ''] = segment.split('.');
      return policyOf(name, namespace, one);
    }),
  );

export type Attempt = { device: string; segment: string; action: Action; topic: string };

const deviceOf = (segment: string): string => `t.${segment.split('.')[1]}`;
const LEVELS = ['x', 'y', 't.berlin', 'a.berlin'];
const TOPICS = SEGMENTS.flatMap((segment) => [
  ...LEVELS.map((level) => `dt/${segment}/${level}`),
  ...LEVELS.flatMap((level) => ['x', 'y'].map((last) => `dt/${segment}/${level}/${last}`)),
]);
const FILTERS = [
  '#',
  'dt/#',
  'dt/+/#',
  'dt/+/x',
  'dt/+/+/x',
  ...SEGMENTS.flatMap((one) => [`dt/${one}/#`, `dt/${one}/+/x`, `dt/${one}/+/#`]),
];

export const asked: readonly Attempt[] = SEGMENTS.flatMap((segment) => [
  ...TOPICS.flatMap((topic) => ACTIONS.map((action) => ({ device: deviceOf(segment), segment, action, topic }))),
  ...FILTERS.map((topic) => ({ device: deviceOf(segment), segment, action: 'subscribe' as const, topic })),
]);

/** The definition: what its own policy says of its own topics, and of topics of others what both sides say. `maxTrust` is 3. */
export function may(policies: readonly PolicyFacts[], { device, segment, action, topic }: Attempt): boolean {
  const own = policies.find((policy) => nameOf(policy) === segment);
  if (own === undefined || !isAccepted(own)) return false;
  const fill = (filter: string, whose: string): string => filter.replaceAll('{device}', device).replaceAll('{segment}', whose);
  const asksFor = (own.spec.topics?.[action] ?? []).filter((one) => covers(fill(one.topic, segment), topic));
  if (asksFor.some((one) => one.topic.startsWith('dt/{segment}/') || one.topic.startsWith(`dt/${segment}/`))) return true;
  const owner = policies.find((policy) => nameOf(policy) === topic.split('/')[1]);
  if (owner === undefined || owner === own || !isAccepted(owner) || owner.spec.trust === 0) return false;
  const accepted = (owner.spec.acceptFrom ?? [])
    .filter((entry) => entry.namespace === own.namespace && entry.segment === own.name)
    .flatMap((entry) => entry.topics ?? [])
    .filter((one) => one.action === action && covers(fill(one.topic, nameOf(owner)), topic));
  const falls = (owner.spec.trust ?? 2) <= (own.spec.trust ?? 2) || owner.spec.trust === 3;
  return asksFor.some(
    (one) => (falls || one.justification === 'because') && accepted.some((grant) => !pickDevices(one.topic, grant.topic)),
  );
}

/** A right is the same for all devices of a segment, so {device} on one side and a word in its place on the other is no right, not even of the device of that name. */
function pickDevices(one: string, other: string): boolean {
  const [left, right] = [one.split('/'), other.split('/')];
  const isWord = (level: string | undefined): boolean => level !== undefined && !['+', '#', '{device}'].includes(level);
  return left.some((level, i) => (level === '{device}' && isWord(right[i])) || (right[i] === '{device}' && isWord(level)));
}

const nameOf = ({ name, namespace }: PolicyFacts): string => `${name}.${namespace}`;

function isAccepted({ name, namespace, spec }: PolicyFacts): boolean {
  const topics = [...(spec.topics?.publish ?? []), ...(spec.topics?.subscribe ?? [])].map(({ topic }) =>
    topic.replace(`dt/${name}.${namespace}/`, 'dt/{segment}/'),
  );
  const mixes = topics.some((topic) => /[{]segment[}]\/([^{]*\/)?[+#]/.test(topic));
  return (spec.trust ?? 2) <= 3 && (spec.intraSegment === 'Allow' || !mixes);
}

/** Whether everything that `filter` says lies within `grant` (MQTT 5 §4.7); what begins with no common word has nothing to do with it. */
function covers(grant: string, filter: string): boolean {
  const [wide, narrow] = [grant.split('/'), filter.split('/')];
  const end = wide.indexOf('#');
  if (end === -1 ? wide.length !== narrow.length : narrow.length < end) return false;
  return wide.slice(0, end === -1 ? undefined : end).every((level, i) => narrow[i] !== '#' && (level === '+' || level === narrow[i]));
}
