// Which topics one client of EMQX can publish that another one receives, each with the two rules that let it. Exact: what rules above take away is taken away, topic by topic.
import type { AclBroker } from './acl-broker.ts';
import { type Access, decide, type Reading, type Right, rightsOf } from './acl-rights.ts';
import { ANY_QOS, type Proof } from './acl-rule.ts';
import type { AclClient } from './acl-who.ts';
import { covers, intersection, isFilter, type Levels, matches, receivable, topicText, typicalTopics } from './topic.ts';

export type Delivery = {
  /** A filter: all of its topics but those of `except`, which a rule above denies to the publisher. */
  topic: string;
  except: readonly string[];
  /** What the receiver subscribes to for it; as well as a member of a group (`$share/<group>/…`), which asks for no other right. */
  subscription: string;
  publish: Proof;
  subscribe: Proof;
  /** Kept by the broker, it reaches who subscribes later, also after the publisher has lost the right. A will needs no right but that to publish, either way. */
  retained: boolean;
  /** The rule that lets it be subscribed to does not hold all of it: EMQX takes # in the place of a last +. */
  widened: boolean;
  /** False: it rests on something that is not known or not understood. */
  sure: boolean;
};

/** Empty is a proof that nothing of `from` reaches `to`: whatever is not understood counts as allowed. */
export const deliveries = (from: AclClient, to: AclClient, broker: AclBroker): Delivery[] =>
  deliveriesOf(rightsOf(from, broker), rightsOf(to, broker));

/** `within`: the topics of this filter alone. */
export function deliveriesOf(publisher: readonly Right[], subscriber: readonly Right[], within?: Levels): Delivery[] {
  const longest = Math.max(within?.length ?? 0, longestOf(publisher), longestOf(subscriber)) + 1;
  const found = new Map<string, Delivery>();
  const subscribed = byFirstWord(subscriber);
  for (const sent of filtersOf(publisher, 'publish')) {
    for (const wanted of subscribed(sent[0] ?? '')) {
      const meeting = intersection(sent, receivable(wanted));
      const both = meeting && within ? intersection(meeting, within) : meeting;
      // A name that is compared letter by letter may hold what no topic holds.
      if (both === undefined || !isFilter(both)) continue;
      for (const topic of typicalTopics(both, longest)) {
        const delivery = deliveryOf({ publisher, subscriber, both, wanted }, topic);
        if (delivery === undefined) continue;
        const key = JSON.stringify([delivery.topic, delivery.publish, delivery.subscribe]);
        const known = found.get(key);
        found.set(key, known === undefined ? delivery : merged(known, delivery));
      }
    }
  }
  return [...found.values()];
}

function longestOf(rights: readonly Right[]): number {
  let longest = 0;
  for (const { topics } of rights) for (const { levels } of topics) longest = Math.max(longest, levels.length);
  return longest;
}

const merged = (a: Delivery, b: Delivery): Delivery => ({
  ...a,
  retained: a.retained || b.retained,
  widened: a.widened && b.widened,
  sure: a.sure || b.sure,
});

function filtersOf(rights: readonly Right[], action: 'publish' | 'subscribe'): Levels[] {
  const own = rights.filter((right) => right.permission !== 'deny' && (right.action === 'all' || right.action === action));
  return own.flatMap(({ topics }) => topics.map(({ levels }) => levels));
}

type ByFirstWord = (word: string) => readonly Levels[];
const knownFilters = new WeakMap<readonly Right[], ByFirstWord>();

/** Filters to subscribe to of which a topic that begins with the word may be one, in their order: of a fleet the same rights are asked again and again. */
function byFirstWord(rights: readonly Right[]): ByFirstWord {
  const before = knownFilters.get(rights);
  if (before !== undefined) return before;
  const all = filtersOf(rights, 'subscribe');
  const known = new Map<string, readonly Levels[]>();
  const found: ByFirstWord = (word) => {
    if (!isWord(word)) return all;
    const some = known.get(word) ?? all.filter(([first = '']) => first === word || !isWord(first));
    known.set(word, some);
    return some;
  };
  knownFilters.set(rights, found);
  return found;
}

