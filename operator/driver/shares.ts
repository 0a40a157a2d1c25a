// How the drivers of one wave at one site share its devices and its pace. Pure.

export type Shared = { perMinute: number; maxInFlight: number };

/**
 * How many drivers have devices at all. A budget of disruption cannot be shared without talking, so there one works alone; and nobody may be without any room. Those that
 * are too many have nothing to do.
 */
export const driversOf = ({ maxInFlight }: Shared, shards: number, hasBudgets: boolean): number =>
  hasBudgets ? 1 : Math.min(shards, maxInFlight);

/** Which driver a device has, by its rank. */
export const driverOf = (rank: number, shards: number, drivers: number): number => (rank % shards) % drivers;

const MINUTE_MS = 60_000;

/**
 * The part of one driver, by the largest remainder: together they are exactly the whole. Where fewer offers are made in a minute than there are drivers, they take turns
 * by the minutes of the clock.
 */
export function shareOf({ perMinute, maxInFlight }: Shared, drivers: number, index: number, now: number): Shared {
  if (index >= drivers) return { perMinute: 0, maxInFlight: 0 };
  const turn = perMinute < drivers ? Math.floor(now / MINUTE_MS) * perMinute : 0;
  const place = (index + drivers - (turn % drivers)) % drivers;
  return { perMinute: part(perMinute, drivers, place), maxInFlight: part(maxInFlight, drivers, index) };
}

const part = (whole: number, drivers: number, index: number): number => Math.floor(whole / drivers) + (index < whole % drivers ? 1 : 0);
