// The text of EMQX's file source: our block between two markers, and whose text one is that stands there.
import { createHash } from 'node:crypto';
import { type ParsedRule, parseAcl } from './acl-parse.ts';
import { printRule, type Term } from './acl-term.ts';

export type Mode = 'owned' | 'guest';

/** `boot`: nothing is allowed yet. `foreign`: other people's, not adopted. `guest`: adopted, other people's rules stand around our block. */
export type AclText =
  | { kind: 'boot' }
  | { kind: 'owned' }
  | { kind: 'guest'; before: string; after: string }
  | { kind: 'foreign'; rules: ParsedRule[] };

const BEGIN = /^%% hedgerow:begin mode=(owned|guest)\b[^\n]*\n/gm;
const END_LINE = '%% hedgerow:end\n';

/** Our rules as text, between markers, with their number and hash: what a person compares with the operator's log. */
export function printBlock(rules: readonly Term[], mode: Mode): string {
  const body = rules.map((rule) => `${printRule(rule)}\n`).join('');
  const hash = createHash('sha256').update(body).digest('hex');
  const note = '%% Kept by Hedgerow: what is changed between these two markers is undone. Rights come from SegmentPolicies.\n';
  return `%% hedgerow:begin mode=${mode} rules=${rules.length} sha256=${hash}\n${note}${body}${END_LINE}`;
}

/** Whose text it is. Adoption is remembered by the marker itself: no other place could lose it or disagree with it. */
export function classify(text: string): AclText {
  const parsed = parseAcl(text);
  const rules = parsed.ok ? parsed.rules : [];
  const markers = [...text.matchAll(BEGIN)].filter(({ index }) => !rules.some((rule) => rule.start < index && index < rule.end));
  const [begin] = markers;
  if (begin?.[1] === 'owned') return { kind: 'owned' };
  if (begin !== undefined && markers.length === 1) {
    const end = text.indexOf(END_LINE, begin.index);
    if (end !== -1) return { kind: 'guest', before: text.slice(0, begin.index), after: text.slice(end + END_LINE.length) };
  }
  if (parsed.ok && rules.every(({ term }) => isCatchAllDeny(term))) return { kind: 'boot' };
  return { kind: 'foreign', rules };
}

/** The whole text with our block in it: alone where the broker is ours, among the others' rules where we are guests. */
export function withBlock(current: AclText, block: string): string {
  if (current.kind !== 'guest') return block;
  // Somebody may have put an allow in front of us since: our block moves up, their rules all stay.
  const at = firstDecisive(current.before);
  return at === undefined ? `${current.before}${block}${current.after}` : splice(`${current.before}${current.after}`, block, at);
}

/** Other people's text with our block before the first rule that could allow our clients something, or end the text for them (emqx-profile.md, 15). */
export function adoptText(foreign: string, block: string): string {
  return splice(foreign, block, firstDecisive(foreign) ?? foreign.length);
}

/** The text without some of its rules; comments stay. */
export function withoutRules(text: string, drop: readonly ParsedRule[]): string {
  let kept = '';
  let from = 0;
  for (const rule of [...drop].sort((a, b) => a.start - b.start)) {
    kept += text.slice(from, rule.start);
    from = rule.end;
  }
  return kept + text.slice(from);
}

/** Segments to which our block in this text grants anything. */
export function namesIn(text: string): Set<string> {
  const names = new Set<string>();
  const begin = text.search(BEGIN);
  if (begin === -1) return names;
  for (const [, alternatives = ''] of text.slice(begin).matchAll(/^[{]allow, [{]client_attr,"seg",[{]re,"\^[(][?]:([^"]*)[)][$]"/gm)) {
    for (const name of alternatives.split('|')) names.add(name.replace('[.]', '.'));
  }
  return names;
}

/** Offset of the first rule that allows anything or denies everything; undefined when there is none. */
function firstDecisive(text: string): number | undefined {
  const parsed = parseAcl(text);
  if (!parsed.ok) return 0;
  return parsed.rules.find(({ term }) => permission(term) !== 'deny' || isCatchAllDeny(term))?.start;
}

function splice(text: string, block: string, at: number): string {
  const before = text.slice(0, at);
  return `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${block}${text.slice(at)}`;
}

function permission(term: Term): string | undefined {
  const first = term.kind === 'tuple' ? term.items[0] : undefined;
  return first?.kind === 'atom' ? first.name : undefined;
}

/** `{deny, all}` or `{deny, all, all, …}`. */
function isCatchAllDeny(term: Term): boolean {
  if (term.kind !== 'tuple' || permission(term) !== 'deny') return false;
  const rest = term.items.slice(1);
  const all = rest.filter((item) => item.kind === 'atom' && item.name === 'all').length;
  return all === rest.length && (rest.length === 1 || rest.length === 3);
}
