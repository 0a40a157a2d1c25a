// The ACL text made as it should be: compiled, linted, sent, read back, and what it took away taken from those who had it.
import { isOwnName } from '../api/names.ts';
import type { Log } from '../runtime/log.ts';
import { type Compiled, type CompileInput, compileAcl, fingerprint, RULE_BUDGET, type Why } from './acl-compile.ts';
import { lint } from './acl-lint.ts';
import { type AclText, classify, type Mode, namesIn, printBlock, withBlock } from './acl-text.ts';
import type { SegmentRights } from './broker.ts';
import type { BrokerMetrics } from './broker-metrics.ts';
import { CANARY_RULES, canaryRights, digestOf } from './canary.ts';
import type { Emqx, Source } from './emqx.ts';
import { type Knowledge, mayWrite, modeOf } from './knowledge.ts';
import { BrokerError } from './rest.ts';

export type TextDeps = {
  emqx: Emqx;
  knowledge: Knowledge;
  log: Log;
  metrics: BrokerMetrics;
  /** Called when the new text is in force, before it counts as done. */
  settle(change: TextChange): Promise<void>;
  /** Whether the text grants the operator's own client something by which the text can be tried. */
  canary: boolean;
};

export type TextChange = {
  /** There was no text of ours in force before: subscriptions were refused meanwhile and do not come back by themselves (emqx-profile.md, 11). */
  restored: boolean;
  vanished: ReadonlySet<string>;
  appeared: ReadonlySet<string>;
  altered: ReadonlySet<string>;
  /** Somebody else changed the text, or this process does not know what it was: any client may have more than it should. */
  everyone: boolean;
  /** Segments that have rights now. */
  included: ReadonlyMap<string, string>;
};

type Made = { compiled: Compiled; text: string; digest: string | undefined };

