// Rights of all segments -> the few rules that say the same. One rule for each different rule, however many segments share it (emqx-profile.md, 1 to 5).
import { atom, list, number, string, type Term, tuple } from './acl-term.ts';
import { BASE_PUBLISH, BASE_SUBSCRIBE } from './base-rights.ts';
import type { SegmentRights, TopicRight } from './broker.ts';
import { BROKER_DEVICE, BROKER_SEGMENT, unsafeTopic, WIRE_NAME } from './topic.ts';

/** 5.8.9 copies the whole text at every uncached check, 0.6 KB a rule: 100 rules cost a connection about 0.7 MB (emqx-profile.md, A1). */
export const RULE_BUDGET = 100;
/**
 * Topics of other segments are literal and are copied with the text, about 26 words each: a third of a rule. At 19,000 of them 5.8.9 would cut every connection off, as it
 * does at 6,300 rules (emqx-profile.md, A3).
 */
export const LITERAL_BUDGET = 4_000;
/** 500 names of 64 characters pass PCRE's limit of 64 KB compiled, 700 do not (emqx-profile.md, A5). */
const NAMES_PER_RULE = 500;

export type Why = { code: 'HR-BRK-030' | 'HR-BRK-031' | 'HR-BRK-032'; found: string };
export type CompileInput = {
  segments: readonly SegmentRights[];
  /** Segments that must be denied whatever their rights are, for example because EMQX refused their rule. */
  refused: ReadonlyMap<string, Why>;
  /** Smaller is older: above the budget the newest are left out. Absent: new. */
  age: (segment: string) => number;
  /** `owned`: everything else is denied. `guest`: only clients of ours are fenced in, other people's rules follow. */
  mode: 'owned' | 'guest';
  budget?: number;
  literals?: number;
};
export type Compiled = {
  rules: Term[];
  /** Segment -> what its rights are, as text: equal texts are equal rights. */
  included: Map<string, string>;
  excluded: Map<string, Why>;
};

const ANY_SEGMENT = '^[a-z0-9-]+[.][a-z0-9-]+$';
const WHO_ANY = tuple(atom('client_attr'), string('seg'), tuple(atom('re'), string(ANY_SEGMENT)));

/** A rule without its subject, and the segments that have it. */
type Shared = { action: Term; topics: string[]; segments: string[] };

/** The rules in order: what every device keeps, what is excluded, what segments grant, and the end that denies. */
export function compileAcl(input: CompileInput): Compiled {
  const excluded = new Map<string, Why>();
  const candidates = uniqueBySegment(input.segments).filter((rights) => {
    const why = input.refused.get(rights.segment) ?? readingOf(rights).unsafe;
    if (why !== undefined) excluded.set(rights.segment, why);
    return why === undefined;
  });
  const byAge = [...candidates].sort((a, b) => input.age(a.segment) - input.age(b.segment) || compare(a.segment, b.segment));

  const base = baseTerms();
  const shared = new Map<string, Shared>();
  const included = new Map<string, string>();
  // The end, the base rules, and room for the rules that deny what is excluded.
  let left = (input.budget ?? RULE_BUDGET) - base.length - 1 - Math.max(1, Math.ceil(excluded.size / NAMES_PER_RULE));
  let literalsLeft = input.literals ?? LITERAL_BUDGET;
  for (const rights of byAge) {
    const own = readingOf(rights).rules;
    const added = own.filter(([key]) => (shared.get(key)?.segments.length ?? 0) % NAMES_PER_RULE === 0);
    const literals = added.reduce((sum, [, rule]) => sum + literalsOf(rule), 0);
    if (added.length > left || literals > literalsLeft) {
      const needs = added.length > left ? `${added.length} rules` : `${literals} topics of other segments`;
      excluded.set(rights.segment, { code: 'HR-BRK-031', found: `${rights.segment} would need ${needs} more than the budget leaves` });
      continue;
    }
    left -= added.length;
    literalsLeft -= literals;
    for (const [key, rule] of own) {
      const known = shared.get(key) ?? { ...rule, segments: [] };
      known.segments.push(rights.segment);
      shared.set(key, known);
    }
    included.set(rights.segment, fingerprint(rights));
  }
  const denied = [...excluded.keys()].filter((segment) => WIRE_NAME.test(segment)).sort(compare);
  return {
    rules: [
      ...base,
      ...chunks(denied).map((names) => tuple(atom('deny'), whoIsOneOf(names), atom('all'), atom('all'))),
      ...[...shared.entries()].sort(([a], [b]) => compare(a, b)).flatMap(([, rule]) => grants(rule)),
      input.mode === 'owned' ? tuple(atom('deny'), atom('all')) : tuple(atom('deny'), WHO_ANY, atom('all'), atom('all')),
    ],
    included,
    excluded,
  };
}

