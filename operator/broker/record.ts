// The rules of one client in EMQX's built-in database: what an Override becomes there. Pure.
import { baseRules } from './base-rights.ts';
import type { ClientRule, Override } from './broker.ts';
import type { RecordRule } from './emqx.ts';
import { WIDENS, WIRE_NAME } from './topic.ts';

/** EMQX's default of `max_rules` for one client. */
const MAX_RULES = 100;

/** `#` leaves the topics that begin with $ to the next source, which in a shared EMQX may allow them (emqx-profile.md, 12). */
const REST: readonly ClientRule[] = ['#', '$SYS/#', '$events/#'].map((topic) => ({ topic, permission: 'deny', action: 'all' }));

export type WantedRecord = { rules: ClientRule[]; kind: Override['kind']; leftOut: number };

/** First what every device keeps, then its own rights, then a deny of everything: the first that matches holds. */
export function recordOf(override: Override): WantedRecord {
  const base = baseRules(override.client);
  const own = override.kind === 'quarantine' ? [] : override.rules.filter((rule) => isSafe(rule));
  const room = MAX_RULES - base.length - REST.length;
  return {
    rules: [...base, ...own.slice(0, room), ...REST],
    kind: override.kind,
    leftOut: Math.max(0, own.length - room) + (override.kind === 'moved' ? override.rules.length - own.length : 0),
  };
}

/** As EMQX gives it back: defaults filled in. */
export function normalised(rules: readonly ClientRule[]): RecordRule[] {
  return rules.map((rule) => ({
    topic: rule.topic,
    permission: rule.permission,
    action: rule.action,
    qos: [...(rule.qos ?? [0, 1, 2])].sort(),
    retain: rule.retain ?? 'all',
  }));
}

export function sameRecord(held: readonly RecordRule[] | undefined, wanted: readonly ClientRule[]): boolean {
  return held !== undefined && JSON.stringify(held.map(inOrder)) === JSON.stringify(normalised(wanted).map(inOrder));
}

/**
 * Records carry no mark of their owner (an extra field is refused). Ours begin with this very client's ota/ and recovery/ rules and end in our denies:
 * nobody else writes such a record.
 */
export function isOurs(client: string, held: readonly RecordRule[]): boolean {
  if (!WIRE_NAME.test(client)) return false;
  const base = baseRules(client);
  return (
    sameRecord(held.slice(0, base.length), base) && held.length >= base.length + REST.length && sameRecord(held.slice(-REST.length), REST)
  );
}

/** Whether it is our record of a client in quarantine: nothing between what every device keeps and the denies. */
export function isQuarantine(client: string, held: readonly RecordRule[] | undefined): boolean {
  return held !== undefined && isOurs(client, held) && held.length === baseRules(client).length + REST.length;
}

/** Filters that the client may subscribe to under this record. */
export function subscribable(rules: readonly ClientRule[]): string[] {
  return rules.filter((rule) => rule.permission === 'allow' && rule.action !== 'publish').map((rule) => rule.topic);
}

/** Topics are literal here: EMQX would fill in what looks like a placeholder, and read `eq ` as an option. */
function isSafe(rule: ClientRule): boolean {
  const levels = rule.topic.split('/');
  return (
    levels.every(
      (level, i) => /^[A-Za-z0-9._:@~=-]+$/.test(level) || level === '+' || (level === '#' && i === levels.length - 1 && i > 0),
    ) && !(rule.action !== 'publish' && WIDENS.test(rule.topic))
  );
}

const inOrder = (rule: RecordRule): unknown[] => [rule.topic, rule.permission, rule.action, rule.qos, rule.retain];
