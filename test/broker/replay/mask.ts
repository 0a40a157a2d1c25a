/** Makes two answers comparable that were given at different times, on different ports, to different certificates. */

import type { Json } from '../config.ts';

/** What stands for what: ports, folders, node names. */
export type Names = readonly (readonly [string, string])[];
type Masking = { baseMs: number; replace: Names };

// Of the machine or the Erlang VM, or counted while other packets were still on their way.
const VOLATILE = new Set(
  `uptime load1 load5 load15 memory_total memory_used process_used process_available max_fds sys_path log_path heap_size reductions
  mailbox_len recv_oct send_oct recv_cnt send_cnt recv_pkt send_pkt port peername token`
    .trim()
    .split(/\s+/),
);

/** Times are compared as whole minutes from the first one in the same answer. */
export function mask(value: Json, replace: Names): Json {
  return maskValue(value, { baseMs: earliest(JSON.stringify(value)), replace });
}

const RFC3339 = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g;
const EPOCH = /\b1[6-9]\d{8}(?:\d{3})?\b/g;

function earliest(text: string): number {
  return Math.min(firstTime(text), ...[...text.matchAll(EPOCH)].map(([epoch]) => epochMs(epoch)));
}

/** Infinity where there is none. */
export function firstTime(text: string): number {
  return Math.min(...[...text.matchAll(RFC3339)].map(([time]) => Date.parse(time)));
}

function epochMs(text: string): number {
  return Number(text) * (text.length === 13 ? 1 : 1000);
}

function maskValue(value: Json, masking: Masking): Json {
  if (Array.isArray(value)) return value.map((item) => maskValue(item, masking));
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]): [string, Json] => {
        if (VOLATILE.has(key)) return [key, '<volatile>'];
        // Rows come in the order of a hash table.
        if (key === 'data' && Array.isArray(inner)) return [key, sorted(maskValue(inner, masking))];
        return [key, maskValue(inner, masking)];
      });
    return Object.fromEntries(entries);
  }
  if (typeof value === 'number') return maskNumber(value, masking);
  return typeof value === 'string' ? maskText(value, masking) : value;
}

function sorted(value: Json): Json {
  return Array.isArray(value) ? value.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : value;
}

function maskNumber(value: number, { baseMs }: Masking): Json {
  if (value > 1.6e12 && value < 2.1e12) return minutes(value - baseMs);
  return value > 1.6e9 && value < 2.1e9 && Number.isInteger(value) ? minutes(value * 1000 - baseMs) : value;
}

function minutes(ms: number): string {
  return `<${Math.round(ms / 60_000)} min>`;
}

function maskText(text: string, { baseMs, replace }: Masking): string {
  let out = text;
  for (const [from, to] of replace) out = out.replaceAll(from, to);
  return out
    .replace(RFC3339, (time) => minutes(Date.parse(time) - baseMs))
    .replace(EPOCH, (epoch) => minutes(epochMs(epoch) - baseMs))
    .replace(/\b[0-9A-F]{32}\b/g, '<message id>')
    .replace(/cacert-[0-9A-F]{16}/g, '<stored certificate>')
    .replace(/\b[0-9a-f]{32}\b/g, '<md5>')
    .replace(/emqx[v6]?@127\.0\.0\.1/g, '<node>');
}

/** The first point where `answer` differs from what was recorded; undefined where they agree. A recorded text that ends in `…` was cut. */
export function difference(recorded: Json, answer: Json, path = ''): string | undefined {
  if (typeof recorded === 'string' && recorded.includes('…')) {
    const kept = recorded.slice(0, recorded.indexOf('…'));
    return typeof answer === 'string' && answer.startsWith(kept) ? undefined : say(path, recorded, answer);
  }
  if (Array.isArray(recorded) && Array.isArray(answer)) {
    if (recorded.length !== answer.length) return say(`${path}.length`, recorded.length, answer.length);
    return first(recorded.map((item, at) => difference(item, answer[at] ?? null, `${path}[${at}]`)));
  }
  if (isObject(recorded) && isObject(answer)) {
    const keys = [...new Set([...Object.keys(recorded), ...Object.keys(answer)])];
    return first(keys.map((key) => difference(recorded[key] ?? '<absent>', answer[key] ?? '<absent>', `${path}.${key}`)));
  }
  const [a, b] = [jsonIn(recorded), jsonIn(answer)];
  if (a !== undefined && b !== undefined) return difference(a, b, `${path}(json)`);
  return recorded === answer ? undefined : say(path, recorded, answer);
}

/** EMQX puts JSON into strings; its order of keys means nothing. */
function jsonIn(value: Json): Json | undefined {
  if (typeof value !== 'string' || !value.startsWith('{"')) return undefined;
  try {
    return JSON.parse(value) as Json;
  } catch {
    return undefined;
  }
}

function first(differences: (string | undefined)[]): string | undefined {
  return differences.find((one) => one !== undefined);
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function say(path: string, recorded: Json, answer: Json): string {
  return `${path}: recorded ${JSON.stringify(recorded)}, answered ${JSON.stringify(answer)}`;
}
