// Invariants of a fleet, read strictly from a document: a misspelt word must not make a rule that holds by not being looked at. docs/guides/verify.md has the schema. Pure.
import { type AddressRange, parseCidr } from './addresses.ts';
import { isObject } from './label-selector.ts';
import { isFilter, levelsOf } from './topic.ts';

/** All that is said must hold; `trust` is a range, both ends included. */
export type Who = {
  namespace?: string;
  segment?: string;
  trust?: readonly [least: number, most: number];
  function?: string;
  pods?: string;
  cidr?: AddressRange;
  internet?: true;
};
export type Via = 'any' | 'network' | 'broker';
export type Invariant = { name: string } & (
  | { kind: 'never'; from: readonly Who[]; to: readonly Who[]; via: Via }
  /** Nobody but `from` reaches `to`. */
  | { kind: 'only'; from: readonly Who[]; to: readonly Who[]; via: Via }
  /** Nobody but `who` does this with any topic of `filter`. */
  | { kind: 'topic'; action: 'publish' | 'subscribe'; filter: string; who: readonly Who[] }
);

export type InvariantsRead = { invariants: readonly Invariant[]; faults: readonly string[] };

/** `document`: what the YAML says. With faults, each with its path, nothing may be checked. */
export function readInvariants(document: unknown): InvariantsRead {
  const faults: string[] = [];
  const root = new Reading(faults);
  const fields = root.object(document, '', ['invariants']);
  const entries = root.list(fields?.invariants, 'invariants');
  if (fields !== undefined && entries.length === 0) root.fault('invariants', 'it is empty: a file that checks nothing is always satisfied');
  if (entries.length > MOST) root.fault('invariants', `it has more than ${MOST} entries`);
  const invariants = entries.slice(0, MOST).flatMap((entry, at) => readInvariant(root, entry, `invariants[${at}]`) ?? []);
  const names = new Set<string>();
  for (const { name } of invariants) {
    if (names.has(name)) root.fault('invariants', `two are named ${JSON.stringify(name)}`);
    names.add(name);
  }
  return { invariants, faults };
}

const MOST = 500;
const KINDS = ['never', 'only', 'publish', 'subscribe'] as const;

function readInvariant(read: Reading, entry: unknown, path: string): Invariant | undefined {
  const fields = read.object(entry, path, ['name', ...KINDS]);
  if (fields === undefined) return undefined;
  const name = read.text(fields.name, `${path}.name`, NAME, 'a name of letters, digits, spaces and . , - _ ( ), at most 120 characters');
  const [kind, more] = KINDS.filter((one) => fields[one] !== undefined);
  if (kind === undefined || more !== undefined) return read.fault(path, `it needs one of ${KINDS.join(', ')}, and only one`);
  const body =
    kind === 'never' || kind === 'only'
      ? readPair(read, kind, fields[kind], `${path}.${kind}`)
      : readTopic(read, kind, fields[kind], `${path}.${kind}`);
  return name === undefined || body === undefined ? undefined : { name, ...body };
}

