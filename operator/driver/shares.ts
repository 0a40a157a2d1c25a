// How the drivers of one wave at one site share its devices and its pace. Pure.

export type Shared = { perMinute: number; maxInFlight: number };
export type Share = Shared & { /** Drivers that have devices at all. */ drivers: number };

/**
 * Each driver its part, by the largest remainder: together they are exactly the whole. No driver may be left without any, so there are no more than the smaller number
 * lets work; a budget of disruption cannot be shared without talking, so there one works alone. Those that are too many have no devices.
 */
export function shareOf({ perMinute, maxInFlight }: Shared, shards: number, index: number, hasBudgets: boolean): Share {
  const drivers = hasBudgets ? 1 : Math.min(shards, perMinute, maxInFlight);
  if (index >= drivers) return { perMinute: 0, maxInFlight: 0, drivers };
  const part = (whole: number): number => Math.floor(whole / drivers) + (index < whole % drivers ? 1 : 0);
  return { perMinute: part(perMinute), maxInFlight: part(maxInFlight), drivers };
}

/** Which driver a device has, by its rank. */
export const driverOf = (rank: number, shards: number, drivers: number): number => (rank % shards) % drivers;
