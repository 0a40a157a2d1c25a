// The client by which the operator tries what the broker enforces, and its rights: one topic of its own that names the text in which they stand.
import { createHash } from 'node:crypto';
import { printRule, type Term } from './acl-term.ts';
import type { SegmentRights } from './broker.ts';

/** Its client id and its segment. A namespace cannot begin with a hyphen (RFC 1123), so no Device and no SegmentPolicy can ever have this name. */
export const CANARY = '-probe.-hedgerow';
/** One rule to publish, one to subscribe. */
export const CANARY_RULES = 2;

/**
 * 16 hex digits of the SHA-256 of the rules without those of the canary. A right that names them is granted by this text and by no other: whoever is allowed to use
 * it has met this very text in force, not one that only reads like it.
 */
export function digestOf(rules: readonly Term[]): string {
  const hash = createHash('sha256');
  for (const rule of rules) hash.update(`${printRule(rule)}\n`);
  return hash.digest('hex').slice(0, 16);
}

export function canaryRights(digest: string): SegmentRights {
  const topic = `probe/{segment}/{device}/${digest}`;
  return { segment: CANARY, publish: [{ topic, qosMax: 1, retain: false }], subscribe: [{ topic }] };
}
