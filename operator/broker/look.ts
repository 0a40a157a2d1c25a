// What EMQX holds about devices, for a person who asks: reads only.
import { parseAcl } from './acl-parse.ts';
import { classify, namesIn } from './acl-text.ts';
import { type ConnectedClient, type Emqx, type HeldBan, pages } from './emqx.ts';
import { isOurs, isQuarantine } from './record.ts';

export type FleetSight = {
  /** By client id; also sessions whose client is away. */
  clients: ReadonlyMap<string, ConnectedClient>;
  bans: readonly HeldBan[];
};

export type ClientSight = {
  client: ConnectedClient | undefined;
  /** Of the client id, and of the certificates asked for (their MD5 is the user name). */
  bans: readonly HeldBan[];
  /** Rules of this client alone: ours in quarantine or until a new certificate is in use; those of others add to or take from its rights. */
  record: 'none' | 'quarantine' | 'moved' | 'foreign';
  acl: {
    kind: 'owned' | 'guest' | 'boot' | 'foreign' | 'unreadable';
    /** Whether our block grants this segment anything. */
    granted: boolean;
    /** The rules in which the segment is meant, in their order, with only this segment's name. */
    lines: readonly string[];
  };
};

export async function lookAtFleet(emqx: Emqx): Promise<FleetSight> {
  const [clients, bans] = await Promise.all([emqx.clientsSince(), emqx.bans()]);
  return { clients: new Map(clients.map((client) => [client.clientid, client])), bans };
}

export async function lookAtClient(emqx: Emqx, who: { client: string; segment: string; md5s: readonly string[] }): Promise<ClientSight> {
  const [client, bans, rules, sources] = await Promise.all([
    emqx.clientSince(who.client),
    emqx.bans(),
    emqx.record(who.client),
    emqx.sources(),
  ]);
  const about = (ban: HeldBan): boolean =>
    ban.as === 'clientid' ? ban.who === who.client : ban.as === 'username' && who.md5s.includes(ban.who);
  const own = rules === undefined || rules.length === 0 ? undefined : rules;
  return {
    client,
    bans: bans.filter(about),
    record: own === undefined ? 'none' : isQuarantine(who.client, own) ? 'quarantine' : isOurs(who.client, own) ? 'moved' : 'foreign',
    acl: aclOf(sources.find(({ type }) => type === 'file')?.rules ?? '', who.segment),
  };
}

/** Total over all texts. */
export function aclOf(text: string, segment: string): ClientSight['acl'] {
  const parsed = parseAcl(text);
  if (!parsed.ok) return { kind: 'unreadable', granted: false, lines: [] };
  const name = segment.replace('.', '[.]');
  const lines = parsed.rules.flatMap(({ start, end }) => {
    const rule = text.slice(start, end);
    const names = /[{]re, ?"\^[(][?]:([^"]*)[)][$]"[}]/.exec(rule);
    const isMeant = names === null ? rule.includes(`"${segment}"`) : names[1]?.split('|').includes(name) === true;
    if (!isMeant) return [];
    const short = names === null ? rule : rule.replace(names[0], () => `"${segment}"`);
    return [short.replaceAll(/\s+/g, ' ').slice(0, LONGEST_LINE)];
  });
  return { kind: classify(text).kind, granted: namesIn(text).has(segment), lines };
}

const LONGEST_LINE = 400;

/** What decides over publish and subscribe, as EMQX gives it: bodies of the REST API, not looked into. */
export type RulesSight = FleetSight & {
  sources: unknown;
  settings: unknown;
  records: { clients: readonly unknown[]; users: readonly unknown[]; all: unknown };
};

const RULES = '/authorization/sources/built_in_database/rules';

export async function lookAtRules(emqx: Emqx): Promise<RulesSight> {
  const [fleet, sources, settings, clients, users, all] = await Promise.all([
    lookAtFleet(emqx),
    emqx.read('/authorization/sources'),
    emqx.read('/authorization/settings'),
    pages(emqx.read, `${RULES}/clients`),
    pages(emqx.read, `${RULES}/users`),
    emqx.read(`${RULES}/all`),
  ]);
  return { ...fleet, sources, settings, records: { clients, users, all } };
}
