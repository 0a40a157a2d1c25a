// By the broker's own rules: what EMQX has in force lets one do, whoever wrote it. Pure. "No" is a proof: what is not understood counts as allowed, and makes the answer unsure.
import type { AclBroker } from './acl-broker.ts';
import { decide, type Right, rightsOf } from './acl-rights.ts';
import { type Action, ANY_QOS, type Proof } from './acl-rule.ts';
import type { AclClient } from './acl-who.ts';
import { type Delivery, isWidened } from './delivery.ts';
import { deliveryGroups } from './delivery-groups.ts';
import type { Answer, Grant } from './intent-grants.ts';
import { type Levels, levelsOf, subscribedFilter } from './topic.ts';

/** `unsure`: not allowed for certain, and not denied for certain; `grants` are then what may allow it. `adds`: each in a sentence, what a reader of the rules may not see. */
export type BrokerAnswer = Answer & { unsure: boolean; adds: readonly string[] };
/** One party as the broker knows it. `barred`: why nothing of it connects at all. */
export type BrokerParty = { text: string; clients: readonly AclClient[]; barred: readonly string[]; notes: readonly string[] };

/** Can one of `to` receive what one of `from` publishes, on topics within `topic`, or on any? */
export function deliveryAnswer(acl: AclBroker, from: BrokerParty, to: BrokerParty, topic: string | undefined): BrokerAnswer {
  const barred = [...from.barred, ...to.barred];
  const notes = [...from.notes, ...to.notes];
  if (barred.length > 0) return { ...denied(barred), adds: notes };
  const within = topic === undefined ? undefined : levelsOf(topic);
  const found = deliveriesBetween(acl, from.clients, to.clients, within);
  const sure = found.filter((one) => one.sure);
  const best = sure.find(({ widened }) => !widened) ?? sure[0];
  if (best !== undefined)
    return { ...{ allowed: true, unsure: false, missing: [] }, grants: grantsOf(best), adds: [...widening(sure, best), ...notes] };
  const possible = found[0];
  if (possible !== undefined)
    return { ...{ allowed: false, unsure: true, missing: [] }, grants: byRules(found).slice(0, MOST_NAMED).flatMap(grantsOf), adds: notes };
  return { ...denied(whyNot(acl, from, to, topic)), adds: notes };
}

const MOST_NAMED = 3;

/** Of groups of clients that are alike, one stands for all. */
function deliveriesBetween(acl: AclBroker, from: readonly AclClient[], to: readonly AclClient[], within: Levels | undefined): Delivery[] {
  const [senders, receivers] = [from, to].map((clients) => new Set(clients.map(({ clientid }) => clientid)));
  const all = new Map([...from, ...to].map((client) => [client.clientid, client]));
  const { groups, between } = deliveryGroups([...all.values()], acl, within);
  const has = (names: ReadonlySet<string> | undefined, members: readonly AclClient[]): boolean =>
    members.some(({ clientid }) => names?.has(clientid) === true);
  return groups
    .filter(({ members }) => has(senders, members))
    .flatMap((a) => groups.filter(({ members }) => has(receivers, members)).flatMap((b) => between(a, b) ?? []));
}

export const grantsOf = ({ topic, subscription, publish, subscribe }: Delivery): Grant[] => [
  grantOf(publish, `publish ${topic}`),
  grantOf(subscribe, `subscribe ${subscription}`),
];

const WIDER = 'EMQX takes # in the place of a last + of a right to subscribe';

/** One of each pair of rules. */
const byRules = (found: readonly Delivery[]): Delivery[] =>
  [...new Map(found.map((one) => [JSON.stringify([one.publish, one.subscribe]), one] as const).reverse()).values()].reverse();

function widening(sure: readonly Delivery[], best: Delivery): string[] {
  const wide = [...new Set(sure.filter(({ widened }) => widened).map(({ topic, subscription }) => `${topic} by ${subscription}`))];
  if (wide.length === 0) return [];
  return [`${WIDER}: ${best.widened ? 'only so it receives' : 'so it receives as well'} ${wide.slice(0, MOST_NAMED).join(', ')}`];
}

