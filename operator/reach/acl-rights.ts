// What one client may do at EMQX: the rules that concern it, with its names filled in, and the first of them that matches.
import type { AclBroker } from './acl-broker.ts';
import { type AclRule, type Action, ANY_QOS, type Proof, type Qos } from './acl-rule.ts';
import type { AclClient } from './acl-who.ts';
import { EVERYTHING, isFilter, type Levels, levelsOf, matches } from './topic.ts';

/** `sure`: false when it may also be another filter, within this one. */
type RightTopic = { levels: Levels; literal: boolean; sure: boolean };

export type Right = Omit<AclRule, 'who' | 'topics' | 'fault'> & { topics: readonly RightTopic[]; sure: boolean };

export type Access = { action: Action; levels: Levels; qos: Qos; retain: boolean };

/** `may`: what is not known allows, for proofs that something cannot be. `must`: what is not known denies. */
export type Reading = 'may' | 'must';

const WHOLE: readonly RightTopic[] = EVERYTHING.map((levels) => ({ levels, literal: false, sure: true }));

export function rightsOf(client: AclClient, broker: AclBroker): Right[] {
  const rights: Right[] = [];
  for (const { who, topics, fault: _fault, ...rule } of broker.rulesFor(client)) {
    const applies = who(client);
    if (applies === false) continue;
    const own = topics === 'all' ? WHOLE : topics.flatMap(({ text, literal }) => (literal ? [eq(text)] : fill(text, client)));
    if (own.length > 0) rights.push({ ...rule, topics: own, sure: applies === true });
    // Whatever stands below a rule that decides about everything is never asked.
    if (applies && topics === 'all' && rule.action === 'all' && rule.retain === 'all' && ANY_QOS.every((qos) => rule.qos.includes(qos)))
      break;
  }
  return rights;
}

/** A placeholder in it stays text. */
const eq = (text: string): RightTopic => ({ levels: levelsOf(text), literal: true, sure: true });

const PLACEHOLDER = /\$\{(clientid|username|cert_common_name|cert_subject|peerhost|zone|client_attrs\.[A-Za-z0-9_-]+)\}/;

/** A filter of which a level can never be in a topic matches nothing; neither does one that names an attribute which is not set. */
function fill(text: string, client: AclClient): RightTopic[] {
  let filled = '';
  let rest = text;
  for (let found = PLACEHOLDER.exec(rest); found !== null; found = PLACEHOLDER.exec(rest)) {
    const name = found[1] ?? '';
    filled += rest.slice(0, found.index);
    rest = rest.slice(found.index + found[0].length);
    const value = nameOf(name, client);
    if (value === undefined && name.startsWith('client_attrs.')) return [];
    if (value === undefined || value.includes('\0')) return unsure(filled);
    filled += value;
  }
  const levels = levelsOf(filled + rest);
  return isFilter(levels) ? [{ levels, literal: false, sure: true }] : [];
}

function nameOf(name: string, { clientid, username, commonName, address, attributes }: AclClient): string | undefined {
  if (name.startsWith('client_attrs.')) {
    const key = name.slice('client_attrs.'.length);
    return Object.hasOwn(attributes, key) ? attributes[key] : undefined;
  }
  return { clientid, username, cert_common_name: commonName, peerhost: address }[name];
}

/** What is not known may hold slashes and wildcards: only the whole levels before it are certain. */
function unsure(before: string): RightTopic[] {
  const head = levelsOf(before).slice(0, -1);
  const wide = head.length === 0 ? EVERYTHING : [[...head, '#']];
  return wide.map((levels) => ({ levels, literal: false, sure: false }));
}

export type Decision = { allowed: boolean; proof: Proof | undefined };

/** The first rule that matches decides. */
export function decide(rights: readonly Right[], access: Access, reading: Reading): Decision {
  for (const right of rights) {
    const matching = concerns(right, access) ? right.topics.filter((topic) => holds(topic, access.levels)) : [];
    if (matching.length === 0) continue;
    const allows = right.permission === 'unread' ? reading === 'may' : right.permission === 'allow';
    // A rule that perhaps does not match decides only where it decides for the careful side of this reading.
    if ((right.sure && matching.some((topic) => topic.sure)) || allows === (reading === 'may'))
      return { allowed: allows, proof: right.proof };
  }
  return { allowed: reading === 'may', proof: undefined };
}

const concerns = ({ action, qos, retain }: Right, access: Access): boolean =>
  (action === 'all' || action === access.action) &&
  qos.includes(access.qos) &&
  (access.action === 'subscribe' || retain === 'all' || retain === access.retain);

const holds = ({ levels, literal }: RightTopic, topic: Levels): boolean =>
  literal ? levels.length === topic.length && levels.every((level, at) => level === topic[at]) : matches(topic, levels);
