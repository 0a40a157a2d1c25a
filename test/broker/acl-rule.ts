/** Rules of the two authorization sources and how EMQX 5.8 matches them (emqx_authz_rule.erl), quirks included. */

import { BlockList, isIP } from 'node:net';
import { consult, showTerm, type Term } from './acl-term.ts';
import { compilePattern, PatternError } from './pcre.ts';
import { matches } from './topic.ts';

export type Permission = 'allow' | 'deny';
export type Access = { action: 'publish' | 'subscribe'; topic: string; qos: 0 | 1 | 2; retain: boolean };
export type AclClient = {
  clientid: string;
  username?: string;
  cn?: string;
  dn?: string;
  peerhost: string;
  zone: string;
  attrs: Record<string, string>;
};

type Who = (client: AclClient) => boolean;
type Topics = 'all' | ((client: AclClient, topic: string) => boolean)[];
type Action = { type: 'publish' | 'subscribe' | 'all'; qos: number[]; retain: 'all' | boolean };
export type Rule = { permission: Permission; who: Who; action: Action; topics: Topics };

export type CompiledAcl = { ok: true; rules: Rule[] } | { ok: false; error: string };

class RuleError extends Error {}

/** Compiles a whole ACL text; the error is the text EMQX answers with status 400. */
export function compileAcl(text: string): CompiledAcl {
  const consulted = consult(text);
  if (!consulted.ok) return consulted;
  try {
    return { ok: true, rules: consulted.terms.map(compileRule) };
  } catch (error) {
    if (error instanceof RuleError) return { ok: false, error: error.message };
    if (error instanceof PatternError) return { ok: false, error: `{badmatch,{error,${error.message}}}` };
    throw error;
  }
}

/** The first rule that matches decides; undefined when none does. */
export function decide(rules: readonly Rule[], client: AclClient, access: Access): Permission | undefined {
  return rules.find((rule) => ruleMatches(rule, client, access))?.permission;
}

function ruleMatches(rule: Rule, client: AclClient, access: Access): boolean {
  const { action, topics } = rule;
  if (action.type !== 'all' && action.type !== access.action) return false;
  if (!action.qos.includes(access.qos)) return false;
  if (access.action === 'publish' && action.retain !== 'all' && action.retain !== access.retain) return false;
  if (!rule.who(client)) return false;
  return topics === 'all' || topics.some((topic) => topic(client, access.topic));
}

/** One rule of a built-in record: always for the record's own client. `eq ` in front of a topic makes it literal. */
export function builtInRule(record: {
  permission: Permission;
  action: Action['type'];
  topic: string;
  qos?: number[];
  retain?: 'all' | boolean;
}): Rule {
  const literal = record.topic.startsWith('eq ');
  return {
    permission: record.permission,
    who: () => true,
    action: { type: record.action, qos: record.qos ?? [0, 1, 2], retain: record.retain ?? 'all' },
    topics: [literal ? equalTopic(record.topic.slice(3)) : filterTopic(record.topic)],
  };
}

function compileRule(term: Term): Rule {
  const invalid = () => new RuleError(mapTerm({ reason: 'invalid_authorization_rule', value: showTerm(term) }));
  if (term.kind !== 'tuple') throw invalid();
  const [permission, who, action, topics] = term.items;
  if (term.items.length === 2 && permission && who?.kind === 'atom' && who.name === 'all' && isPermission(permission)) {
    return { permission: permission.name, who: () => true, action: { type: 'all', qos: [0, 1, 2], retain: 'all' }, topics: 'all' };
  }
  if (term.items.length !== 4 || !permission || !who || !action || !topics) throw invalid();
  if (!isPermission(permission)) throw new RuleError(mapTerm({ reason: 'invalid_authorization_permission', value: showTerm(permission) }));
  return { permission: permission.name, who: compileWho(who), action: compileAction(action), topics: compileTopics(topics) };
}

function isPermission(term: Term): term is { kind: 'atom'; name: Permission } {
  return term.kind === 'atom' && (term.name === 'allow' || term.name === 'deny');
}

/** A map as `~p` shows it: keys sorted, a second line when it is wider than 80 columns. */
function mapTerm(fields: Record<string, string>): string {
  const pairs = Object.entries(fields)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key} => ${value}`);
  const line = `#{${pairs.join(',')}}`;
  return line.length <= 80 ? line : `#{${pairs.join(',\n  ')}}`;
}

function compileWho(term: Term): Who {
  const invalid = () => new RuleError(mapTerm({ identifier: showTerm(term), reason: 'invalid_client_match_condition' }));
  if (term.kind === 'atom') {
    if (term.name === 'all') return () => true;
    throw invalid();
  }
  if (term.kind !== 'tuple') throw invalid();
  const [head, first, second] = term.items;
  if (head?.kind !== 'atom' || !first) throw invalid();
  const simple = term.items.length === 2;
  if ((head.name === 'and' || head.name === 'or') && simple && first.kind === 'list') {
    const parts = first.items.map(compileWho);
    return head.name === 'and' ? (client) => parts.every((part) => part(client)) : (client) => parts.some((part) => part(client));
  }
  if (['clientid', 'client'].includes(head.name) && simple) return compileText(first, (client) => client.clientid, invalid);
  if (['username', 'user'].includes(head.name) && simple) return compileText(first, (client) => client.username, invalid);
  if (head.name === 'client_attr' && term.items.length === 3 && second) {
    const name = textOf(first);
    if (name === undefined) throw invalid();
    return compileText(second, (client) => client.attrs[name], invalid);
  }
  if (head.name === 'ipaddr' && simple) return compileAddresses([first], invalid);
  if (head.name === 'ipaddrs' && simple && first.kind === 'list') return compileAddresses(first.items, invalid);
  throw invalid();
}

