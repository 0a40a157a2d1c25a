// Whether a rule holds for one device, and what its receiver has to be told. Pure.
import type { LocalRule } from '../../../operator/api/local-rule.ts';

/** Of a device whose value is beyond the limit or was; there is none of one that is calm. */
export type Source = { sinceMs: number; holds: boolean };

/** What a reading makes of it; undefined: calm. */
export function stepSource(rule: LocalRule, source: Source | undefined, atMs: number, value: number): Source | undefined {
  const beyond = (limit: number): boolean => (rule.when === 'above' ? value > limit : value < limit);
  // What holds ends at `back`; what does not hold yet begins anew at the limit.
  if (!beyond(source?.holds === true ? rule.back : rule.limit)) return undefined;
  const sinceMs = source?.sinceMs ?? atMs;
  return { sinceMs, holds: source?.holds === true || atMs - sinceMs >= rule.forMs };
}

/** What a receiver was told last, and how often in this hour. */
export type Target = { told: boolean; sentMs: number; hourMs: number; sent: number };

const HOUR_MS = 3_600_000;

/** `wanted`: whether the rule holds for any of its devices. What does not go out now is looked at again later: what is true then is sent, and nothing else. */
export function due(rule: LocalRule, target: Target | undefined, wanted: boolean, nowMs: number): 'command' | 'whenOver' | undefined {
  const told = target?.told ?? false;
  const isAgain = wanted && told && rule.againMs !== undefined && Math.abs(nowMs - (target?.sentMs ?? nowMs)) >= rule.againMs;
  if (wanted === told && !isAgain) return undefined;
  if (!wanted && rule.whenOver === undefined) return undefined;
  if (target !== undefined && isSameHour(target, nowMs) && target.sent >= rule.atMost) return undefined;
  return wanted ? 'command' : 'whenOver';
}

export function told(target: Target | undefined, wanted: boolean, nowMs: number): Target {
  const same = target !== undefined && isSameHour(target, nowMs) ? target : undefined;
  return { told: wanted, sentMs: nowMs, hourMs: same?.hourMs ?? nowMs, sent: (same?.sent ?? 0) + 1 };
}

/** A clock that was set back begins another. */
export const isSameHour = ({ hourMs }: Target, nowMs: number): boolean => nowMs >= hourMs && nowMs - hourMs < HOUR_MS;
