// How a gateway comes back after an outage: not at once with all others, not faster than agreed, and with what matters first. Pure.
import type { Random } from '../../../operator/runtime/random.ts';
import { CLASSES, type Class } from './layout.ts';

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 300_000;

/** Full jitter: anywhere between now and the end of a time that doubles, so that gateways that were cut off together do not come back together. */
export function waitMs(attempt: number, random: Random): number {
  return random() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 30));
}

export type Tokens = { count: number; atMs: number };

/** What may be sent by now. `atMs`: of a clock that does not jump. A backlog of an outage goes out at `perSecond`, twice the usual rate, and not in one burst. */
export function refilled(tokens: Tokens, atMs: number, perSecond: number): Tokens {
  const count = tokens.count + (Math.max(0, atMs - tokens.atMs) * perSecond) / 1_000;
  return { count: Math.min(count, Math.max(1, perSecond)), atMs: Math.max(atMs, tokens.atMs) };
}

/** As shares of what may be sent: no class waits for another one to be empty, and what one does not need the next ones get. */
const SHARES: Readonly<Record<Class, number>> = { alert: 0.5, security: 0.2, trend: 0.3 };
const ORDER: readonly Class[] = ['alert', 'security', 'trend'];

export function shareOut(limit: number, waiting: Readonly<Record<Class, number>>): Record<Class, number> {
  const given: Record<Class, number> = { security: 0, alert: 0, trend: 0 };
  for (const of of ORDER) given[of] = Math.min(waiting[of], Math.floor(limit * SHARES[of]));
  let left = limit - CLASSES.reduce((sum, of) => sum + given[of], 0);
  for (const of of ORDER) {
    const more = Math.min(left, waiting[of] - given[of]);
    given[of] += more;
    left -= more;
  }
  return given;
}
