/** As much of hocon_schema as is needed to refuse bodies in EMQX's words. */

import type { Json, JsonObject } from '../config.ts';
import { invalid, type Response } from './http.ts';

export type Field = { required?: true; check?: (value: Json, path: string) => JsonObject | undefined };
export type Fields = Record<string, Field>;

/** The first violation in EMQX's order: unknown fields, then missing ones, then bad values. */
export function checkFields(value: Json | undefined, fields: Fields, path: string): JsonObject | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { path, reason: 'bad_value_for_struct' };
  const unknown = Object.keys(value).filter((name) => !(name in fields));
  if (unknown.length > 0) {
    const unmatched = Object.keys(fields)
      .filter((name) => !(name in value))
      .sort();
    const shown = unmatched.length > 2 ? `${unmatched.slice(0, 2).join(',')},...` : unmatched.join(',') || 'none';
    return { unmatched: shown, unknown: unknown.join(','), reason: 'unknown_fields', path };
  }
  for (const [name, field] of Object.entries(fields)) {
    const inner = value[name];
    const at = `${path}.${name}`;
    if (inner === undefined) {
      if (field.required) return { reason: 'required_field', path: at };
      continue;
    }
    const wrong = field.check?.(inner, at);
    if (wrong) return wrong;
  }
  return undefined;
}

export function oneOf(...symbols: string[]) {
  return (value: Json, path: string): JsonObject | undefined =>
    typeof value === 'string' && symbols.includes(value) ? undefined : { value, reason: 'not_a_enum_symbol', path };
}

/** An array whose items `check` accepts; EMQX counts from 1. An object is read as a badly indexed array. */
export function arrayOf(check: (value: Json, path: string) => JsonObject | undefined) {
  return (value: Json, path: string): JsonObject | undefined => {
    if (!Array.isArray(value)) {
      if (typeof value === 'object' && value !== null) return { path, bad_array_index_keys: Object.keys(value).sort().reverse() };
      return { path, got: value, expected_data_type: 'array' };
    }
    for (const [at, item] of value.entries()) {
      const wrong = check(item, `${path}.${at + 1}`);
      if (wrong) return wrong;
    }
    return undefined;
  };
}

export function boolean(value: Json, path: string): JsonObject | undefined {
  return typeof value === 'boolean' ? undefined : { value, reason: 'Expected type: boolean', path };
}

export function qos(value: Json, path: string): JsonObject | undefined {
  return value === 0 || value === 1 || value === 2 ? undefined : { value, reason: 'Unable to parse string', path };
}

export type Page = { page: number; limit: number };

/** `?page` and `?limit` (1..10000). */
export function readPage(query: URLSearchParams): Page | Response {
  const page = integer(query.get('page') ?? '1', 'page', '1..', Number.MAX_SAFE_INTEGER);
  if (typeof page !== 'number') return page;
  const limit = integer(query.get('limit') ?? '100', 'limit', '1..10000', 10000);
  return typeof limit === 'number' ? { page, limit } : limit;
}

function integer(text: string, path: string, expected: string, max: number): number | Response {
  const value = /^-?\d+$/.test(text) ? Number(text) : undefined;
  if (value === undefined || value < 1 || value > max) return invalid({ value: value ?? text, reason: { expected }, path });
  return value;
}

/** One page of rows with EMQX's `meta`. `count` is absent for fuzzy filters; `hasnext` is true after a page that is exactly full. */
export function pageOf(rows: Json[], { page, limit }: Page, options: { count?: boolean; hasnext?: boolean } = {}): JsonObject {
  const data = rows.slice((page - 1) * limit, page * limit);
  const meta: JsonObject = { page, limit };
  if (options.hasnext !== false) meta.hasnext = data.length === limit;
  if (options.count !== false) meta.count = rows.length;
  return { data, meta };
}
