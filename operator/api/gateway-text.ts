// What of a SegmentPolicy only a gateway keeps, and why one could not keep it as it is written. Pure. CEL refuses some of it already; what was stored before, or by
// somebody who went around it, comes here too, and so does any text that an offline check reads.
import type { TSchema } from 'typebox';
import { durationMs } from './duration.ts';
import { MAX_WINDOW_MS } from './gateway-config.ts';
import { type LocalRule, type LocalRuleSpec, localRuleOf, localRules } from './local-rule.ts';
import { payloadSchemaProblem } from './payload-schema.ts';
import { type Payload, payload, type Retention, retention, type Telemetry, telemetry } from './telemetry.ts';
import { topicProblem } from './topic.ts';
import { schemaProblems } from './validate.ts';

export type TextProblem = { what: 'schema' | 'rule' | 'other'; path: string; problem: string };

const PARTS: Readonly<Record<string, TSchema>> = { payload, telemetry, localRules, retention };
const MINUTE_MS = 60_000;
const TEN_YEARS_MS = 315_360_000_000;

/** `segment`: <segment>.<site>. None when a gateway can keep all of it. */
export function gatewayProblems(spec: Readonly<Record<string, unknown>>, segment: string): TextProblem[] {
  const shapes = Object.keys(PARTS).flatMap((name) => shapeProblems(name, spec[name]));
  if (shapes.length > 0) return shapes;
  const { payload: looks, telemetry: made, localRules: rules, retention: kept } = spec as Parts;
  return [
    ...(looks === undefined ? [] : payloadProblems(looks)),
    ...rulesOf(rules, segment).flatMap(({ rule, i }): TextProblem[] =>
      'problem' in rule ? [{ what: 'rule', path: `spec.localRules[${i}]`, problem: rule.problem }] : [],
    ),
    ...timeProblems(looks, made, kept),
    ...endProblems(spec as Parts),
  ];
}

type Parts = {
  payload?: Payload;
  telemetry?: Telemetry;
  localRules?: readonly LocalRuleSpec[];
  retention?: Retention;
  egress?: unknown;
  rawEgress?: { expires: string };
};

/** As the gateway reads them, by name, each with its place in the manifest. The API server fills in no defaults in lists (crd.ts). */
export function rulesOf(
  rules: readonly LocalRuleSpec[] | undefined,
  segment: string,
): { rule: LocalRule | { problem: string }; i: number }[] {
  const read = filled(rules ?? []).map((spec, i) => ({ name: spec.name, rule: localRuleOf(spec, segment), i }));
  return read.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function shapeProblems(name: string, part: unknown): TextProblem[] {
  const schema = PARTS[name];
  if (part === undefined || schema === undefined) return [];
  const problems = typeof part === 'object' && part !== null ? problemsOf(part)(name) : schemaProblems(schema, part, `spec.${name}`);
  return problems.slice(0, 1).map((problem) => ({ what: name === 'localRules' ? 'rule' : 'other', path: '', problem }));
}

/** A model is built with every change of any policy: what was looked at once is not looked at again while the object is the same. */
function once<K extends object, V>(look: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, V>();
  return (key) => {
    if (!known.has(key)) known.set(key, look(key));
    return known.get(key) as V;
  };
}

/** An object stands in one part only. */
const problemsOf = once((part: object) => {
  let found: readonly string[] | undefined;
  return (name: string): readonly string[] => {
    found ??= schemaProblems(PARTS[name] as TSchema, structuredClone(part), `spec.${name}`);
    return found;
  };
});

const filled = once((rules: readonly LocalRuleSpec[]) => {
  const copy = structuredClone(rules);
  schemaProblems(localRules, copy, 'spec.localRules');
  return copy;
});

const payloadProblems = once(({ schemas = [] }: Payload) =>
  schemas.flatMap(({ topic, schema }, i): TextProblem[] => {
    const filter =
      topicProblem(topic, 'publish')?.message ?? (topic.startsWith('dt/{segment}/') ? undefined : 'telemetry is under dt/{segment}/');
    const problem = filter ?? payloadSchemaProblem(schema);
    const path = `spec.payload.schemas[${i}].${filter === undefined ? 'schema' : 'topic'}`;
    return problem === undefined ? [] : [{ what: 'schema', path, problem }];
  }),
);

function timeProblems(looks: Payload | undefined, made: Telemetry | undefined, kept: Retention | undefined): TextProblem[] {
  const times: [path: string, text: string | undefined, leastMs: number, mostMs: number][] = [
    ['spec.payload.replay.maxSkew', looks?.replay?.maxSkew, 1000, MAX_WINDOW_MS],
    ['spec.telemetry.window', made?.window, 1000, MAX_WINDOW_MS],
    ['spec.retention.trends', kept?.trends, MINUTE_MS, TEN_YEARS_MS],
    ['spec.retention.alerts', kept?.alerts, MINUTE_MS, TEN_YEARS_MS],
    ['spec.retention.security', kept?.security, MINUTE_MS, TEN_YEARS_MS],
  ];
  return times.flatMap(([path, text, leastMs, mostMs]): TextProblem[] => {
    const ms = text === undefined ? leastMs : (durationMs(text) ?? 0);
    return ms < leastMs || ms > mostMs ? [{ what: 'other', path, problem: `${JSON.stringify(text)} is out of its range` }] : [];
  });
}

function endProblems({ egress, rawEgress: raw }: Parts): TextProblem[] {
  if (egress !== 'Raw' || !Number.isNaN(Date.parse(raw?.expires ?? ''))) return [];
  return [{ what: 'other', path: 'spec.rawEgress.expires', problem: 'raw data leave only until a time' }];
}
