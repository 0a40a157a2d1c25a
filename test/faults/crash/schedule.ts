// Who is killed when, from a seed: the same seed and round give the same schedule on every machine, since points are counted in writes and not in seconds.

export const VICTIMS = ['operator', 'kube-apiserver', 'broker'] as const;
export type Victim = (typeof VICTIMS)[number];

/** Killed at once, as soon as the operator has made so many writes in this round. */
export type Kill = { afterWrites: number; victims: Victim[] };

/**
 * Each victim once, at random points of `writes`; every fourth kill takes the next victim along. Without `everyVictim` a round has operator or broker or both, and
 * the API server, whose restart takes longest, in one of three.
 */
export function scheduleFor(seed: number, round: number, writes: number, everyVictim: boolean): Kill[] {
  const random = generator(seed * 1_000_003 + round);
  const left = victimsOf(random, everyVictim);
  const kills: Kill[] = [];
  while (left.length > 0) {
    const victims = left.splice(0, random() < 0.25 ? 2 : 1);
    kills.push({ afterWrites: 1 + Math.floor(random() * writes), victims });
  }
  return kills.sort((a, b) => a.afterWrites - b.afterWrites);
}

function victimsOf(random: () => number, everyVictim: boolean): Victim[] {
  if (everyVictim) return shuffled([...VICTIMS], random);
  const quick = shuffled<Victim>(['operator', 'broker'], random).slice(0, random() < 0.5 ? 1 : 2);
  return shuffled(random() < 1 / 3 ? [...quick, 'kube-apiserver'] : quick, random);
}

/** `operator at 17, broker+kube-apiserver at 80` */
export function inWords(kills: readonly Kill[]): string {
  return kills.map(({ afterWrites, victims }) => `${victims.join('+')} at ${afterWrites}`).join(', ');
}

function shuffled<T>(items: T[], random: () => number): T[] {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other] as T, items[last] as T];
  }
  return items;
}

/** mulberry32: small, seeded, good enough to pick points. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
