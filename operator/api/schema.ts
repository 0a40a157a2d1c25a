// Building blocks for the schemas of the kinds: TypeBox for types and ajv, plus what an API server adds (list types, CEL rules).
// A `pattern` is for ajv; the CRD gets a CEL rule in its place, because the API server's own message for a pattern is the pattern (crd.ts). The rule is made
// from `cure`, or is among `rules`.
import { type TProperties, type TSchema, Type } from 'typebox';
import type { ApiCode } from './errors.ts';

/** One CEL rule (KEP-2876). `message` says what is wrong and what to do. */
export type Rule = { rule: string; message: string; fieldPath?: string };

/**
 * The message of every rule of ours starts with its code, see errors.ts. The API server repeats the value of a string that a rule on it refuses; a rule on the
 * object around it, with `fieldPath` to the string, keeps a secret out of the answer, the audit log and whatever shows them.
 */
export function rule(code: ApiCode, expression: string, message: string, fieldPath?: string): Rule {
  return { rule: expression, message: `${code}: ${message}`, ...(fieldPath === undefined ? {} : { fieldPath }) };
}

type Common = { default?: unknown; rules?: Rule[] };

type TextOptions = Common & {
  /** Longest text in characters; every text has one, or CEL's cost estimate explodes. */
  max: number;
  min?: number;
  format?: 'date-time';
} & (
    | { pattern?: undefined; code?: undefined; cure?: undefined }
    | { pattern: string; code: ApiCode; cure: string }
    | { pattern: string; code?: undefined; cure?: undefined; rules: Rule[] }
  );

export function text(description: string, options: TextOptions) {
  return Type.String({
    description,
    ...(options.min === undefined ? {} : { minLength: options.min }),
    maxLength: options.max,
    ...(options.format === undefined ? {} : { format: options.format }),
    ...(options.pattern === undefined ? {} : { pattern: options.pattern }),
    ...(options.code === undefined ? {} : { 'x-cure': `${options.code}: ${options.cure}` }),
    ...common(options),
  });
}

/** RFC 3339 in UTC or with an offset. */
export function time(description: string) {
  return text(description, { max: 40, format: 'date-time' });
}

export function flag(description: string, options: Common = {}) {
  return Type.Boolean({ description, ...common(options) });
}

export function count(description: string, options: Common & { min?: number; max?: number } = {}) {
  return Type.Integer({
    description,
    minimum: options.min ?? 0,
    ...(options.max === undefined ? {} : { maximum: options.max }),
    ...(options.max !== undefined && options.max <= 0x7fff_ffff ? { format: 'int32' } : { format: 'int64' }),
    ...common(options),
  });
}

export function choice<const V extends readonly string[]>(values: V, description: string, options: Common = {}) {
  return Type.Unsafe<V[number]>({ type: 'string', enum: [...values], description, ...common(options) });
}

export function object<P extends TProperties>(description: string, properties: P, options: Common & { atomic?: true } = {}) {
  return Type.Object(properties, {
    description,
    ...(options.atomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    ...common(options),
  });
}

type ListOptions = Common & { max: number; min?: number; keys?: string[]; set?: true };

/** A list with its merge behaviour: by `keys`, as a `set` of scalars, or else replaced as a whole (atomic). */
export function list<S extends TSchema>(description: string, items: S, options: ListOptions) {
  return Type.Array(items, {
    description,
    ...(options.min === undefined ? {} : { minItems: options.min }),
    maxItems: options.max,
    'x-kubernetes-list-type': options.keys !== undefined ? 'map' : options.set ? 'set' : 'atomic',
    ...(options.keys === undefined ? {} : { 'x-kubernetes-list-map-keys': options.keys }),
    ...common(options),
  });
}

/** A map with free keys. */
export function map<S extends TSchema>(description: string, values: S, options: Common & { max: number; atomic?: true }) {
  return Type.Unsafe<Record<string, Type.Static<S>>>({
    type: 'object',
    description,
    additionalProperties: values,
    maxProperties: options.max,
    ...(options.atomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    ...common(options),
  });
}

const DURATION_PATTERN = '^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$';

/** CEL: true for what is no duration at all. `||` before `duration(…)` of it keeps a malformed one to the one message about its form. */
export function malformed(field: string): string {
  return `!${field}.matches('${DURATION_PATTERN}')`;
}

/** Go's duration in whole hours, minutes and seconds; read by `durationMs` of duration.ts. */
export function duration(description: string, options: Common & { code: ApiCode }) {
  return text(description, {
    max: 32,
    pattern: DURATION_PATTERN,
    code: options.code,
    cure: 'a duration is written in hours, minutes and seconds, for example 720h, 90m or 1h30m; there are no days',
    ...common(options),
    ...(options.rules === undefined ? {} : { rules: options.rules }),
    min: 2,
  });
}

function common(options: Common): Record<string, unknown> {
  return {
    ...(options.default === undefined ? {} : { default: options.default }),
    ...(options.rules === undefined ? {} : { 'x-kubernetes-validations': options.rules }),
  };
}