/** Neither a wildcard nor the $ that stands for any. */
const isWord = (level: string): boolean => level !== '+' && level !== '#' && !level.startsWith('\0');

type Meeting = { publisher: readonly Right[]; subscriber: readonly Right[]; both: Levels; wanted: Levels };

function deliveryOf({ publisher, subscriber, both, wanted }: Meeting, topic: Levels): Delivery | undefined {
  const sent = publication(publisher, topic, 'may');
  const received = sent && subscription(subscriber, topic, wanted, 'may');
  if (sent === undefined || received === undefined) return undefined;
  return {
    topic: topicText(both),
    except: exceptions(publisher, both),
    subscription: topicText(received.filter),
    publish: sent.proof,
    subscribe: received.proof,
    retained: sent.retained,
    widened: isWidened(subscriber, received.proof, both),
    sure: publication(publisher, topic, 'must') !== undefined && subscription(subscriber, topic, wanted, 'must') !== undefined,
  };
}

/** Whether a rule lets through what its own filters do not hold: EMQX takes # in the place of a last +. */
export const isWidened = (rights: readonly Right[], by: Proof, filter: Levels): boolean =>
  !covers(
    rights.flatMap(({ proof, topics }) => (proof === by ? topics.map(({ levels }) => levels) : [])),
    filter,
  );

const UNKNOWN: Proof = { source: 'not known', text: '' };

function publication(rights: readonly Right[], levels: Levels, reading: Reading): { proof: Proof; retained: boolean } | undefined {
  for (const retain of [true, false]) {
    const answer = anyQos(rights, { action: 'publish', levels, retain }, reading);
    if (answer !== undefined) return { proof: answer, retained: retain };
  }
  return undefined;
}

function anyQos(rights: readonly Right[], access: Omit<Access, 'qos'>, reading: Reading): Proof | undefined {
  for (const qos of ANY_QOS) {
    const { allowed, proof } = decide(rights, { ...access, qos }, reading);
    if (allowed) return proof ?? UNKNOWN;
  }
  return undefined;
}

/** More of them than of any text that means well; beyond, the careful answer is given. */
const MOST_TRIED = 4096;

/** A filter that the client may subscribe to and that holds the topic: the widest first, for a rule that denies the wide one need not deny the narrow one. */
function subscription(
  rights: readonly Right[],
  topic: Levels,
  wanted: Levels,
  reading: Reading,
): { filter: Levels; proof: Proof } | undefined {
  let tried = 0;
  for (const filter of candidates(topic, wanted, [])) {
    if (++tried > MOST_TRIED) return reading === 'may' ? { filter, proof: UNKNOWN } : undefined;
    if (!matches(filter, wanted) || !matches(topic, filter)) continue;
    const proof = anyQos(rights, { action: 'subscribe', levels: filter, retain: false }, reading);
    if (proof !== undefined) return { filter, proof };
  }
  return undefined;
}

/** Filters that hold `topic`, of which every level may be one that a right to `wanted` admits. */
function* candidates(topic: Levels, wanted: Levels, head: Levels): Generator<Levels> {
  if (head.length > 0 && !matches(head, wanted.slice(0, head.length))) return;
  yield [...head, '#'];
  const word = topic[head.length];
  if (word === undefined) return yield head;
  yield* candidates(topic, wanted, [...head, '+']);
  yield* candidates(topic, wanted, [...head, word]);
}

/** What rules that surely deny take from the filter: those above the first that lets all of it through. */
function exceptions(rights: readonly Right[], both: Levels): string[] {
  const taken: string[] = [];
  for (const right of rights) {
    if (right.action === 'subscribe') continue;
    const parts = partsOf(right, both);
    if (right.permission !== 'deny' && parts.includes(topicText(both))) break;
    if (right.permission === 'deny' && right.sure) taken.push(...parts);
  }
  return [...new Set(taken)];
}

const partsOf = ({ topics }: Right, both: Levels): string[] =>
  topics.flatMap(({ levels }) => {
    const part = intersection(levels, both);
    return part !== undefined && isFilter(part) ? [topicText(part)] : [];
  });
