// The broker as somebody asks about it: the rules that it has in force, and what it knows of each Device. Pure.
import { type AclBroker, type BrokerAnswers, readBroker } from './acl-broker.ts';
import type { AclClient } from './acl-who.ts';
import type { BrokerParty } from './broker-answer.ts';
import type { Lifecycle } from './intent-facts.ts';
import { type Party, partyText } from './intent-party.ts';
import { podsOf } from './network-answer.ts';
import type { Survey } from './survey.ts';

/** What was read of EMQX. Without `live` only a text was, as of a file. */
export type BrokerRead = BrokerAnswers & {
  live?: {
    /** Who is connected, by client id. */
    clients: ReadonlyMap<string, { username: string; segment: string | undefined }>;
    /** `as`: clientid, username, or what else EMQX compares. */
    bans: readonly { as: string; who: string; until: string; reason: string }[];
  };
};

export type BrokerView = {
  acl: AclBroker;
  notes: readonly string[];
  party(party: Party, survey: Survey): BrokerParty;
  /** All Devices that nothing keeps from connecting. Of a text alone those that are Active, for what shuts the others is not in it, and `besides`, `<namespace>/<name>` of one. */
  fleet(survey: Standpoint, besides?: string): Member[];
};

/** What of manifests the fleet at the broker is compared with. */
export type Standpoint = Pick<Survey, 'facts' | 'relation' | 'lifecycles'>;

/** `key`: `<namespace>/<name>`; `segment` and `lifecycle` by its manifest. */
export type Member = { key: string; segment: string; lifecycle: Lifecycle; client: AclClient };

/** `now`: ms since the epoch. */
export function brokerView(read: BrokerRead, now: number): BrokerView {
  const bans = (read.live?.bans ?? []).filter(({ until }) => !(Date.parse(until) <= now));
  const bannedAs = new Map(bans.map((ban) => [`${ban.as} ${ban.who}`, ban]));
  const connected: Live['clients'] = read.live?.clients ?? new Map();
  const others = [...new Set(bans.flatMap(({ as }) => (as === 'clientid' || as === 'username' ? [] : [as])))];
  return {
    acl: readBroker(read),
    notes: [
      ...(read.live === undefined
        ? ['of the broker only this text was asked: rules of single clients, bans and no_match are not in it']
        : []),
      ...others.map((as) => `bans by ${as.slice(0, 40)} were not compared`),
    ],
    party: (party, survey) => partyAt(party, survey, connected, bannedAs),
    fleet({ facts, lifecycles }, besides) {
      const bySegment = new Map<string, AclClient['attributes']>();
      /** The same object for the same segment: a fleet has few of them and many devices. */
      const attributesOf = (seg: string): AclClient['attributes'] => {
        const attributes = bySegment.get(seg) ?? { seg };
        bySegment.set(seg, attributes);
        return attributes;
      };
      return [...facts.devices.values()].flatMap(({ key, wireName, segment, lifecycle: written }): Member[] => {
        const lifecycle = lifecycles.get(key) ?? written;
        if (read.live === undefined && lifecycle !== 'Active' && key !== besides) return [];
        const { client, ban } = knownAs({ name: wireName, segment: wireSegment(segment) }, connected, bannedAs, attributesOf);
        return ban === undefined ? [{ key, segment, lifecycle, client }] : [];
      });
    },
  };
}

type Live = NonNullable<BrokerRead['live']>;
const NO_ATTRIBUTES: AclClient['attributes'] = {};
type Bans = ReadonlyMap<string, Live['bans'][number]>;
type Known = { client: AclClient; ban: string | undefined; note: string | undefined };

function partyAt(party: Party, survey: Survey, connected: Live['clients'], bans: Bans): BrokerParty {
  const text = partyText(party);
  const own = devicesOf(party, survey);
  if (own.length === 0 && 'segment' in party) {
    const [namespace = ''] = party.segment.split('/');
    // Nobody is in it yet: what a device of it would get.
    const stranger = { name: `new-device.${namespace}`, segment: wireSegment(party.segment) };
    const { client } = knownAs(stranger, connected, bans);
    return { text, clients: [client], barred: [], notes: [`${text} has no Device: asked is what a new one would get`] };
  }
  const nobody = `${text} is no Device and no segment: it is no client of the broker`;
  if (own.length === 0) return { text, clients: [], barred: [nobody], notes: [] };
  const known = own.map((device) => knownAs(device, connected, bans));
  const free = known.filter(({ ban }) => ban === undefined);
  return {
    text,
    clients: free.map(({ client }) => client),
    barred: free.length > 0 ? [] : known.flatMap(({ ban }) => ban ?? []).slice(0, MOST_NAMED),
    notes: known.flatMap(({ note }) => note ?? []).slice(0, MOST_NAMED),
  };
}

const MOST_NAMED = 5;
type Named = { name: string; segment: string };

function devicesOf(party: Party, survey: Survey): Named[] {
  const { devices } = survey.facts;
  const wireNames = new Set('pods' in party ? podsOf(party, survey).map((key) => survey.podsPlaces.get(key)?.wireName) : []);
  return [...devices].flatMap(([key, { wireName, segment }]) => {
    const isMeant =
      ('device' in party && party.device === key) || ('segment' in party && party.segment === segment) || wireNames.has(wireName);
    return isMeant ? [{ name: wireName, segment: wireSegment(segment) }] : [];
  });
}

function wireSegment(key: string): string {
  const [namespace = '', name = ''] = key.split('/');
  return `${name}.${namespace}`;
}

/** The segment in the certificate that it is connected with counts, not the one that it shall have. */
function knownAs(
  { name, segment }: Named,
  connected: Live['clients'],
  bans: Bans,
  attributesOf = (seg: string): AclClient['attributes'] => ({ seg }),
): Known {
  const row = connected.get(name);
  const seg = row === undefined ? segment : row.segment;
  const username = row?.username ?? '';
  const ban = bans.get(`clientid ${name}`) ?? (username === '' ? undefined : bans.get(`username ${username}`));
  const attributes = seg === undefined ? NO_ATTRIBUTES : attributesOf(seg);
  return {
    client: { clientid: name, commonName: name, attributes, ...(row === undefined ? {} : { username: row.username }) },
    ban: ban && `${name} is banned at the broker, by ${ban.as}, until ${ban.until}: ${ban.reason}`,
    note: seg === segment ? undefined : `at the broker ${name} is in ${seg ?? 'no segment'}, by its manifest in ${segment}`,
  };
}
