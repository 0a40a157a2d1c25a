// Chance that comes again: the same seed gives the same faults, device by device, in whatever order things happen.

export type Random = () => number;

/** xorshift32, in [0, 1). */
export function seeded(seed: number): Random {
  let x = Math.imul(seed + 1, 2_654_435_761) | 1;
  const next: Random = () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
  // The first ones of neighbouring seeds are alike.
  for (let at = 0; at < 8; at += 1) next();
  return next;
}

export const between = (random: Random, least: number, most: number): number => least + Math.floor(random() * (most - least + 1));

/** 16 bytes in hex. */
export function nonceBy(random: Random): string {
  let text = '';
  for (let at = 0; at < 4; at += 1) text += between(random, 0, 0xffff_ffff).toString(16).padStart(8, '0');
  return text;
}
