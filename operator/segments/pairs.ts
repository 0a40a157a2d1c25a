// Which pairs of segments reach each other, by network and by topics, and which of them a policy has a part in. Pure.
import { segmentName } from '../api/names.ts';
import type { SegmentPolicyStatus } from '../api/segment-policy.ts';
import type { Key } from '../kube/object.ts';
import { intersection } from './filter.ts';
import type { Model, PolicyFacts, Segment, Verdict } from './model.ts';
import { canonicalJson, digest } from './selector.ts';

export type ReachStatus = Required<NonNullable<SegmentPolicyStatus['reach']>>;

type Reach = { /** `<from> -> <to>`, this segment one of both. */ pairs: ReadonlySet<string>; modelDigest: string };

export type ReachInput = {
  policy: PolicyFacts;
  status: SegmentPolicyStatus | undefined;
  verdict: Verdict;
  /** What is in force. */
  model: Model;
  /** What the status speaks of: with mode: Audit what would be in force. */
  shown: Model;
  /** What would be in force now with this policy instead of the one of the same name. */
  modelWith(policy: PolicyFacts): Model;
};

/**
 * `added` and `removed` are the difference between the text that was accepted last and the one before it, everything else being as it was when it was accepted. They
 * follow from texts and not from what this process has seen, so they outlast a restart, and a grant of somebody else is counted in the policy that gives it.
 */
export function reachStatusOf(input: ReachInput): ReachStatus {
  const { policy, verdict, model, shown } = input;
  const { pairs, modelDigest } = reachOf(shown, policy.key);
  const difference = verdict.audited ? differenceOf(reachOf(model, policy.key).pairs, pairs) : lastChange(input, pairs);
  return { pairs: pairs.size, ...difference, modelDigest };
}

type Difference = { added: number; removed: number };

function lastChange({ policy, status, verdict, modelWith }: ReachInput, pairs: ReadonlySet<string>): Difference {
  const { lastGood } = policy;
  const isNew = verdict.refused.length === 0 && lastGood?.generation !== policy.generation;
  if (!isNew) return { added: status?.reach?.added ?? 0, removed: status?.reach?.removed ?? 0 };
  if (lastGood === undefined) return { added: pairs.size, removed: 0 };
  if (canonicalJson(lastGood.spec) === canonicalJson(policy.spec)) return { added: 0, removed: 0 };
  return differenceOf(reachOf(modelWith({ ...policy, ...lastGood, lastGood }), policy.key).pairs, pairs);
}

const differenceOf = (before: ReadonlySet<string>, after: ReadonlySet<string>): Difference => ({
  added: [...after].filter((pair) => !before.has(pair)).length,
  removed: [...before].filter((pair) => !after.has(pair)).length,
});

/** The pairs of one segment, and a digest of them with their ports and topics and of its ways to addresses outside. */
export function reachOf(model: Model, key: Key): Reach {
  let known = computed.get(model);
  if (known === undefined) {
    known = everyReach(model);
    computed.set(model, known);
  }
  return known.get(key) ?? NOTHING;
}

/** A model does not change once it is built. */
const computed = new WeakMap<Model, ReadonlyMap<Key, Reach>>();
const NOTHING: Reach = { pairs: new Set(), modelDigest: digestOf([], undefined) };

type Way = { from: Key; to: Key; by: string };

function everyReach(model: Model): Map<Key, Reach> {
  const segments = [...model.verdicts.values()].flatMap(({ segment }) => segment ?? []);
  const ways = new Map(segments.map(({ key }): [Key, Way[]] => [key, []]));
  for (const way of [...segments.flatMap(byNetwork), ...byTopics(segments)])
    for (const end of new Set([way.from, way.to])) ways.get(end)?.push(way);
  return new Map(
    segments.map((segment) => {
      const own = ways.get(segment.key) ?? [];
      return [segment.key, { pairs: new Set(own.map(({ from, to }) => `${from} -> ${to}`)), modelDigest: digestOf(own, segment) }];
    }),
  );
}

function digestOf(ways: readonly Way[], segment: Segment | undefined): string {
  const lines = new Set(ways.map(({ from, to, by }) => `${from} -> ${to} ${by}`));
  const outside = (segment?.outside ?? []).map(({ cidr, ports }) => canonicalJson([cidr, ports]));
  return `sha256:${digest([[...lines].sort(), outside.sort()], 64)}`;
}

function byNetwork({ key, open, workloads, outgoing }: Segment): Way[] {
  const members = open && workloads.length > 0 ? [{ from: key, to: key, by: 'members' }] : [];
  return [...members, ...outgoing.map(({ from, to, ports }) => ({ from, to, by: canonicalJson(ports) }))];
}

type Right = { key: Key; namespace: string; levels: string[]; filter: string };
type Shelf = { publish: Right[]; subscribe: Right[] };

/** The first two levels of a right that is in force are words: only rights that share both can meet. An owner has 32 entries of acceptFrom at most, so few do. */
function byTopics(segments: readonly Segment[]): Way[] {
  const shelves = new Map<string, Shelf>();
  for (const { key, name, namespace, rights } of segments)
    for (const action of ['publish', 'subscribe'] as const)
      for (const { topic } of rights[action]) {
        const levels = topic.replaceAll('{segment}', segmentName(name, namespace)).split('/');
        if (OF_THE_SITE.includes(levels[0] ?? '')) continue;
        const place = levels.slice(0, 2).join('/');
        const shelf = shelves.get(place) ?? { publish: [], subscribe: [] };
        shelf[action].push({ key, namespace, levels, filter: levels.map((level) => (level === DEVICE ? '+' : level)).join('/') });
        shelves.set(place, shelf);
      }
  return [...shelves.values()].flatMap(({ publish, subscribe }) => publish.flatMap((from) => subscribe.flatMap((to) => meeting(from, to))));
}

/** Topics of a namespace and of no segment: everybody in it may share them, so their pairs grow with the square of its segments. */
const OF_THE_SITE: readonly string[] = ['agg', 'alert', 'raw'];
const DEVICE = '{device}';

function meeting(from: Right, to: Right): Way[] {
  if (from.levels.some((level, i) => !mayAgree(level, from, to.levels[i], to))) return [];
  const topic = intersection(from.filter, to.filter);
  return topic === undefined ? [] : [{ from: from.key, to: to.key, by: topic }];
}

/** Where both name the device that acts, only one that is both of them could meet itself; and a word names a device only when it may be the name of one. */
function mayAgree(one: string, ofOne: Right, other: string | undefined, ofOther: Right): boolean {
  if (one === DEVICE && other === DEVICE) return false;
  if (one === DEVICE) return isDeviceName(other, ofOne.namespace);
  return other !== DEVICE || isDeviceName(one, ofOther.namespace);
}

function isDeviceName(level: string | undefined, namespace: string): boolean {
  if (level === undefined || level === '+' || level === '#') return true;
  const [name = '', ...rest] = level.split('.');
  return /^[a-z0-9-]+$/.test(name) && rest.join('.') === namespace;
}
