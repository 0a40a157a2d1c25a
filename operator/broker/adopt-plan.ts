// Taking a place in an EMQX that others use too: what is kept, what would be written, who would lose what. Pure.
import { compileAcl } from './acl-compile.ts';
import { type AclClient, decide } from './acl-decide.ts';
import { lint } from './acl-lint.ts';
import { type ParsedRule, parseAcl } from './acl-parse.ts';
import { adoptText, classify, printBlock, withoutRules } from './acl-text.ts';
import type { SegmentRights } from './broker.ts';
import { WIRE_NAME, withoutGroup } from './topic.ts';

export type AdoptionClient = AclClient & { subscriptions: readonly string[] };

export type AdoptionInput = {
  /** The ACL text as it stands. */
  text: string;
  /** What EMQX does where no rule speaks. */
  noMatch: 'allow' | 'deny';
  segments: readonly SegmentRights[];
  /** Numbers of the foreign rules to keep, from 1 in the order of the text; the others go. */
  keep: 'all' | readonly number[];
  /** Who is connected, with its subscriptions. */
  clients: readonly AdoptionClient[];
};

export type ForeignRule = { number: number; text: string; kept: boolean };
/** A subscription that works now and would not any more. */
export type Loss = { client: string; subscription: string; ours: boolean };

export type AdoptionPlan =
  | { state: 'ours' | 'adopted' | 'empty' }
  | { state: 'unreadable'; why: string }
  | {
      state: 'foreign';
      rules: ForeignRule[];
      losses: Loss[];
      /** Connected clients with a certificate of our form: from now on they may do what their segment grants and nothing else, whatever the foreign rules say. */
      fenced: number;
      /** Everybody who is connected, with the MD5 of the certificate; `ours`: EMQX took a segment from it. */
      connected: { client: string; md5: string; ours: boolean }[];
      /** What would be written. */
      text: string;
    };

/** What adopting would do. `ours`, `adopted`, `empty`: nothing has to be adopted. Throws on a number that no rule has. */
export function planAdoption(input: AdoptionInput): AdoptionPlan {
  const kind = classify(input.text).kind;
  if (kind === 'owned') return { state: 'ours' };
  if (kind === 'guest') return { state: 'adopted' };
  if (kind === 'boot') return { state: 'empty' };
  const parsed = parseAcl(input.text);
  if (!parsed.ok) return { state: 'unreadable', why: `${parsed.why} at offset ${parsed.at}` };
  const kept = keptRules(parsed.rules, input.keep);
  const dropped = parsed.rules.filter((rule) => !kept.has(rule));
  const { rules } = compileAcl({ segments: input.segments, refused: new Map(), age: () => 0, mode: 'guest' });
  const block = printBlock(rules, 'guest');
  const wrong = lint(block, rules);
  if (wrong !== undefined) throw new Error(`the ACL text is not what was meant: ${wrong}`);
  const text = adoptText(withoutRules(input.text, dropped), block);
  return {
    state: 'foreign',
    rules: parsed.rules.map((rule, i) => ({ number: i + 1, text: input.text.slice(rule.start, rule.end), kept: kept.has(rule) })),
    losses: losses(input, parsed.rules, text),
    fenced: input.clients.filter(isOurs).length,
    connected: input.clients.map((client) => ({ client: client.clientid, md5: client.username, ours: isOurs(client) })),
    text,
  };
}

function keptRules(rules: readonly ParsedRule[], keep: AdoptionInput['keep']): Set<ParsedRule> {
  if (keep === 'all') return new Set(rules);
  const unknown = keep.filter((number) => rules[number - 1] === undefined);
  if (unknown.length > 0) throw new RangeError(`there is no rule ${unknown.join(', ')}: the text has ${rules.length}`);
  return new Set(keep.map((number) => rules[number - 1] as ParsedRule));
}

/** Of what can be seen: subscriptions. What a client publishes now and then cannot be listed. */
function losses(input: AdoptionInput, before: readonly ParsedRule[], text: string): Loss[] {
  const after = parseAcl(text);
  const now = before.map((rule) => rule.term);
  const then = after.ok ? after.rules.map((rule) => rule.term) : [];
  return input.clients.flatMap((client) =>
    client.subscriptions
      .filter((subscription) => {
        const access = { action: 'subscribe' as const, topic: withoutGroup(subscription) };
        const allowed = (rules: typeof now): boolean => (decide(rules, client, access)?.permission ?? input.noMatch) === 'allow';
        return allowed(now) && !allowed(then);
      })
      .map((subscription) => ({ client: client.clientid, subscription, ours: isOurs(client) })),
  );
}

const isOurs = (client: AclClient): boolean => WIRE_NAME.test(client.clientid) && client.attributes.seg !== undefined;