const NAME = /^[\p{L}\p{N}][\p{L}\p{N} .,_()'<>=-]{0,119}$/u;

function readPair(read: Reading, kind: 'never' | 'only', value: unknown, path: string) {
  const fields = read.object(value, path, ['from', 'to', 'via']);
  if (fields === undefined) return undefined;
  const via = fields.via ?? 'any';
  if (via !== 'any' && via !== 'network' && via !== 'broker') return read.fault(`${path}.via`, 'it is none of any, network, broker');
  const [from, to] = [readWho(read, fields.from, `${path}.from`), readWho(read, fields.to, `${path}.to`)];
  return from === undefined || to === undefined ? undefined : { kind, from, to, via: via as Via };
}

function readTopic(read: Reading, action: 'publish' | 'subscribe', value: unknown, path: string) {
  const fields = read.object(value, path, ['topic', 'only']);
  if (fields === undefined) return undefined;
  const filter = fields.topic;
  if (typeof filter !== 'string' || !isPlainFilter(filter)) return read.fault(`${path}.topic`, 'it is no MQTT topic filter such as dt/+/#');
  const who = Array.isArray(fields.only) && fields.only.length === 0 ? [] : readWho(read, fields.only, `${path}.only`);
  return who === undefined ? undefined : { kind: 'topic' as const, action, filter, who };
}

function isPlainFilter(text: string): boolean {
  return text.length <= MOST_CHARACTERS && /^[^\p{C}]+$/u.test(text) && isFilter(levelsOf(text));
}

const MOST_CHARACTERS = 256;

/** One, or a list of which one is enough; `everybody` and `internet` as words. */
function readWho(read: Reading, value: unknown, path: string): readonly Who[] | undefined {
  if (value === undefined || value === null) return read.fault(path, 'it is missing');
  if (Array.isArray(value)) {
    if (value.length === 0) return read.fault(path, 'the list is empty');
    const all = value.map((one: unknown, at) => readOne(read, one, `${path}[${at}]`));
    return all.every((one) => one !== undefined) ? all : undefined;
  }
  const one = readOne(read, value, path);
  return one === undefined ? undefined : [one];
}

function readOne(read: Reading, value: unknown, path: string): Who | undefined {
  if (value === 'internet') return { internet: true };
  if (value === 'everybody') return {};
  const fields = read.object(value, path, ['namespace', 'segment', 'trust', 'function', 'pods', 'cidr']);
  if (fields === undefined) return undefined;
  if (Object.keys(fields).length === 0) return read.fault(path, 'it names nobody: write everybody if that is meant');
  const who: Who = {};
  for (const field of ['namespace', 'segment', 'function', 'pods'] as const) {
    if (fields[field] === undefined) continue;
    const name = read.text(fields[field], `${path}.${field}`, OBJECT_NAME, 'a name as Kubernetes has it');
    if (name === undefined) return undefined;
    who[field] = name;
  }
  if (fields.trust !== undefined) {
    const trust = trustOf(fields.trust);
    if (trust === undefined) return read.fault(`${path}.trust`, 'it is no trust such as 2, "<= 2" or ">= 3"');
    who.trust = trust;
  }
  if (fields.cidr !== undefined) {
    const cidr = typeof fields.cidr === 'string' ? parseCidr(fields.cidr) : undefined;
    if (cidr === undefined) return read.fault(`${path}.cidr`, 'it is no CIDR such as 10.0.0.0/8');
    if (Object.keys(fields).length > 1) return read.fault(path, 'cidr goes with nothing else: addresses have neither namespace nor trust');
    who.cidr = cidr;
  }
  return who;
}

const OBJECT_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const MOST_TRUST = 4;

function trustOf(value: unknown): readonly [number, number] | undefined {
  if (typeof value === 'number') return trustOf(String(value));
  const [, operator = '', digit] = typeof value === 'string' ? (/^(<=|>=|<|>|=)?\s*([0-4])$/.exec(value) ?? []) : [];
  if (digit === undefined) return undefined;
  const trust = Number(digit);
  const range = { '<=': [0, trust], '<': [0, trust - 1], '>=': [trust, MOST_TRUST], '>': [trust + 1, MOST_TRUST] }[operator] ?? [
    trust,
    trust,
  ];
  const [least = 0, most = -1] = range;
  return least > most ? undefined : [least, most];
}

class Reading {
  readonly #faults: string[];
  constructor(faults: string[]) {
    this.#faults = faults;
  }
  fault(path: string, why: string): undefined {
    this.#faults.push(`${path === '' ? 'the document' : path}: ${why}`);
    return undefined;
  }
  object(value: unknown, path: string, known: readonly string[]): Record<string, unknown> | undefined {
    if (!isObject(value)) return this.fault(path, `it is not an object with ${known.join(', ')}`);
    const unknown = Object.keys(value).find((name) => !known.includes(name));
    if (unknown === undefined) return value;
    return this.fault(path, `it has the unknown field ${JSON.stringify(unknown.slice(0, 60))}; known are ${known.join(', ')}`);
  }
  list(value: unknown, path: string): readonly unknown[] {
    if (Array.isArray(value)) return value;
    if (value !== undefined) this.fault(path, 'it is not a list');
    return [];
  }
  text(value: unknown, path: string, pattern: RegExp, what: string): string | undefined {
    return typeof value === 'string' && pattern.test(value) ? value : this.fault(path, `it is not ${what}`);
  }
}
