// One-time tokens. The cluster holds only a token's hash; a use binds it to the one request that it was used for. Pure.
import { createHash, timingSafeEqual } from 'node:crypto';

/** The one Secret of a namespace that holds the hashes of its tokens, one entry a Device: RBAC can name it, so the server can read no other (docs/adr/0009-est.md). */
export const TOKENS_SECRET = 'hedgerow-est-tokens';

/** An entry of that Secret, `sha256:<hex> <RFC 3339 end>` and, after the use, ` <sha256 of the request's DER>`. */
export type TokenRecord = { sha256: string; expires: number; usedFor: string | undefined };

export type Credentials = { device: string; namespace: string; token: string };

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const USER = new RegExp(`^(${LABEL})\\.(${LABEL})$`);
const MOST_HEADER_CHARS = 1_024;
/** Shorter ones could be guessed by somebody who has the hash. */
const TOKEN = /^[\x21-\x7e]{20,512}$/;

/** RFC 7617. undefined = the header is none of ours. */
export function readBasic(header: string): Credentials | undefined {
  const encoded = header.length > MOST_HEADER_CHARS ? undefined : /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header)?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('latin1');
  const colon = text.indexOf(':');
  const [, device, namespace] = USER.exec(text.slice(0, Math.max(colon, 0))) ?? [];
  const token = text.slice(colon + 1);
  return device === undefined || namespace === undefined || !TOKEN.test(token) ? undefined : { device, namespace, token };
}

export function readTokenRecord(text: string): TokenRecord | undefined {
  const [, sha256, end, usedFor] =
    /^sha256:([0-9a-f]{64}) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z)(?: ([0-9a-f]{64}))?\s*$/.exec(text) ?? [];
  const expires = Date.parse(end ?? '');
  return sha256 === undefined || Number.isNaN(expires) ? undefined : { sha256, expires, usedFor };
}

/** The entry of a token that nobody has used; the token itself is nowhere in it. */
export function freshRecord(token: string, expires: number): string {
  return `sha256:${createHash('sha256').update(token).digest('hex')} ${new Date(expires).toISOString()}`;
}

/** The entry after the use for this request. */
export function usedRecord(record: TokenRecord, csrHash: string): string {
  return `sha256:${record.sha256} ${new Date(record.expires).toISOString()} ${csrHash}`;
}

/** Constant time, also when there is nothing to compare with. */
export function tokenMatches(record: TokenRecord | undefined, token: string): boolean {
  const given = createHash('sha256').update(token).digest();
  const same = timingSafeEqual(given, Buffer.from(record?.sha256 ?? '0'.repeat(64), 'hex'));
  return record !== undefined && same;
}

export type TokenVerdict = 'fresh' | 'used for this request' | 'other' | 'expired' | 'used';

/** The end counts first: a used token that has expired gives nothing any more, not even its own request. */
export function judgeToken(record: TokenRecord | undefined, token: string, csrHash: string, now: number): TokenVerdict {
  if (!tokenMatches(record, token) || record === undefined) return 'other';
  if (record.expires <= now) return 'expired';
  if (record.usedFor === undefined) return 'fresh';
  return record.usedFor === csrHash ? 'used for this request' : 'used';
}

/** The entries that nobody needs any more: those that expired a day ago. */
export function forgettable(entries: Readonly<Record<string, string>>, now: number): string[] {
  return Object.keys(entries).filter((name) => {
    const record = readTokenRecord(decode(entries[name]));
    return record !== undefined && record.expires + 86_400_000 < now;
  });
}

/** `data` of a Secret is base64. */
export function decode(value: string | undefined): string {
  return Buffer.from(value ?? '', 'base64').toString('utf8');
}
