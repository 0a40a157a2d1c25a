// What EMQX holds against what it should hold: the difference. Pure.
import type { Ban } from './broker.ts';
import type { HeldBan } from './emqx.ts';

/** Only bans of ours are ever removed (but for a flapping detector's on one of our ids). */
export const OURS = 'hedgerow/';
export const FLAPPING = 'flapping detector';

/** Certificates whose subject has not our form are sent to this id (`mqtt.clientid_override`), and this id is banned: part of the posture (emqx-profile.md, 7). */
export const INVALID_CERTIFICATE: Ban = {
  as: 'clientid',
  who: 'invalid-certificate',
  until: 'infinity',
  reason: 'subject not of the required form',
  by: `${OURS}profile`,
};

export const banKey = (ban: { as: string; who: string }): string => `${ban.as} ${ban.who}`;

/** Wanted bans by key; of two for one identity the longer. An empty `who` would be taken by EMQX and is refused here (emqx.md §1.5). */
export function wantedBans(bans: readonly Ban[]): Map<string, Ban> {
  const wanted = new Map<string, Ban>();
  for (const ban of bans) {
    if (ban.who === '') continue;
    const other = wanted.get(banKey(ban));
    if (other === undefined || endOf(other.until) < endOf(ban.until)) wanted.set(banKey(ban), ban);
  }
  return wanted;
}

export type BanStep = 'none' | 'make' | 'replace' | 'remove';

/**
 * What to do about one identity. A ban that others made and that lasts long enough will do; a shorter one is replaced: revoked means gone, for ever.
 * A record of the flapping detector is never taken for ours: it ends in minutes.
 */
export function banStep(wanted: Ban | undefined, held: HeldBan | undefined, isOurClient: boolean): BanStep {
  if (wanted === undefined) {
    if (held === undefined) return 'none';
    const stale = held.by.startsWith(OURS) || (held.by === FLAPPING && held.as === 'clientid' && isOurClient);
    return stale ? 'remove' : 'none';
  }
  if (held === undefined) return 'make';
  if (held.by === FLAPPING) return 'replace';
  return endOf(held.until) >= endOf(wanted.until) ? 'none' : 'replace';
}

/** Whole seconds: EMQX cuts off the rest. */
export function endOf(until: string): number {
  if (until === 'infinity') return Number.POSITIVE_INFINITY;
  const at = Date.parse(until);
  return Number.isNaN(at) ? Number.POSITIVE_INFINITY : Math.floor(at / 1000);
}
