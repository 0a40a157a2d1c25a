// What an ACL text answers to one client: the reading that EMQX makes of it, as far as an adoption has to foresee it. Pure (emqx.md §2).
import type { Term } from './acl-term.ts';

export type AclClient = { clientid: string; username: string; ip: string | undefined; attributes: Readonly<Record<string, string>> };
export type Access = { action: 'publish' | 'subscribe'; topic: string };

/** The first rule that speaks, or undefined: then `no_match` decides. Options about QoS and retain are taken to fit: an adoption asks what could be lost at all. */
export function decide(
  rules: readonly Term[],
  client: AclClient,
  access: Access,
): { permission: 'allow' | 'deny'; rule: number } | undefined {
  for (const [rule, term] of rules.entries()) {
    if (term.kind !== 'tuple') continue;
    const [permission, who, action, topics] = term.items;
    const word = wordOf(permission);
    if (word !== 'allow' && word !== 'deny') continue;
    const short = action === undefined;
    if (!isMeant(who, client) || (!short && !(isAction(action, access) && isTopic(topics, client, access)))) continue;
    return { permission: word, rule };
  }
  return undefined;
}

function isMeant(who: Term | undefined, client: AclClient): boolean {
  if (who === undefined) return false;
  if (who.kind !== 'tuple') return wordOf(who) === 'all';
  const [kind, first, second] = who.items;
  switch (wordOf(kind)) {
    case 'clientid':
    case 'client':
      return isValue(first, client.clientid);
    case 'username':
    case 'user':
      return isValue(first, client.username);
    case 'client_attr':
      return isValue(second, client.attributes[textOf(first) ?? '']);
    case 'ipaddr':
      return isWithin(client.ip, textOf(first));
    case 'ipaddrs':
      return itemsOf(first).some((one) => isWithin(client.ip, textOf(one)));
    case 'and':
      return itemsOf(first).every((one) => isMeant(one, client));
    case 'or':
      return itemsOf(first).some((one) => isMeant(one, client));
    default:
      return false;
  }
}

/** A literal, or `{re, Pattern}` which is not anchored. What JavaScript cannot read as a pattern matches nothing. */
function isValue(wanted: Term | undefined, value: string | undefined): boolean {
  if (value === undefined || wanted === undefined) return false;
  if (wanted.kind !== 'tuple') return textOf(wanted) === value;
  try {
    return wordOf(wanted.items[0]) === 're' && new RegExp(textOf(wanted.items[1]) ?? '(?!)', 's').test(value);
  } catch {
    return false;
  }
}

function isAction(action: Term | undefined, access: Access): boolean {
  const name = action?.kind === 'tuple' ? wordOf(action.items[0]) : wordOf(action);
  return name === 'all' || name === 'pubsub' || name === access.action;
}

function isTopic(topics: Term | undefined, client: AclClient, access: Access): boolean {
  if (wordOf(topics) === 'all') return true;
  return itemsOf(topics).some((one) => {
    const literal = one.kind === 'tuple' && wordOf(one.items[0]) === 'eq' ? textOf(one.items[1]) : equalsText(one);
    if (literal !== undefined) return literal === access.topic;
    const filter = filledIn(textOf(one), client);
    return filter !== undefined && matches(access.topic, filter);
  });
}

function equalsText(one: Term): string | undefined {
  const text = textOf(one);
  return text?.startsWith('eq ') ? text.slice(3) : undefined;
}

/** With the placeholders of EMQX; one without a value matches nothing. A device's certificate names its client id. */
function filledIn(filter: string | undefined, client: AclClient): string | undefined {
  let missing = filter === undefined;
  const value = (text: string | undefined): string => {
    missing ||= text === undefined;
    return text ?? '';
  };
  const text = (filter ?? '')
    .replaceAll('%c', client.clientid)
    .replaceAll('%u', client.username)
    .replaceAll(/[$][{]([^}]*)[}]/g, (whole, name: string) => {
      if (name === 'clientid' || name === 'cert_common_name') return client.clientid;
      if (name === 'username') return client.username;
      return name.startsWith('client_attrs.') ? value(client.attributes[name.slice('client_attrs.'.length)]) : whole;
    });
  return missing ? undefined : text;
}

/** emqx_topic:match/2: also a subscription is matched word by word, so that + takes a #. */
function matches(topic: string, filter: string): boolean {
  const words = topic.split('/');
  const wanted = filter.split('/');
  if (words[0]?.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false;
  for (const [i, word] of wanted.entries()) {
    if (word === '#') return true;
    if (words[i] === undefined || (word !== '+' && word !== words[i])) return false;
  }
  return words.length === wanted.length;
}

function isWithin(ip: string | undefined, range: string | undefined): boolean {
  const [base, length = '32'] = (range ?? '').split('/');
  const address = numberOf(ip);
  const network = numberOf(base);
  if (address === undefined || network === undefined) return ip !== undefined && ip === base;
  const size = 2 ** (32 - Number(length));
  return Math.floor(address / size) === Math.floor(network / size);
}

function numberOf(ip: string | undefined): number | undefined {
  const bytes = /^(\d{1,3})[.](\d{1,3})[.](\d{1,3})[.](\d{1,3})$/
    .exec(ip ?? '')
    ?.slice(1)
    .map(Number);
  return bytes?.every((byte) => byte <= 255) === true ? bytes.reduce((sum, byte) => sum * 256 + byte, 0) : undefined;
}

const wordOf = (term: Term | undefined): string | undefined => (term?.kind === 'atom' ? term.name : undefined);
const textOf = (term: Term | undefined): string | undefined =>
  term?.kind === 'string' || term?.kind === 'binary' ? term.text : term?.kind === 'atom' ? term.name : undefined;
const itemsOf = (term: Term | undefined): readonly Term[] => (term?.kind === 'list' ? term.items : []);
