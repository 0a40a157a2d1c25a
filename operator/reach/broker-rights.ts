// What devices may do at the broker beside what they are granted: rights that it does not hold, and whoever else may use a topic. Pure.
import { decide, type Right } from './acl-rights.ts';
import { type Action, ANY_QOS, type Proof } from './acl-rule.ts';
import { grantOf, proofText } from './broker-answer.ts';
import type { Member, Standpoint } from './broker-view.ts';
import { byCodeUnits } from './connections.ts';
import { deliveriesOf } from './delivery.ts';
import type { Grant } from './intent-grants.ts';
import { placeOf } from './intent-party.ts';
import { keptBy, rightsAt } from './intent-topics.ts';
import { covers, EVERYTHING, intersection, type Levels, levelsOf, typicalTopics } from './topic.ts';

/** Devices of one segment with the same rights, of which `member` is one. `only`: which of the segment, where they are not all. */
export type Holder = { member: Member; devices: number; only: string; rights: readonly Right[] };

/** Devices of `segment` may use `topic`, by these rules. */
export type BrokerUse = { segment: string; topic: string; grants: readonly Grant[]; unsure: boolean };
/** So many devices of `segment` are granted this, and refused by the broker: `why`. */
export type NotInForce = { segment: string; devices: number; action: Action; filter: string; grants: readonly Grant[]; why: string };

/** Somebody who may do everything: what passes between the two is what the other one may. */
const ANYBODY: readonly Right[] = [
  {
    ...{ permission: 'allow', action: 'all', qos: ANY_QOS, retain: 'all', sure: true, proof: { source: '', text: '' } },
    topics: EVERYTHING.map((levels) => ({ levels, literal: false, sure: true })),
  },
];

/** What they may do with topics of `within`, but for what every Device keeps. */
export function usesOf({ rights, member, only }: Holder, action: Action, within: Levels): BrokerUse[] {
  const passing = action === 'publish' ? deliveriesOf(rights, ANYBODY, within) : deliveriesOf(ANYBODY, rights, within);
  const kept = keptBy(member.client.clientid, action).map(levelsOf);
  return passing.flatMap((delivery): BrokerUse[] => {
    if (covers(kept, levelsOf(delivery.topic))) return [];
    const proof = action === 'publish' ? delivery.publish : delivery.subscribe;
    const topic = `${named(delivery.topic, member)}${only === '' ? '' : ` only by ${only}`}`;
    return [{ segment: member.segment, topic, grants: [grantOf(proof, '')], unsure: !delivery.sure }];
  });
}

const named = (text: string, { client }: Member): string =>
  levelsOf(text)
    .map((level) => (level === client.clientid ? '{device}' : level))
    .join('/');

/** Sorted; devices that are refused the same by the same rule are said once. */
export function refusedTo(holders: readonly Holder[], survey: Standpoint): NotInForce[] {
  const known = new Map<string, NotInForce>();
  for (const holder of holders) {
    for (const one of refusedOf(holder, survey)) {
      const key = JSON.stringify([one.segment, one.action, one.filter, one.why]);
      known.set(key, { ...one, devices: one.devices + (known.get(key)?.devices ?? 0) });
    }
  }
  return [...known].sort(([a], [b]) => byCodeUnits(a, b)).map(([, one]) => one);
}

function refusedOf({ member, devices, rights }: Holder, { facts, relation, lifecycles }: Standpoint): NotInForce[] {
  const granted = rightsAt(placeOf({ device: member.key }, facts, relation, lifecycles), relation);
  return granted.flatMap(({ action, filter, grants }): NotInForce[] => {
    const refusal = refusalOf(
      rights,
      action,
      levelsOf(filter).map((level) => (level === '{device}' ? member.client.clientid : level)),
    );
    if (refusal === undefined) return [];
    return [{ segment: member.segment, devices, action, filter, grants, why: `refused by ${proofText(refusal)}` }];
  });
}

/** The rule that surely refuses some of it, with the least that is asked for: QoS 0, not retained. */
function refusalOf(rights: readonly Right[], action: Action, filter: Levels): Proof | undefined {
  const longest = Math.max(filter.length, ...rights.flatMap(({ topics }) => topics.map(({ levels }) => levels.length))) + 1;
  // A rule that denies a part of it does not show at the topics that stand for all.
  const parts = rights.flatMap(({ permission, topics }) =>
    permission === 'deny' ? topics.flatMap(({ levels }) => compact(intersection(levels, filter))) : [],
  );
  const asked = action === 'subscribe' ? [filter] : [filter, ...withoutRepeats(parts)].flatMap((part) => typicalTopics(part, longest));
  const refused = asked.map((levels) => decide(rights, { action, levels, qos: 0, retain: false }, 'may')).find(({ allowed }) => !allowed);
  return refused === undefined ? undefined : (refused.proof ?? NO_RULE);
}

const compact = (part: Levels | undefined): Levels[] => (part === undefined ? [] : [part]);
const withoutRepeats = (filters: readonly Levels[]): Levels[] => [...new Map(filters.map((one) => [one.join('/'), one])).values()];

const NO_RULE: Proof = { source: 'no rule', text: '' };