/** Equal texts are equal rights. */
export function fingerprint(rights: SegmentRights): string {
  return readingOf(rights).fingerprint;
}

type Reading = { unsafe: Why | undefined; rules: [key: string, rule: Shared][]; fingerprint: string };

/** Rights are values that never change: of thousands of segments only those are read anew whose policy changed. */
const readings = new WeakMap<SegmentRights, Reading>();

function readingOf(rights: SegmentRights): Reading {
  const known = readings.get(rights);
  if (known !== undefined) return known;
  const rules = sharedRules(rights);
  const reading = { unsafe: unsafeRights(rights), rules, fingerprint: JSON.stringify(rules.map(([key]) => key)) };
  readings.set(rights, reading);
  return reading;
}

function baseTerms(): Term[] {
  return groups(BASE_PUBLISH, 'publish')
    .concat(groups(BASE_SUBSCRIBE, 'subscribe'))
    .map(({ action, topics }) => tuple(atom('allow'), WHO_ANY, action, list(topics.map(string))));
}

function unsafeRights(rights: SegmentRights): Why | undefined {
  if (!WIRE_NAME.test(rights.segment)) return { code: 'HR-BRK-032', found: 'its name is not <segment>.<namespace>' };
  for (const action of ['publish', 'subscribe'] as const) {
    for (const { topic } of rights[action]) {
      const why = unsafeTopic(topic, action);
      if (why !== undefined) return { code: 'HR-BRK-032', found: `${action} topic ${JSON.stringify(topic.slice(0, 100))} ${why}` };
    }
  }
  return undefined;
}

function sharedRules(rights: SegmentRights): [key: string, rule: Shared][] {
  return [...groups(rights.publish, 'publish'), ...groups(rights.subscribe, 'subscribe')]
    .map((rule): [string, Shared] => [JSON.stringify([rule.action, rule.topics]), { ...rule, segments: [] }])
    .sort(([a], [b]) => compare(a, b));
}

/** Rights of one action with the same options are one rule with all their topics; those of other segments stand apart, or nobody else would share the rule. */
function groups(rights: readonly TopicRight[], action: 'publish' | 'subscribe'): { action: Term; topics: string[] }[] {
  const byOptions = new Map<string, { options: Term[]; topics: Set<string> }>();
  for (const right of rights) {
    const options = optionsOf(right, action);
    const key = JSON.stringify([options, isLiteral(right.topic)]);
    const group = byOptions.get(key) ?? { options, topics: new Set<string>() };
    group.topics.add(placeholders(right.topic));
    byOptions.set(key, group);
  }
  return [...byOptions.entries()]
    .sort(([a], [b]) => compare(a, b))
    .map(([, { options, topics }]) => ({
      action: options.length === 0 ? atom(action) : tuple(atom(action), list(options)),
      topics: [...topics].sort(compare),
    }));
}

/** Another segment's topic names its owner in the second level. */
const isLiteral = (topic: string): boolean => WIRE_NAME.test(topic.split('/')[1] ?? '');
const literalsOf = ({ topics }: Shared): number => topics.filter(isLiteral).length;

/** Absent `qosMax` or 2 means any; `retain: false` refuses a retained publish, anything else allows both. */
function optionsOf(right: TopicRight, action: 'publish' | 'subscribe'): Term[] {
  const qos = right.qosMax === undefined || right.qosMax === 2 ? [] : Array.from({ length: right.qosMax + 1 }, (_, i) => number(i));
  return [
    ...(qos.length === 0 ? [] : [tuple(atom('qos'), list(qos))]),
    ...(action === 'publish' && right.retain === false ? [tuple(atom('retain'), atom('false'))] : []),
  ];
}

/** The certificate's CN and not the client id: it holds even where the broker does not force the id (emqx.md §3). */
function placeholders(topic: string): string {
  return topic.replaceAll('{device}', BROKER_DEVICE).replaceAll('{segment}', BROKER_SEGMENT);
}

function grants(rule: Shared): Term[] {
  return chunks([...rule.segments].sort(compare)).map((names) =>
    tuple(atom('allow'), whoIsOneOf(names), rule.action, list(rule.topics.map(string))),
  );
}

function whoIsOneOf(names: readonly string[]): Term {
  const alternatives = names.map((name) => name.replace('.', '[.]')).join('|');
  return tuple(atom('client_attr'), string('seg'), tuple(atom('re'), string(`^(?:${alternatives})$`)));
}

function chunks(names: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(names.length / NAMES_PER_RULE) }, (_, i) =>
    names.slice(i * NAMES_PER_RULE, (i + 1) * NAMES_PER_RULE),
  );
}

/** The later of two entries of one segment would only widen it: the first holds. */
function uniqueBySegment(segments: readonly SegmentRights[]): SegmentRights[] {
  return [...new Map([...segments].reverse().map((rights) => [rights.segment, rights])).values()];
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
