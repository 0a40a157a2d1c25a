// What EMQX's REST API says of authorization, read as one chain of rules: the sources in their order, then `no_match`.
import { type AclRule, ANY_QOS, readFileRules, readRecord, unreadRule } from './acl-rule.ts';
import type { AclClient } from './acl-who.ts';
import { isObject } from './label-selector.ts';

/** Bodies of the REST API as they came. `clients`, `users`: the `rules` by client id and user name; `all`: those of everybody. What could not be read is left out. */
export type BrokerAnswers = {
  /** GET /authorization/sources */
  sources: unknown;
  /** GET /authorization/settings */
  settings: unknown;
  records?: { clients: ReadonlyMap<string, unknown>; users: ReadonlyMap<string, unknown>; all: unknown };
};

export type AclBroker = {
  rulesFor(client: AclClient): readonly AclRule[];
  /** Each in a sentence: what is not understood, and may allow everything. */
  unread: readonly string[];
  /** Of the rules that all clients share; a name that stands in one of them is not like others. */
  shared: readonly AclRule[];
  recordOf(client: AclClient): string;
};

type Chain = { shared: AclRule[]; own?: never } | { own: (client: AclClient) => AclRule[]; shared?: never };

const everybody = (): boolean => true;

export function readBroker({ sources, settings, records }: BrokerAnswers): AclBroker {
  const chains = [...readSources(sources, records), { shared: [lastRule(settings)] }];
  const shared = chains.flatMap((chain) => chain.shared ?? []);
  const recordRules =
    records === undefined
      ? []
      : [...records.clients, ...records.users].flatMap(([name, rules]) => readRecord(rules, `record of ${name}`, everybody));
  return {
    rulesFor: (client) => chains.flatMap((chain) => chain.shared ?? chain.own?.(client) ?? []),
    unread: [...shared, ...recordRules].flatMap(({ proof, fault }) =>
      fault === undefined ? [] : [`${proof.source}${proof.line === undefined ? '' : `, line ${proof.line}`}: ${fault}`],
    ),
    shared: [...shared, ...recordRules],
    recordOf: ({ clientid, username }) =>
      records === undefined
        ? ''
        : JSON.stringify([records.clients.get(clientid), username === undefined ? undefined : records.users.get(username)]),
  };
}

function readSources(body: unknown, records: BrokerAnswers['records']): Chain[] {
  const sources: unknown = isObject(body) ? body.sources : undefined;
  if (!Array.isArray(sources)) return [{ shared: [unreadRule({ source: 'sources', text: '' }, 'there is no list of sources')] }];
  return sources.map((source: unknown) => readSource(source, records));
}

function readSource(source: unknown, records: BrokerAnswers['records']): Chain {
  const { type, enable, rules } = isObject(source) ? source : {};
  const name = typeof type === 'string' ? type : 'a source without a type';
  const unread = (fault: string): Chain => ({ shared: [unreadRule({ source: name, text: '' }, fault)] });
  // A source that is switched off has no say, though its text is given back as before (emqx-profile.md, 14).
  if (enable === false) return { shared: [] };
  if (enable !== true) return unread('it is not known whether it is switched on');
  if (type === 'file') return typeof rules === 'string' ? { shared: readFileRules(rules) } : unread('its text was not read');
  if (type !== 'built_in_database') return unread('what it answers is not known here');
  return records === undefined ? unread('its records were not read') : { own: ownRules(records) };
}

/** Asked in this order: of the client id, of the user name, of everybody (emqx_authz_mnesia). */
function ownRules({ clients, users, all }: NonNullable<BrokerAnswers['records']>): (client: AclClient) => AclRule[] {
  const ofAll = readRecord(all, 'record of everybody', everybody);
  const known = new Map<string, AclRule[]>();
  const once = (key: string, rules: unknown, whose: string): AclRule[] => {
    const read = known.get(key) ?? readRecord(rules, whose, everybody);
    known.set(key, read);
    return read;
  };
  // Of a client whose user name is not known, any of those records may be in force.
  const ofAnyUser = (): AclRule[] =>
    [...users].flatMap(([name, rules]) => once(`u ${name}`, rules, `record of the user ${name}`)).map(maybe);
  return ({ clientid, username }) => {
    const byId = clients.has(clientid) ? once(`c ${clientid}`, clients.get(clientid), `record of ${clientid}`) : [];
    const byUser =
      username === undefined
        ? ofAnyUser()
        : users.has(username)
          ? once(`u ${username}`, users.get(username), `record of the user ${username}`)
          : [];
    return [...byId, ...byUser, ...ofAll];
  };
}

const maybe = (rule: AclRule): AclRule => ({ ...rule, who: () => undefined });

function lastRule(body: unknown): AclRule {
  const { no_match: permission } = isObject(body) ? body : {};
  const proof = { source: 'settings', text: `no_match = ${String(permission)}` };
  if (permission !== 'allow' && permission !== 'deny') return unreadRule({ ...proof, text: '' }, 'no_match is not known');
  return { permission, who: everybody, action: 'all', qos: ANY_QOS, retain: 'all', topics: 'all', proof };
}
