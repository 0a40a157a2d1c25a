// Telemetry of a smart office: deterministic for a seed, so that a test can say what must arrive.

export type Stream = 'temperature' | 'occupancy' | 'air';
export type Reading = { stream: Stream; m: Record<string, number> };

/** One reading of each stream for the `tick`-th interval of the day of device number `seed`. Temperatures in °C, CO2 in ppm, persons as a count. */
export function readings(seed: number, tick: number): Reading[] {
  const hour = (tick / 60 + seed * 0.1) % 24;
  const working = hour > 8 && hour < 18;
  const persons = working ? Math.round(2 + 2 * Math.sin(hour) + noise(seed, tick)) : 0;
  return [
    {
      stream: 'temperature',
      m: { celsius: round(20.5 + 1.5 * Math.sin((hour / 24) * 2 * Math.PI) + 0.2 * persons + 0.1 * noise(seed, tick + 1)) },
    },
    { stream: 'occupancy', m: { persons: Math.max(0, persons) } },
    {
      stream: 'air',
      m: { co2: Math.round(420 + 60 * Math.max(0, persons) + 10 * noise(seed, tick + 2)), humidity: round(41 + 3 * noise(seed, tick + 3)) },
    },
  ];
}

/** Numbers in [-1, 1] from two integers: the finaliser of MurmurHash3, enough to look like noise. */
function noise(seed: number, tick: number): number {
  let h = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(tick + 1, 0x85ebca6b)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
  return ((h ^ (h >>> 16)) >>> 0) / 0x7fffffff - 1;
}

const round = (value: number): number => Math.round(value * 10) / 10;
