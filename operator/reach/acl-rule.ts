// Rules of EMQX's authorization as data: of its file source and of its built-in database. A rule that is not understood is kept: it may allow everything, and denies nothing.
import { type Form, readForms, type Term } from './acl-term.ts';
import { readWho, type Who } from './acl-who.ts';

export type Action = 'publish' | 'subscribe';
export type Qos = 0 | 1 | 2;

/** Where a rule stands, and its words: a proof that a person can look up. */
export type Proof = { source: string; line?: number; text: string };

/** `literal`: `{eq, F}`, compared letter by letter. */
export type RuleTopic = { text: string; literal: boolean };

export type AclRule = {
  /** `unread`: nobody knows. */
  permission: 'allow' | 'deny' | 'unread';
  who: Who;
  action: Action | 'all';
  qos: readonly Qos[];
  retain: boolean | 'all';
  topics: readonly RuleTopic[] | 'all';
  proof: Proof;
  /** Why it was not understood. */
  fault?: string;
};

export const ANY_QOS: readonly Qos[] = [0, 1, 2];
const ALL = { action: 'all', qos: ANY_QOS, retain: 'all', topics: 'all' } as const;
const FILE = 'file';

export const unreadRule = (proof: Proof, fault: string, who: Who = () => true): AclRule => ({
  ...ALL,
  permission: 'unread',
  who,
  proof,
  fault,
});

/** The rules of a text as EMQX's REST API gives it back. Of a text that is no list of terms nothing is known. */
export function readFileRules(text: string): AclRule[] {
  const read = readForms(text);
  if ('fault' in read) return [unreadRule({ source: FILE, text: '' }, `the text is not understood: ${read.fault}`)];
  return read.forms.map(fileRule);
}

function fileRule({ term, line, text }: Form): AclRule {
  const proof: Proof = { source: FILE, line, text };
  const [permission, who, action, topics, ...rest] = term.is === 'tuple' ? term.items : [];
  const word = permission?.is === 'atom' ? permission.value : undefined;
  if ((word !== 'allow' && word !== 'deny') || who === undefined || rest.length > 0) return unreadRule(proof, 'it is no rule');
  if (!isPlain(term)) return unreadRule(proof, 'it has characters beyond ASCII');
  const applies = readWho(who);
  if (applies === undefined) return unreadRule(proof, 'its subject is not understood');
  // A pair with another subject is refused by EMQX.
  if (action === undefined)
    return who.is === 'atom'
      ? { ...ALL, permission: word, who: applies, proof }
      : unreadRule(proof, 'it says neither action nor topics', applies);
  const [actions, filters] = [readAction(action), topics && readTopics(topics)];
  if (actions === undefined) return unreadRule(proof, 'its action is not understood', applies);
  if (filters === undefined) return unreadRule(proof, 'its topics are not understood', applies);
  return { permission: word, who: applies, ...actions, topics: filters, proof };
}

const PLAIN = /^[\x20-\x7e]*$/;

/** Texts beyond it are bytes to one version and characters to another. */
function isPlain(term: Term): boolean {
  if ('items' in term) return term.items.every(isPlain);
  return term.is === 'integer' || PLAIN.test(term.value);
}

type Actions = Pick<AclRule, 'action' | 'qos' | 'retain'>;

function readAction(term: Term): Actions | undefined {
  const [name, options] = term.is === 'tuple' && term.items.length === 2 ? term.items : [term];
  const action = name?.is === 'atom' ? actionOf(name.value) : undefined;
  if (action === undefined) return undefined;
  const actions: Actions = { action, qos: ANY_QOS, retain: 'all' };
  if (options === undefined) return term.is === 'atom' ? actions : undefined;
  return options.is === 'list' ? withOptions(actions, options.items) : undefined;
}

const actionOf = (word: unknown): Action | 'all' | undefined =>
  word === 'publish' || word === 'subscribe' || word === 'all' ? word : undefined;

