/** The table of bans (emqx_mgmt_api_banned), and the file it is filled from at the first boot. */

import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Json, JsonObject } from '../config.ts';
import { compilePattern, PatternError } from '../pcre.ts';
import { type Ban, type BanKind, banKey, inForce } from '../tables.ts';
import { bad, descending, type Handler, invalid, NO_CONTENT, ok, type Response, type Route } from './http.ts';
import { checkFields, type Fields, oneOf, pageOf, readPage } from './schema.ts';

const KINDS = ['clientid', 'username', 'peerhost', 'clientid_re', 'username_re', 'peerhost_net'];
const FIELDS: Fields = {
  as: { required: true, check: oneOf(...KINDS) },
  who: { required: true },
  by: {},
  reason: {},
  at: { check: epochOrRfc3339 },
  until: { check: untilCheck },
};

const nowSeconds = () => Math.floor(Date.now() / 1000);

function shown(ban: Ban): JsonObject {
  const { as, who, by, reason, at, until } = ban;
  return { as, at: rfc3339(at), by, reason, until: until === 'infinity' ? until : rfc3339(until), who };
}

function rfc3339(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, '+00:00');
}

// The last second of year 9999: milliseconds do not pass.
const MAX_EPOCH = 253402300799;

function readTime(value: Json): { seconds: number } | { reason: string } {
  if (typeof value === 'number') return value >= 0 && value <= MAX_EPOCH ? { seconds: Math.floor(value) } : { reason: 'bad_epoch' };
  const text = typeof value === 'string' && /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(value) ? value : '';
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? { reason: 'bad_rfc3339_timestamp' } : { seconds: Math.floor(ms / 1000) };
}

function epochOrRfc3339(value: Json, path: string): JsonObject | undefined {
  const time = readTime(value);
  return 'reason' in time ? { value, reason: time.reason, path } : undefined;
}

function untilCheck(value: Json, path: string): JsonObject | undefined {
  const wrong = value === 'infinity' ? undefined : epochOrRfc3339(value, path);
  if (!wrong) return undefined;
  const kind = 'validation_error';
  const infinity = { value, reason: `Expected: infinity, got:${String(value)}`, path, kind };
  return { reason: 'matched_no_union_member', path, mismatches: { infinity, 'emqx_utils_calendar:epoch_second()': { ...wrong, kind } } };
}

const post: Handler = ({ body }, { broker }) => {
  const wrong = checkFields(body, FIELDS, 'root');
  if (wrong) return invalid(wrong);
  const record = body as JsonObject;
  const as = record.as as BanKind;
  const who = String(record.who);
  const refused = checkWho(as, who);
  if (refused) return refused;
  const at = seconds(record.at) ?? nowSeconds();
  const until = record.until === undefined || record.until === 'infinity' ? 'infinity' : (seconds(record.until) ?? 0);
  if (until !== 'infinity' && until <= nowSeconds()) return bad('BAD_REQUEST', expiredMessage(at, until));
  const old = broker.tables.bans.get(banKey(as, who));
  if (old && inForce(old, Date.now())) return bad('ALREADY_EXISTS', JSON.stringify(descending(shown(old))));
  const ban: Ban = { as, who, by: text(record.by) ?? 'mgmt_api', reason: text(record.reason) ?? '', at, until };
  broker.ban(ban);
  return ok(shown(ban));
};

function seconds(value: Json | undefined): number | undefined {
  const time = value === undefined ? undefined : readTime(value);
  return time && 'seconds' in time ? time.seconds : undefined;
}

function text(value: Json | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

function checkWho(as: BanKind, who: string): Response | undefined {
  if (as === 'peerhost' && isIP(who) === 0) return bad('BAD_REQUEST', '"bad peerhost"');
  if (as === 'peerhost_net' && !isNetwork(who)) return bad('BAD_REQUEST', '"bad peerhost_net"');
  if (!as.endsWith('_re')) return undefined;
  try {
    compilePattern(who);
    return undefined;
  } catch (error) {
    if (error instanceof PatternError) return bad('BAD_REQUEST', error.message);
    throw error;
  }
}

function isNetwork(text: string): boolean {
  const [address = '', prefix = ''] = text.split('/');
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits;
}

/** "cannot create expired banned, AT to UNTIL", as `~p` prints a list of characters: what a client must not show to people. */
function expiredMessage(at: number, until: number): string {
  const first = '67,97,110,110,111,116,32,99,114,101,97,116,101,32,101,120,112,105,114,101,';
  return `[${first}\n 100,32,98,97,110,110,101,100,44,32,"${at}",32,116,111,32,"${until}"]`;
}

const FILTERS = ['clientid', 'username', 'peerhost', 'like_clientid', 'like_username', 'like_peerhost', 'like_peerhost_net'];

const list: Handler = ({ query }, { broker }) => {
  const page = readPage(query);
  if ('status' in page) return page;
  const used = FILTERS.filter((name) => query.has(name));
  if (used.length > 1) return bad('BAD_REQUEST', 'too_many_filters');
  const [filter] = used;
  const bans = [...broker.tables.bans.values()].toReversed();
  // Unfiltered, and only then, `hasnext` is missing.
  if (filter === undefined) return ok(pageOf(bans.map(shown), page, { hasnext: false }));
  const value = query.get(filter) ?? '';
  const like = filter.startsWith('like_');
  const as = like ? filter.slice('like_'.length) : filter;
  const rows = bans.filter((ban) => ban.as === as && (like ? ban.who.includes(value) : ban.who === value));
  return ok(pageOf(rows.map(shown), page, { count: !like }));
};

const clear: Handler = (_request, { broker }) => {
  for (const ban of [...broker.tables.bans.values()]) broker.tables.deleteBan(ban.as, ban.who);
  return NO_CONTENT;
};

const deleteOne: Handler = ({ params }, { broker }) => {
  const { as = '', who = '' } = params;
  if (!KINDS.includes(as)) return invalid({ value: as, reason: 'not_a_enum_symbol', path: 'as' });
  return broker.tables.deleteBan(as, who) ? NO_CONTENT : bad('NOT_FOUND', `${as}: ${who} not found`, 404);
};

export const BANNED_ROUTES: Route[] = [
  { method: 'GET', path: '/api/v5/banned', handler: list },
  { method: 'POST', path: '/api/v5/banned', handler: post },
  { method: 'DELETE', path: '/api/v5/banned', handler: clear },
  { method: 'DELETE', path: '/api/v5/banned/:as/:who', handler: deleteOne },
];

/** `banned.bootstrap_file`: CSV with the heading `as,who,reason,at,until,by`; read only while the table is empty. */
export function readBans(file: string): Ban[] {
  if (!existsSync(file)) return [];
  const [, ...lines] = readFileSync(file, 'utf8').split(/\r?\n/);
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [as = '', who = '', reason = '', at = '', until = '', by = ''] = line.split(',');
      return { as: as as BanKind, who, reason, by, at: seconds(at) ?? nowSeconds(), until: seconds(until) ?? 'infinity' };
    });
}
