// The only place that asks for randomness.
import type { Random as KubeRandom } from '../kube/ports.ts';

export type Random = KubeRandom;

export const systemRandom: Random = () => Math.random();

/** Repeatable randomness for tests (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `ms` ± `share` of it: whatever is periodic is spread, so that a fleet does not renew on one day. */
export function jittered(ms: number, share: number, random: Random): number {
  return ms * (1 - share + 2 * share * random());
}
