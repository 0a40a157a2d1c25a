// Whom a wave offers the release now: as fast as its pace, its room in flight and the groups that must stay up allow, and no faster. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { sizeOf } from './size.ts';

export type Pace = NonNullable<FirmwareReleaseSpec['rollout']['pace']>;

/** A device of the wave, in the wave's order. */
export type Row = {
  uid: string;
  /** Waiting: to be offered. Busy: offered and not at an end. Down: at an end and not heard of since. Done: at any other end. */
  lane: 'Waiting' | 'Busy' | 'Down' | 'Done';
  /** Its value for each budget, in their order; undefined: it is in no group of it. */
  groups: readonly (string | undefined)[];
};

/** One entry of spec.rollout.disruption. `sizes`: how many devices of the fleet each group has, whether or not they are in this wave. */
export type Budget = { maxUnavailable: string; sizes: ReadonlyMap<string, number> };

export type OfferInput = {
  now: number;
  rows: readonly Row[];
  /** When offers of the release were made, ms; those of the last minute suffice. */
  offeredAt: readonly number[];
  /** Devices of the release that confirmed, for a pace that grows. */
  confirmed: number;
  pace: Pace | undefined;
  budgets: readonly Budget[];
  /** Busy devices of the whole release, other waves and sites included. */
  busy: number;
};

export type Held = 'Pace' | 'InFlight' | 'Disruption';
/** `held`: what kept the next waiting device back; undefined where nobody waits any more. */
export type Offers = { offer: readonly Row[]; held: Held | undefined };

const MINUTE_MS = 60_000;
export const DEFAULT_PACE: Pace = { perMinute: 300, maxInFlight: 2000 };

/** Never more than the pace in any minute, than maxInFlight at once, and than a group's budget down at once; but one of a group whatever its budget, or small groups would never be done. */
export function offersNow({ now, rows, offeredAt, confirmed, pace = DEFAULT_PACE, budgets, busy }: OfferInput): Offers {
  const spent = offeredAt.filter((at) => at > now - MINUTE_MS).length;
  let [byPace, byRoom] = [rateOf(pace, confirmed) - spent, pace.maxInFlight - busy];
  const down = budgets.map((_, at) =>
    countBy(rows.filter(({ lane }) => lane === 'Busy' || lane === 'Down').map(({ groups }) => groups[at])),
  );
  const offer: Row[] = [];
  let held: Held | undefined;
  for (const row of rows) {
    if (row.lane !== 'Waiting') continue;
    if (byPace <= 0 || byRoom <= 0) return { offer, held: byPace <= 0 ? 'Pace' : 'InFlight' };
    if (budgets.some((budget, at) => isFull(budget, row.groups[at], down[at]))) {
      held = 'Disruption';
      continue;
    }
    for (const [at, counts] of down.entries()) count(counts, row.groups[at]);
    offer.push(row);
    byPace -= 1;
    byRoom -= 1;
  }
  return { offer, held };
}

/** Offers a minute, once so many devices have confirmed. */
export function rateOf({ perMinute, exponential }: Pace, confirmed: number): number {
  if (exponential === undefined) return perMinute;
  const { base, factor, increaseOnConfirmed } = exponential;
  return Math.min(perMinute, base * factor ** Math.floor(confirmed / increaseOnConfirmed));
}

/** The least time in which so many offers can be made, ms, where every device confirms at once. */
export function leastTime(pace: Pace = DEFAULT_PACE, { offers, confirmed }: { offers: number; confirmed: number }): number {
  let [minutes, left, done] = [0, offers, confirmed];
  for (let rate = rateOf(pace, done); left > rate; rate = rateOf(pace, done)) {
    minutes += 1;
    left -= rate;
    done += rate;
  }
  return minutes * MINUTE_MS;
}

function isFull({ maxUnavailable, sizes }: Budget, group: string | undefined, down: ReadonlyMap<string, number> | undefined): boolean {
  if (group === undefined) return false;
  return (down?.get(group) ?? 0) >= Math.max(1, sizeOf(maxUnavailable, sizes.get(group) ?? 0));
}

function countBy(values: readonly (string | undefined)[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) count(counts, value);
  return counts;
}

function count(counts: Map<string, number>, value: string | undefined): void {
  if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
}