export function createText(deps: TextDeps) {
  const { emqx, knowledge } = deps;
  const ages = createAges();
  /** Segment -> rights that EMQX refused. They are tried again when they change, or when the broker restarted. */
  const refused = new Map<string, { fingerprint: string; why: Why }>();
  let confirmedText: string | undefined;
  let unsettled: TextChange | undefined;
  let settled: readonly SegmentRights[] | undefined;

  function make(segments: readonly SegmentRights[], refusals: ReadonlyMap<string, Why>): Made {
    const mode: Mode = modeOf(knowledge);
    const { compiled, digest } = compile({ segments, refused: refusals, age: ages.of, mode });
    const block = printBlock(compiled.rules, mode);
    const why = lint(block, compiled.rules);
    if (why !== undefined) throw new LintError(why);
    return { compiled, digest, text: withBlock(knowledge.text?.kind ?? { kind: 'boot' }, block) };
  }

  /** Twice where it can be tried: what the canary may do names the text without it. Its rules are counted the first time already, so that both leave out the same. */
  function compile(wanted: CompileInput): { compiled: Compiled; digest: string | undefined } {
    // Clients of Hedgerow itself are never what a full budget leaves out.
    const input = { ...wanted, age: (segment: string) => (isOwnName(segment) ? Number.NEGATIVE_INFINITY : wanted.age(segment)) };
    if (!deps.canary) return { compiled: compileAcl(input), digest: undefined };
    const digest = digestOf(compileAcl({ ...input, budget: RULE_BUDGET - CANARY_RULES }).rules);
    return { digest, compiled: compileAcl({ ...input, segments: [canaryRights(digest), ...input.segments] }) };
  }

  async function enforce(segments: readonly SegmentRights[]): Promise<void> {
    if (isSettled(segments)) return;
    ages.learn(knowledge.text?.raw ?? '', segments);
    try {
      let wanted = make(segments, refusalsFor(segments));
      knowledge.textProblem = undefined;
      const inForce = knowledge.text?.inForce === true && knowledge.text.raw === wanted.text;
      if (!inForce && (await othersEdited())) wanted = make(segments, refusalsFor(segments));
      const sent = inForce ? wanted : await send(segments, wanted);
      // A failure in between leaves the change to be settled: the next pass goes on from here.
      if (unsettled !== undefined) await deps.settle(unsettled);
      unsettled = undefined;
      confirmed(sent);
      settled = [...segments];
    } catch (error) {
      if (!(error instanceof LintError)) throw error;
      knowledge.textProblem = error.message;
      deps.log.error({ code: 'HR-BRK-033', found: error.message }, 'the ACL text is not what was meant; it was not sent');
    }
  }

  /** EMQX takes whole texts only: what others wrote since we last looked would be lost under ours. */
  async function othersEdited(): Promise<boolean> {
    if (knowledge.text?.kind.kind !== 'guest') return false;
    const { raw } = knowledge.text;
    noteSource(
      knowledge,
      (await emqx.sources()).find((one) => one.type === 'file'),
    );
    if (!mayWrite(knowledge)) throw new BrokerError('HR-BRK-006', 200, 'our block was taken out of the ACL text');
    return knowledge.text.raw !== raw;
  }

  async function send(segments: readonly SegmentRights[], wanted: Made): Promise<Made> {
    const raw = knowledge.text?.raw ?? '';
    const before = {
      restored: knowledge.text?.inForce !== true,
      everyone: confirmedText === undefined || raw !== confirmedText,
      names: namesIn(raw),
      known: new Map(knowledge.segments),
    };
    // Noted before it is sent: EMQX may take the text and its answer be lost.
    unsettled = together(unsettled, change(before, wanted.compiled));
    const sent = (await put(wanted)) ?? (await bisect(segments, wanted));
    unsettled = together(unsettled, change(before, sent.compiled));
    deps.metrics.repaired('text-written');
    const { rules, included, excluded } = sent.compiled;
    deps.log.info(
      { rules: rules.length, bytes: sent.text.length, segments: included.size, excluded: excluded.size },
      'the ACL text is in force',
    );
    return sent;
  }

  /** Undefined when EMQX refused it: then the text before is still in force. */
  async function put(made: Made): Promise<Made | undefined> {
    const answer = await emqx.putText(made.text);
    if (!answer.ok) {
      deps.log.warn({ code: 'HR-BRK-030', found: answer.why }, 'EMQX refused the ACL text');
      return undefined;
    }
    // With `enable: false` everybody is denied while GET still gives our text (emqx-profile.md, 14): both are compared.
    const source = (await emqx.sources()).find((one) => one.type === 'file');
    if (source?.rules !== made.text || !source.enable) {
      knowledge.suspect = true;
      throw new BrokerError('HR-BRK-005', 200, 'EMQX does not give back the ACL text as it was written');
    }
    noteSource(knowledge, source);
    return made;
  }

  /**
   * EMQX refused the whole. First everything that it took before, with all that changed denied: so tightenings are in force at once. Then what changed
   * is added in halves, until only what EMQX refuses is left out.
   */
  async function bisect(segments: readonly SegmentRights[], wanted: Made): Promise<Made> {
    const unchanged = segments.filter((one) => knowledge.segments.get(one.segment) === fingerprint(one));
    const suspects = segments.filter((one) => wanted.compiled.included.has(one.segment));
    const changed = suspects.filter((one) => !unchanged.includes(one));
    const pending = new Map(refusalsFor(segments));
    const deny = (list: readonly SegmentRights[]): void => {
      for (const one of list) pending.set(one.segment, { code: 'HR-BRK-030', found: `EMQX refused the rules of ${one.segment}` });
    };
    const allow = (list: readonly SegmentRights[]): void => {
      for (const one of list) pending.delete(one.segment);
    };
    deny(changed);
    let good = await put(make(segments, pending));
    let rest = changed;
    if (good === undefined) {
      // Not even what was in force before is taken any more: everything is suspect.
      deny(suspects);
      rest = suspects;
      good = await put(make(segments, pending));
      if (good === undefined) throw new BrokerError('HR-BRK-005', 400, 'EMQX refuses even the text that grants no segment anything');
    }
    const add = async (list: readonly SegmentRights[]): Promise<void> => {
      if (list.length === 0) return;
      allow(list);
      const made = await put(make(segments, pending));
      if (made !== undefined) good = made;
      else {
        deny(list);
        const [only] = list;
        if (list.length > 1) {
          await add(list.slice(0, list.length >> 1));
          await add(list.slice(list.length >> 1));
        } else if (only !== undefined)
          refused.set(only.segment, {
            fingerprint: fingerprint(only),
            why: { code: 'HR-BRK-030', found: `EMQX refused the rules of ${only.segment}` },
          });
      }
    };
    await add(rest);
    return good;
  }

  /** Nothing was asked for since that is not in force: then there is nothing to compile. */
  function isSettled(segments: readonly SegmentRights[]): boolean {
    return (
      settled !== undefined &&
      knowledge.text?.inForce === true &&
      knowledge.text.raw === confirmedText &&
      settled.length === segments.length &&
      settled.every((one, i) => one === segments[i])
    );
  }

  function refusalsFor(segments: readonly SegmentRights[]): Map<string, Why> {
    const still = new Map<string, Why>();
    for (const one of segments) {
      const known = refused.get(one.segment);
      if (known?.fingerprint === fingerprint(one)) still.set(one.segment, known.why);
    }
    return still;
  }

  function change(
    before: Pick<TextChange, 'restored' | 'everyone'> & { names: Set<string>; known: Map<string, string> },
    now: Compiled,
  ): TextChange {
    return {
      restored: before.restored,
      everyone: before.everyone,
      included: now.included,
      vanished: new Set([...before.names].filter((name) => !now.included.has(name))),
      appeared: new Set([...now.included.keys()].filter((name) => !before.names.has(name) && !before.restored)),
      altered: new Set(
        [...now.included.keys()].filter((name) => before.names.has(name) && before.known.get(name) !== now.included.get(name)),
      ),
    };
  }

  function confirmed({ compiled, digest }: Made): void {
    confirmedText = knowledge.text?.raw;
    knowledge.digest = digest;
    knowledge.segments = compiled.included;
    knowledge.excluded = compiled.excluded;
    deps.metrics.text(compiled.rules.length, knowledge.text?.raw.length ?? 0);
  }

  return {
    enforce,
    /** The broker restarted or was upgraded: what it refused may be taken now. */
    forgive(): void {
      refused.clear();
      settled = undefined;
    },
  };
}

