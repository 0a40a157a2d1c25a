// To whom a rule of EMQX applies. What is not known of a client, or not understood of the rule, is neither yes nor no: undefined.
import { readPattern } from './acl-pattern.ts';
import type { Term } from './acl-term.ts';
import { contains, rangeOf } from './addresses.ts';

/** What the broker knows of a client. What is left out is not known, but for attributes: one that is not there is not set. */
export type AclClient = {
  clientid: string;
  username?: string;
  commonName?: string;
  address?: string;
  attributes: Readonly<Record<string, string>>;
};

/** `byName`: it looks at more than attributes. */
export type Who = ((client: AclClient) => boolean | undefined) & { byName?: boolean };

/** Undefined: the condition is not understood. */
export function readWho(term: Term): Who | undefined {
  if (term.is === 'atom') return term.value === 'all' ? () => true : undefined;
  if (term.is !== 'tuple') return undefined;
  const [head, first, second, ...rest] = term.items;
  if (head?.is !== 'atom' || first === undefined || rest.length > 0) return undefined;
  if (second !== undefined) return head.value === 'client_attr' ? readAttribute(first, second) : undefined;
  if (head.value === 'clientid' || head.value === 'client') return readText(first, ({ clientid }) => clientid);
  if (head.value === 'username' || head.value === 'user') return readText(first, ({ username }) => username);
  if (head.value === 'ipaddr') return readAddresses([first]);
  if (first.is !== 'list') return undefined;
  if (head.value === 'ipaddrs') return readAddresses(first.items);
  return head.value === 'and' || head.value === 'or' ? readAll(first.items, head.value) : undefined;
}

function readAll(terms: readonly Term[], word: 'and' | 'or'): Who | undefined {
  const parts = terms.map(readWho);
  if (parts.some((part) => part === undefined)) return undefined;
  const decides = word === 'or';
  const all: Who = (client) => {
    const answers = parts.map((part) => part?.(client));
    if (answers.includes(decides)) return decides;
    return answers.includes(undefined) ? undefined : !decides;
  };
  return Object.assign(all, { byName: parts.some((part) => part?.byName) });
}

function readAttribute(name: Term, value: Term): Who | undefined {
  if (name.is !== 'text') return undefined;
  const test = readTest(value);
  return test && (({ attributes }) => Object.hasOwn(attributes, name.value) && test(attributes[name.value] ?? ''));
}

function readText(term: Term, of: (client: AclClient) => string | undefined): Who | undefined {
  const test = readTest(term);
  if (test === undefined) return undefined;
  const who: Who = (client) => {
    const value = of(client);
    return value === undefined ? undefined : test(value);
  };
  return Object.assign(who, { byName: true });
}

/** A plain text is the whole value; a pattern is found anywhere in it. */
function readTest(term: Term): ((value: string) => boolean) | undefined {
  if (term.is === 'text') return (value) => value === term.value;
  const [re, source] = term.is === 'tuple' && term.items.length === 2 ? term.items : [];
  if (re?.is !== 'atom' || re.value !== 're' || source?.is !== 'text') return undefined;
  const pattern = readPattern(source.value);
  if (pattern === undefined) return undefined;
  const known = new Map<string, boolean>();
  // A fleet has few segments and many devices: what a pattern says of one value is asked again and again.
  return (value) => {
    const found = known.get(value) ?? pattern.test(value);
    if (known.size < MOST_KNOWN) known.set(value, found);
    return found;
  };
}

const MOST_KNOWN = 10_000;

function readAddresses(terms: readonly Term[]): Who | undefined {
  const ranges = terms.map((term) => (term.is === 'text' ? rangeOf(term.value) : undefined));
  if (ranges.some((range) => range === undefined)) return undefined;
  const who: Who = ({ address }) => {
    const from = address === undefined ? undefined : rangeOf(address);
    return from && ranges.some((range) => range !== undefined && contains(range, from));
  };
  return Object.assign(who, { byName: true });
}
