// Deliveries of a whole fleet: clients whose rights are alike up to their own names are one group, and each pair of groups is asked once. 10,000 devices in 50 segments are 50 groups.
import type { AclBroker } from './acl-broker.ts';
import { type Right, rightsOf } from './acl-rights.ts';
import type { AclClient } from './acl-who.ts';
import { type Delivery, deliveriesOf } from './delivery.ts';
import { type Levels, levelsOf } from './topic.ts';

export type ClientGroup = { members: readonly AclClient[] };

export type DeliveryGroups = {
  groups: readonly ClientGroup[];
  /** Of a member of the one to another client, a member of the other: those of its first members stand for all. Undefined: a group with one member has no other one. */
  between(from: ClientGroup, to: ClientGroup): Delivery[] | undefined;
};

/** What else tells clients apart: words, of which a client that is named so is a group of its own, and a mark that all of a group have. */
export type Apart = { words: Iterable<string>; mark(client: AclClient): string };

/** `within`: the topics of this filter alone; a client that it names is a group of its own. */
export function deliveryGroups(clients: readonly AclClient[], broker: AclBroker, within?: Levels, apart?: Apart): DeliveryGroups {
  const likeness = likenessIn(clients, broker, [...(within ?? []), ...(apart?.words ?? [])]);
  const alike = (client: AclClient): string => `${apart?.mark(client) ?? ''} ${likeness(client)}`;
  const known = new Map<AclClient, Right[]>();
  const rightsAt = (client: AclClient): Right[] => {
    const rights = known.get(client) ?? rightsOf(client, broker);
    known.set(client, rights);
    return rights;
  };
  const groups = [...Map.groupBy(clients, (client) => alike(client)).values()].map((members) => ({ members }));
  return {
    groups,
    between(from, to) {
      const [sender] = from.members;
      const receiver = from === to ? to.members[1] : to.members[0];
      if (sender === undefined || receiver === undefined) return undefined;
      return deliveriesOf(rightsAt(sender), rightsAt(receiver), within);
    },
  };
}

const PLAIN = /^[A-Za-z0-9_.@:-]+$/;
const NAMES = [
  ['clientid', ({ clientid }: AclClient) => clientid],
  ['username', ({ username }: AclClient) => username],
  ['cert_common_name', ({ commonName }: AclClient) => commonName],
  ['peerhost', ({ address }: AclClient) => address],
] as const;

/** Equal for clients of whom every rule says the same, but for the names that it fills in. */
function likenessIn(clients: readonly AclClient[], broker: AclBroker, named: Levels): (client: AclClient) => string {
  const texts = broker.shared.flatMap(({ topics }) => (topics === 'all' ? [] : topics.map(({ text }) => text)));
  const used = NAMES.filter(([name]) => texts.some((text) => text.includes(`\${${name}}`)));
  const namesOf = (client: AclClient): (string | undefined)[] => used.map(([, of]) => of(client));
  // A placeholder beside other characters of its level can make the word of another client: then each is a group of its own.
  const mixed = texts.some((text) => levelsOf(text).some((level) => level.includes('${') && !/^\$\{[^{}]*\}$/.test(level)));
  // Clients with the same attributes mostly share the object, too.
  const attributeSets = new Set(clients.map(({ attributes }) => attributes));
  const attributeTexts = new Map([...attributeSets].map((attributes) => [attributes, attributesText(attributes)]));
  const words = new Set([
    ...named,
    ...texts.flatMap(levelsOf),
    ...[...attributeSets].flatMap((attributes) => Object.values(attributes).flatMap(levelsOf)),
  ]);
  const own = ownNames(clients, used);
  /** More than a word of its own: two have it, a rule or an attribute says it too, or it is several levels. */
  const isSpecial = (name: string | undefined): boolean => name !== undefined && (mixed || !own.has(name) || words.has(name));
  const applies = appliesIn(broker);
  const numbers = new Map<string, number>();
  /** Long texts by a number: there are few of them, and a key of each of many clients is made of them. */
  const numberOf = (text: string): number => {
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    return number;
  };
  return (client) => {
    const names = namesOf(client);
    const attributes = attributeTexts.get(client.attributes) ?? '';
    const equalNames = names.length < 2 ? names[0] === undefined : names.map((name) => (name === undefined ? -1 : names.indexOf(name)));
    const special = names.some(isSpecial) ? numberOf(JSON.stringify(names)) : -1;
    const record = numberOf(broker.recordOf(client));
    return `${special} ${equalNames} ${numberOf(attributes)} ${numberOf(applies(client, attributes))} ${client.username === undefined} ${record}`;
  };
}

/** Names that are one plain word and of one client. The same clients are looked at for one text after another, so what follows from them alone is kept with them. */
function ownNames(clients: readonly AclClient[], used: readonly (typeof NAMES)[number][]): ReadonlySet<string> {
  const kinds = used.map(([name]) => name).join();
  const byKinds = ownNamesOf.get(clients) ?? new Map<string, ReadonlySet<string>>();
  ownNamesOf.set(clients, byKinds);
  const own = byKinds.get(kinds) ?? findOwnNames(clients, used);
  byKinds.set(kinds, own);
  return own;
}

const ownNamesOf = new WeakMap<readonly AclClient[], Map<string, ReadonlySet<string>>>();

function findOwnNames(clients: readonly AclClient[], used: readonly (typeof NAMES)[number][]): ReadonlySet<string> {
  const [own, shared] = [new Set<string>(), new Set<string>()];
  for (const client of clients) {
    for (const name of new Set(used.map(([, of]) => of(client)))) {
      if (name === undefined || shared.has(name)) continue;
      if (own.delete(name) || !PLAIN.test(name)) shared.add(name);
      else own.add(name);
    }
  }
  return own;
}

const attributesText = (attributes: AclClient['attributes']): string =>
  JSON.stringify(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Which of the rules that all share apply. What looks at attributes alone is asked once for clients with the same: a fleet has few segments and many devices. Records of one client tell it apart by themselves. */
function appliesIn({ shared }: AclBroker): (client: AclClient, attributes: string) => string {
  const [byName, byAttributes] = [shared.filter(({ who }) => who.byName), shared.filter(({ who }) => !who.byName)];
  const answers = (rules: AclBroker['shared'], client: AclClient): string => rules.map(({ who }) => String(who(client))).join();
  const known = new Map<string, string>();
  return (client, attributes) => {
    const byThem = known.get(attributes) ?? answers(byAttributes, client);
    known.set(attributes, byThem);
    return byName.length === 0 ? byThem : `${byThem} ${answers(byName, client)}`;
  };
}