function together(a: TextChange | undefined, b: TextChange): TextChange {
  if (a === undefined) return b;
  return {
    restored: a.restored || b.restored,
    everyone: a.everyone || b.everyone,
    vanished: new Set([...a.vanished, ...b.vanished]),
    appeared: new Set([...a.appeared, ...b.appeared]),
    altered: new Set([...a.altered, ...b.altered]),
    included: b.included,
  };
}

class LintError extends Error {}

/** Notes the file source as read. */
export function noteSource(knowledge: Knowledge, source: Source | undefined): void {
  const raw = source?.rules ?? '';
  const seen = classify(raw);
  const kind: AclText = seen.kind === 'foreign' && knowledge.established ? { kind: 'boot' } : seen;
  const inForce = source?.enable === true && (kind.kind === 'owned' || kind.kind === 'guest');
  knowledge.text = { kind, raw, inForce };
  if (inForce) return;
  knowledge.segments = new Map();
  knowledge.digest = undefined;
}

/** Order in which segments were first seen. Those that the broker's text already grants are older than all others. */
function createAges() {
  const ages = new Map<string, number>();
  let next = 1;
  let learned = false;
  return {
    of: (segment: string): number => ages.get(segment) ?? Number.MAX_SAFE_INTEGER,
    learn(text: string, segments: readonly SegmentRights[]): void {
      if (!learned && text !== '') {
        learned = true;
        for (const name of namesIn(text)) ages.set(name, 0);
      }
      for (const { segment } of segments) if (!ages.has(segment)) ages.set(segment, next++);
      if (ages.size > segments.length * 2 + 1000) {
        const living = new Set(segments.map((one) => one.segment));
        for (const name of ages.keys()) if (!living.has(name)) ages.delete(name);
      }
    },
  };
}