function textOf(term: Term): string | undefined {
  return term.kind === 'string' || term.kind === 'binary' ? term.text : undefined;
}

/** A plain value is compared as it stands; `{re, ..}` is searched for anywhere in the value (not anchored). */
function compileText(term: Term, read: (client: AclClient) => string | undefined, invalid: () => Error): Who {
  const text = textOf(term);
  if (text !== undefined) return (client) => read(client) === text;
  if (term.kind !== 'tuple' || term.items.length !== 2) throw invalid();
  const [re, source] = term.items;
  const pattern = source && textOf(source);
  if (re?.kind !== 'atom' || re.name !== 're' || pattern === undefined) throw invalid();
  const compiled = compilePattern(pattern);
  return (client) => {
    const value = read(client);
    return value !== undefined && compiled.test(value);
  };
}

function compileAddresses(terms: Term[], invalid: () => Error): Who {
  const list = new BlockList();
  for (const term of terms) {
    const [address, prefix] = (textOf(term) ?? '').split('/');
    const family = isIP(address ?? '') === 6 ? 'ipv6' : 'ipv4';
    if (!address || isIP(address) === 0) throw invalid();
    if (prefix !== undefined && (!/^\d+$/.test(prefix) || Number(prefix) > (family === 'ipv6' ? 128 : 32))) throw invalid();
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (client) => list.check(client.peerhost, isIP(client.peerhost) === 6 ? 'ipv6' : 'ipv4');
}

function compileAction(term: Term): Action {
  const every: Omit<Action, 'type'> = { qos: [0, 1, 2], retain: 'all' };
  const invalid = () => new RuleError(mapTerm({ reason: 'invalid_authorization_action', value: showTerm(term) }));
  if (term.kind === 'atom') {
    if (term.name === 'pub' || !isActionName(term.name)) throw invalid();
    return { type: term.name, ...every };
  }
  if (term.kind !== 'tuple' || term.items.length !== 2) throw invalid();
  const [head, options] = term.items;
  if (head?.kind !== 'atom' || !isActionName(head.name) || options?.kind !== 'list') throw invalid();
  const action: Action = { type: head.name, ...every };
  for (const option of options.items) {
    if (option.kind !== 'tuple' || option.items.length !== 2) continue;
    const [key, value] = option.items;
    // A misspelt option is not looked at: the rule is wider than its author meant.
    if (key?.kind !== 'atom' || !value) continue;
    if (key.name === 'qos') action.qos = compileQos(value);
    if (key.name === 'retain' && action.type !== 'subscribe') action.retain = compileRetain(value);
  }
  return action;
}

function isActionName(name: string): name is Action['type'] {
  return name === 'publish' || name === 'subscribe' || name === 'all';
}

function compileQos(term: Term): number[] {
  return (term.kind === 'list' ? term.items : [term]).map((item) => {
    if (item.kind === 'number' && [0, 1, 2].includes(item.value)) return item.value;
    throw new RuleError(mapTerm({ qos: showTerm(item), reason: 'invalid_authorization_qos' }));
  });
}

function compileRetain(term: Term): 'all' | boolean {
  if (term.kind === 'atom' && term.name === 'all') return 'all';
  if (term.kind === 'atom' && (term.name === 'true' || term.name === 'false')) return term.name === 'true';
  throw new RuleError(mapTerm({ reason: 'invalid_authorization_retain', value: showTerm(term) }));
}

function compileTopics(term: Term): Topics {
  if (term.kind === 'atom' && term.name === 'all') return 'all';
  if (term.kind === 'list') return term.items.map(compileTopic);
  throw new RuleError('badarg'); // a plain string is a list of characters to Erlang
}

function compileTopic(term: Term): (client: AclClient, topic: string) => boolean {
  const text = textOf(term);
  if (text !== undefined) return filterTopic(text);
  const [eq, value] = term.kind === 'tuple' ? term.items : [];
  const literal = value && textOf(value);
  if (eq?.kind === 'atom' && eq.name === 'eq' && literal !== undefined) return equalTopic(literal);
  throw new RuleError('badarg');
}

/** `{eq, ..}` is compared letter by letter; a placeholder in it stays text. */
function equalTopic(literal: string): (client: AclClient, topic: string) => boolean {
  return (_client, topic) => topic === literal;
}

const PLACEHOLDER = /\$\{(clientid|username|cert_common_name|cert_subject|peerhost|zone|client_attrs\.[A-Za-z0-9_-]+)\}/g;

function filterTopic(filter: string): (client: AclClient, topic: string) => boolean {
  if (filter.search(PLACEHOLDER) < 0) return (_client, topic) => matches(topic, filter);
  return (client, topic) => {
    const rendered = render(filter, client);
    return rendered !== undefined && matches(topic, rendered);
  };
}

/** Values go in raw: a CN of `+` widens the filter. A missing attribute never matches, a missing CN becomes `undefined`. */
function render(filter: string, client: AclClient): string | undefined {
  let missing = false;
  const rendered = filter.replace(PLACEHOLDER, (_all, name: string) => {
    if (name === 'clientid') return client.clientid;
    if (name === 'username') return client.username ?? 'undefined';
    if (name === 'cert_common_name') return client.cn ?? 'undefined';
    if (name === 'cert_subject') return client.dn ?? 'undefined';
    if (name === 'peerhost') return client.peerhost;
    if (name === 'zone') return client.zone;
    const value = client.attrs[name.slice('client_attrs.'.length)];
    if (value === undefined) missing = true;
    return value ?? '';
  });
  return missing ? undefined : rendered;
}
