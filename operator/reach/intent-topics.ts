// By topics: may what one party publishes reach another, and which grants say so or are missing. Pure.
import { type Action, common, isWithin } from './intent-filter.ts';
import { type Answer, missingForTopic, type TopicRight } from './intent-grants.ts';
import type { Place } from './intent-party.ts';
import type { Passage, Relation } from './intent-relation.ts';

/** What every Device keeps that is not revoked (design/api.md, Topics; docs/reference/trust-message.md). All of it is between the device and the operator. */
const BASE: readonly (readonly [Action, string])[] = [
  ['publish', 'ota/v1/d/{device}/hello'],
  ['publish', 'ota/v1/d/{device}/log'],
  ['publish', 'ota/v1/d/{device}/state'],
  ['publish', 'recovery/{device}/#'],
  ['publish', 'trust/v1/d/{device}/confirmed'],
  ['subscribe', 'ota/v1/d/{device}/directive'],
  ['subscribe', 'recovery/{device}/#'],
  ['subscribe', 'trust/v1/anchors'],
];

/** Filters of what every Device keeps, of the one of this name. */
export const keptBy = (wireName: string, action: Action): string[] =>
  BASE.flatMap(([kept, filter]) => (kept === action ? [filter.replace('{device}', wireName)] : []));

/** In the order in which they are said: what every device keeps, then what its segment gives. */
export function rightsAt({ topics, wireName, lifecycle }: Place, { rights }: Relation): readonly TopicRight[] {
  if (wireName === undefined || lifecycle === 'Revoked') return [];
  const grants = [{ policy: 'Hedgerow', path: '', value: 'every Device keeps it' }];
  const base = BASE.map(([action, filter]): TopicRight => ({ action, filter, grants }));
  return lifecycle === 'Quarantined' || topics === undefined ? base : [...base, ...(rights.get(topics.key) ?? [])];
}

/** May this device use this topic or filter at the broker? */
export function mayUse(place: Place, action: Action, topic: string, relation: Relation): Answer {
  const right = rightsAt(place, relation).find((one) => one.action === action && isWithin(topic, ofDevice(one.filter, place)));
  if (right !== undefined) return { allowed: true, grants: right.grants, missing: [] };
  return { allowed: false, grants: [], missing: missingAt(place, action, topic, relation) };
}

/** Can `b` receive what `a` publishes: on topics within `topic`, or on any? */
export function topicAnswer(a: Place, b: Place, topic: string | undefined, relation: Relation): Answer {
  const problems = [a, b].flatMap((place) => problemsOf(place));
  if (problems.length > 0 || a.topics === undefined || b.topics === undefined) return denied(problems);
  if (a.wireName !== undefined && a.wireName === b.wireName) return denied([`both are ${a.text}`]);
  const passage = passageBetween(a, b, topic ?? '#', relation);
  if (passage !== undefined) return { allowed: true, grants: [...passage.publish.grants, ...passage.subscribe.grants], missing: [] };
  if (topic !== undefined) return denied([...missingAt(a, 'publish', topic, relation), ...missingAt(b, 'subscribe', topic, relation)]);
  const published = rightsTo('publish', a, relation).slice(0, MOST_NAMED);
  if (published.length === 0) return denied([`spec.topics.publish of SegmentPolicy ${a.topics.key} names nothing that is granted`]);
  return denied(published.flatMap(({ filter }) => missingAt(b, 'subscribe', ofDevice(filter, a), relation)));
}

const MOST_NAMED = 5;

function problemsOf(place: Place): readonly string[] {
  if (place.problems.length > 0 || place.topics !== undefined) return place.problems;
  return [`${place.text} is no Device and no segment: it has no topics`];
}

function passageBetween(a: Place, b: Place, topic: string, { pairs }: Relation): Passage | undefined {
  const isOne = (pinned: string | undefined, { wireName }: Place): boolean =>
    pinned === undefined || wireName === undefined || pinned === wireName;
  const fill = (filter: string): string =>
    filter
      .split('/')
      .map((level) => (level === '{publisher}' ? (a.wireName ?? '+') : level === '{subscriber}' ? (b.wireName ?? '+') : level))
      .join('/');
  const passages = pairs.get(`${a.topics?.key} ${b.topics?.key}`)?.passages ?? [];
  return passages.find((one) => isOne(one.publisher, a) && isOne(one.subscriber, b) && common(fill(one.topic), topic) !== undefined);
}

const rightsTo = (action: Action, { topics }: Place, { rights }: Relation): TopicRight[] =>
  (rights.get(topics?.key ?? '') ?? []).filter((right) => right.action === action);

/** Of a segment some device is meant. */
const ofDevice = (filter: string, { wireName = '+' }: Place): string =>
  filter
    .split('/')
    .map((level) => (level === '{device}' ? wireName : level))
    .join('/');

function missingAt(place: Place, action: Action, topic: string, relation: Relation): string[] {
  const problems = problemsOf(place);
  if (problems.length > 0 || place.topics === undefined) return [...problems];
  const rights = rightsTo(action, place, relation);
  if (rights.some(({ filter }) => common(topic, ofDevice(filter, place)) === topic)) return [];
  const missing = missingForTopic(place.topics, action, topic, relation.byWireName.get(topic.split('/')[1] ?? ''));
  return missing.length > 0 ? missing : [`${place.text} may not ${action} all of ${topic}`];
}

const denied = (missing: readonly string[]): Answer => ({
  allowed: false,
  grants: [],
  missing:
    missing.length > 0
      ? [...new Set(missing)]
      : ['what the one may publish there and what the other may subscribe to have no topic in common'],
});