/** With the rules that decide about the very topic, where a party is one client. */
function whyNot(acl: AclBroker, from: BrokerParty, to: BrokerParty, topic: string | undefined): string[] {
  const asked: [BrokerParty, Action][] = [
    ...(topic === undefined || /[+#]/.test(topic) ? [] : [[from, 'publish'] as [BrokerParty, Action]]),
    [to, 'subscribe'],
  ];
  const lines = asked.flatMap(([{ text, clients }, action]) => {
    const [client, second] = clients;
    if (topic === undefined || client === undefined || second !== undefined) return [];
    const { allowed, proofs } = accessOf(rightsOf(client, acl), action, topic);
    return allowed === 'no' ? proofs.map((proof) => `${text} may not ${action} ${topic}: ${proofText(proof)}`) : [];
  });
  const within = topic === undefined ? '' : ` within ${topic}`;
  return [`no rules of the broker let ${from.text} publish what ${to.text} may subscribe to${within}`, ...lines];
}

/** May the client do that, with any QoS, retained or not? */
export function accessAnswer(acl: AclBroker, { text, clients, barred, notes }: BrokerParty, action: Action, topic: string): BrokerAnswer {
  const [client] = clients;
  if (barred.length > 0 || client === undefined) return { ...denied(barred), adds: notes };
  if (action === 'subscribe' && subscribedFilter(topic) === undefined)
    return { ...denied([`${topic} is no filter that EMQX takes: it ends the connection`]), adds: notes };
  const rights = rightsOf(client, acl);
  const { allowed, proofs, partly } = accessOf(rights, action, topic);
  const filter = action === 'subscribe' ? subscribedFilter(topic) : undefined;
  const wider = allowed === 'yes' && filter !== undefined && proofs.some((proof) => isWidened(rights, proof, filter));
  const grants = proofs.map((proof) => grantOf(proof, ''));
  const adds = [
    ...(wider ? [`${WIDER}: its rule names less`] : []),
    ...(partly.length === 0 ? [] : [`only with ${partly.join(', ')}`]),
    ...notes,
  ];
  if (allowed === 'no') return { ...denied(proofs.map((proof) => `${text} is refused by ${proofText(proof)}`)), adds };
  return { allowed: allowed === 'yes', unsure: allowed === 'unsure', grants, missing: [], adds };
}

type Access = { allowed: 'yes' | 'no' | 'unsure'; proofs: readonly Proof[]; partly: readonly string[] };

function accessOf(rights: readonly Right[], action: Action, topic: string): Access {
  const levels = action === 'subscribe' ? (subscribedFilter(topic) ?? levelsOf(topic)) : levelsOf(topic);
  const variants = ANY_QOS.flatMap((qos) =>
    (action === 'publish' ? [false, true] : [false]).map((retain) => ({ action, levels, qos, retain })),
  );
  const answers = variants.map((access) => ({
    name: `QoS ${access.qos}${access.retain ? ' retained' : ''}`,
    may: decide(rights, access, 'may'),
    must: decide(rights, access, 'must'),
  }));
  const proofsOf = (found: readonly (Proof | undefined)[]): Proof[] => [
    ...new Map(found.map((proof = NOTHING) => [JSON.stringify(proof), proof])).values(),
  ];
  const certain = answers.filter(({ must }) => must.allowed);
  if (certain.length > 0)
    return {
      allowed: 'yes',
      proofs: proofsOf(certain.map(({ must }) => must.proof)),
      partly: certain.length === answers.length ? [] : certain.map(({ name }) => name),
    };
  const possible = answers.filter(({ may }) => may.allowed);
  const decisive = possible.length > 0 ? possible : answers;
  return { allowed: possible.length > 0 ? 'unsure' : 'no', proofs: proofsOf(decisive.map(({ may }) => may.proof)), partly: [] };
}

const NOTHING: Proof = { source: 'nothing that is known', text: '' };
const LONGEST = 300;

const placeText = ({ source, line }: Proof): string => `EMQX, ${source}${line === undefined ? '' : `, line ${line}`}`;

function ruleText({ text }: Proof): string {
  const short = text.replaceAll(/\s+/g, ' ').trim();
  if (short === '') return 'not understood, it may allow everything';
  return short.length > LONGEST ? `${short.slice(0, LONGEST)}…` : short;
}

export const proofText = (proof: Proof): string => `${placeText(proof)}: ${ruleText(proof)}`;
export const grantOf = (proof: Proof, path: string): Grant => ({ policy: placeText(proof), path, value: ruleText(proof) });
const denied = (missing: readonly string[]): Omit<BrokerAnswer, 'adds'> => ({ allowed: false, unsure: false, grants: [], missing });
