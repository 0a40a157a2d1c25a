// Reads our own block back before EMQX gets it: EMQX answers 204 to a misspelt option, an unknown placeholder or a name that closed its string (emqx-profile.md, 14).
import { parseAcl } from './acl-parse.ts';
import { sameTerm, type Term } from './acl-term.ts';
import { BROKER_DEVICE, BROKER_SEGMENT, unsafeTopic } from './topic.ts';

/** Why the text must not be sent; undefined when it says exactly what was meant, and nothing in it can widen. */
export function lint(text: string, meant: readonly Term[]): string | undefined {
  const parsed = parseAcl(text);
  if (!parsed.ok) return `it is no list of terms: ${parsed.why} at offset ${parsed.at}`;
  if (parsed.rules.length !== meant.length) return `it has ${parsed.rules.length} rules instead of ${meant.length}`;
  for (const [i, { term }] of parsed.rules.entries()) {
    const wanted = meant[i];
    if (wanted === undefined || !sameTerm(term, wanted)) return `rule ${i + 1} is not what was meant`;
    const why = unsafeRule(term);
    if (why !== undefined) return `rule ${i + 1}: ${why}`;
  }
  const last = parsed.rules.at(-1)?.term;
  return last !== undefined && wordAt(last, 0) === 'deny' ? undefined : 'it does not end in a deny';
}

function unsafeRule(term: Term): string | undefined {
  const [permission, who, action, topics, ...rest] = term.kind === 'tuple' ? term.items : [];
  if (rest.length > 0) return 'it has more than four parts';
  if (word(permission) === 'deny') return unsafeDeny(who, action, topics);
  if (word(permission) !== 'allow') return 'it neither allows nor denies';
  return unsafeWho(who) ?? unsafeAction(action) ?? unsafeTopics(action, topics);
}

/** `{deny, all}` (a pair with another subject is refused by EMQX), or everything of some segments. */
function unsafeDeny(who: Term | undefined, action: Term | undefined, topics: Term | undefined): string | undefined {
  if (action === undefined && topics === undefined) return word(who) === 'all' ? undefined : 'a short deny must be for all';
  return word(action) === 'all' && word(topics) === 'all' ? unsafeWho(who) : 'a deny must be for all actions and topics';
}

const NAME = '[a-z0-9-]+\\[[.]\\][a-z0-9-]+';
const ONE_OF = new RegExp(`^\\^\\(\\?:${NAME}(?:\\|${NAME})*\\)\\$$`);
const ANY = '^[a-z0-9-]+[.][a-z0-9-]+$';

/** Only by the segment that the broker took from a certificate, and only by whole names. */
function unsafeWho(who: Term | undefined): string | undefined {
  if (who?.kind !== 'tuple' || who.items.length !== 3 || wordAt(who, 0) !== 'client_attr') return 'its subject is not a segment';
  const [, attribute, value] = who.items;
  if (attribute?.kind !== 'string' || attribute.text !== 'seg') return 'its subject is not the attribute seg';
  const pattern = value?.kind === 'tuple' && value.items.length === 2 && wordAt(value, 0) === 're' ? value.items[1] : undefined;
  if (pattern?.kind !== 'string') return 'its subject is not a pattern';
  return pattern.text === ANY || ONE_OF.test(pattern.text) ? undefined : 'its pattern could match another segment';
}

/** `publish`, `subscribe`, or one of them with options that EMQX knows: one that it does not know is ignored, which allows more. */
function unsafeAction(action: Term | undefined): string | undefined {
  if (['publish', 'subscribe'].includes(word(action) ?? '')) return undefined;
  if (action?.kind !== 'tuple' || action.items.length !== 2) return 'its action is unknown';
  const [name, options] = action.items;
  if (!['publish', 'subscribe'].includes(word(name) ?? '') || options?.kind !== 'list') return 'its action is unknown';
  const known = options.items.every((option) => isQos(option) || (word(name) === 'publish' && isRetainFalse(option)));
  return known && options.items.length > 0 ? undefined : 'it has an option that EMQX would ignore';
}

function isQos(option: Term): boolean {
  const levels = option.kind === 'tuple' && option.items.length === 2 && wordAt(option, 0) === 'qos' ? option.items[1] : undefined;
  return (
    levels?.kind === 'list' &&
    levels.items.length > 0 &&
    levels.items.every((one) => one.kind === 'number' && [0, 1, 2].includes(one.value))
  );
}

function isRetainFalse(option: Term): boolean {
  return option.kind === 'tuple' && option.items.length === 2 && wordAt(option, 0) === 'retain' && word(option.items[1]) === 'false';
}

function unsafeTopics(action: Term | undefined, topics: Term | undefined): string | undefined {
  if (topics?.kind !== 'list' || topics.items.length === 0) return 'it has no topics';
  const name = word(action) ?? (action === undefined ? '' : wordAt(action, 0));
  for (const topic of topics.items) {
    if (topic.kind !== 'string') return 'a topic is no string';
    // With EMQX's own placeholders taken back nothing may be left that is not a plain filter.
    const plain = topic.text.replaceAll(BROKER_DEVICE, '{device}').replaceAll(BROKER_SEGMENT, '{segment}');
    const why = unsafeTopic(plain, name === 'publish' ? 'publish' : 'subscribe');
    if (why !== undefined) return `a topic ${why}`;
  }
  return undefined;
}

const word = (term: Term | undefined): string | undefined => (term?.kind === 'atom' ? term.name : undefined);
const wordAt = (term: Term, at: number): string | undefined => (term.kind === 'tuple' ? word(term.items[at]) : undefined);
