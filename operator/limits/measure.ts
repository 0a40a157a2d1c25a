// Whether one client sends more than it may, from one count that the broker keeps of its connection and that is read now and then. Pure; times are ms of a steady clock.
import { type Allowance, allowedIn, windowOf } from './allowance.ts';

/** `session` tells one connection from another: a new one counts from nothing. */
export type Reading = { atMs: number; session: string; count: number };

type Mark = { atMs: number; total: number };
/** The last reading, what was added up over all connections that were seen, and two moments from which it is reckoned: one window old at most, and up to two. */
export type Track = { last: Reading; total: number; newer: Mark; older: Mark };

/** So much was sent, and at the very least over this time. */
export type Excess = { amount: number; overMs: number };

/** EMQX writes the counts of a connection down every 15 s (idle_timeout): what is read now may be what was true then. */
export const LAG_MS = 15_000;

/**
 * Never accuses a client that keeps to its limit: the time is taken as long as it can have been, and what was sent in connections that nobody saw is not
 * counted. After an excess the reckoning begins anew, so that each one that is given was sent since the one before.
 */
export function measure(before: Track | undefined, reading: Reading, limit: Allowance): { track: Track; excess?: Excess } {
  if (before === undefined) return { track: startingAt(reading, 0) };
  const total = before.total + sentSince(before.last, reading);
  const excess = [before.older, before.newer]
    .map((mark): Excess => ({ amount: total - mark.total, overMs: reading.atMs - mark.atMs + LAG_MS }))
    .find(({ amount, overMs }) => amount > allowedIn(limit, overMs));
  if (excess !== undefined) return { track: startingAt(reading, total), excess };
  const now = { atMs: reading.atMs, total };
  const isOld = reading.atMs - before.newer.atMs >= windowOf(limit);
  return {
    track: { last: reading, total, ...(isOld ? { older: before.newer, newer: now } : { older: before.older, newer: before.newer }) },
  };
}

/** A connection that is new since the last reading has sent all that it counts since then. */
const sentSince = (last: Reading, now: Reading): number => (last.session === now.session ? Math.max(0, now.count - last.count) : now.count);

function startingAt(last: Reading, total: number): Track {
  const mark = { atMs: last.atMs, total };
  return { last, total, newer: mark, older: mark };
}