/** EMQX does not look at an option that it does not know: the rule is wider than its author meant (emqx-profile.md, 14). */
function withOptions(actions: Actions, options: readonly Term[]): Actions | undefined {
  const seen = new Set<string>();
  let read = actions;
  for (const option of options) {
    const [key, value, ...rest] = option.is === 'tuple' ? option.items : [];
    if (key?.is !== 'atom' || value === undefined || rest.length > 0 || seen.has(key.value)) return undefined;
    seen.add(key.value);
    if (key.value === 'qos') {
      const qos = (value.is === 'list' ? value.items : [value]).map((one) => (one.is === 'integer' ? qosOf(one.value) : undefined));
      if (qos.some((one) => one === undefined)) return undefined;
      read = { ...read, qos: qos.filter((one) => one !== undefined) };
    }
    if (key.value === 'retain' && actions.action !== 'subscribe') {
      const retain = value.is === 'atom' ? RETAIN.get(value.value) : undefined;
      if (retain === undefined) return undefined;
      read = { ...read, retain };
    }
  }
  return read;
}

const RETAIN = new Map<unknown, boolean | 'all'>([
  ['all', 'all'],
  ['true', true],
  ['false', false],
  [true, true],
  [false, false],
  [undefined, 'all'],
]);

const qosOf = (value: unknown): Qos | undefined => ANY_QOS.find((one) => one === value);

function readTopics(term: Term): AclRule['topics'] | undefined {
  if (term.is === 'atom' && term.value === 'all') return 'all';
  if (term.is !== 'list') return undefined;
  const topics = term.items.map(readTopic);
  return topics.some((topic) => topic === undefined) ? undefined : topics.filter((topic) => topic !== undefined);
}

function readTopic(term: Term): RuleTopic | undefined {
  if (term.is === 'text') return { text: term.value, literal: false };
  const [eq, literal] = term.is === 'tuple' && term.items.length === 2 ? term.items : [];
  return eq?.is === 'atom' && eq.value === 'eq' && literal?.is === 'text' ? { text: literal.value, literal: true } : undefined;
}

/** Rules of the built-in database as the REST API gives them: of one client, of one user name, or of all. `whose` names them in a proof. */
export function readRecord(rules: unknown, whose: string, who: Who): AclRule[] {
  if (!Array.isArray(rules)) return [unreadRule({ source: whose, text: '' }, 'it is no list of rules', who)];
  return rules.map((rule: unknown) => recordRule(rule, { source: whose, text: JSON.stringify(rule) ?? '' }, who));
}

const FIELDS = new Set(['topic', 'permission', 'action', 'qos', 'retain']);

function recordRule(rule: unknown, proof: Proof, who: Who): AclRule {
  if (typeof rule !== 'object' || rule === null) return unreadRule(proof, 'it is no rule', who);
  const { permission, action: word, topic, qos = ANY_QOS, retain: kept } = rule as Record<string, unknown>;
  const odd = Object.keys(rule).find((field) => !FIELDS.has(field));
  // Newer versions have conditions beside these.
  if (odd !== undefined) return unreadRule(proof, 'it has a field that is not understood', who);
  const [action, retain] = [actionOf(word), kept === 'all' ? 'all' : RETAIN.get(kept)];
  const levels = Array.isArray(qos) ? qos.map(qosOf) : [undefined];
  if ((permission !== 'allow' && permission !== 'deny') || typeof topic !== 'string' || (typeof kept === 'string') !== (kept === 'all'))
    return unreadRule(proof, 'it is no rule', who);
  if (action === undefined || retain === undefined || levels.includes(undefined))
    return unreadRule(proof, 'its action is not understood', who);
  if (!PLAIN.test(topic)) return unreadRule(proof, 'it has characters beyond ASCII', who);
  const literal = topic.startsWith('eq ');
  const topics = [{ text: literal ? topic.slice(3) : topic, literal }];
  return { permission, who, action, qos: levels.filter((one) => one !== undefined), retain, topics, proof };
}
