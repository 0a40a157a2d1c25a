// The pace of a release, split over the sites that are at work. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { DEFAULT_PACE, rateOf } from '../firmware/firmware.ts';

/** `share`: devices of the step there. `has`: what it was given before. */
export type SiteShare = { site: string; share: number; has: SitePace | undefined };
export type SitePace = { perMinute: number; maxInFlight: number };

/**
 * What each site may do so that all together never exceed what the release may: by their devices, largest remainder. A site for which nothing is left is not in the answer:
 * it waits until another is done. As long as what they have is what the release may, it stays: a wave is not written again for every device.
 */
export function paceOf(
  pace: FirmwareReleaseSpec['rollout']['pace'] = DEFAULT_PACE,
  confirmed: number,
  sites: readonly SiteShare[],
): Map<string, SitePace> {
  const rate = rateOf(pace, confirmed);
  if (isSplit(rate, ({ perMinute }) => perMinute, sites) && isSplit(pace.maxInFlight, ({ maxInFlight }) => maxInFlight, sites))
    return new Map(
      sites.flatMap(({ site, has }) => (has === undefined ? [] : [[site, { perMinute: has.perMinute, maxInFlight: has.maxInFlight }]])),
    );
  const perMinute = split(rate, sites);
  const room = split(pace.maxInFlight, sites);
  return new Map(
    sites.flatMap(({ site }): [string, SitePace][] => {
      const own = { perMinute: perMinute.get(site) ?? 0, maxInFlight: room.get(site) ?? 0 };
      return own.perMinute === 0 || own.maxInFlight === 0 ? [] : [[site, own]];
    }),
  );
}

const isSplit = (total: number, part: (has: SitePace) => number, sites: readonly SiteShare[]): boolean =>
  sites.every(({ has }) => has !== undefined) && sites.reduce((sum, { has }) => sum + (has === undefined ? 0 : part(has)), 0) === total;

/** One for each of the first sites, the rest by share: a site of three devices beside one of 100,000 must not stand still. */
function split(total: number, sites: readonly Pick<SiteShare, 'site' | 'share'>[]): Map<string, number> {
  const order = [...sites].sort((a, b) => b.share - a.share || (a.site < b.site ? -1 : 1)).slice(0, total);
  const all = order.reduce((sum, { share }) => sum + share, 0);
  const rest = total - order.length;
  const parts = order.map(({ site, share }) => {
    const exact = all === 0 ? rest / order.length : (rest * share) / all;
    return { site, whole: Math.floor(exact), remainder: exact - Math.floor(exact) };
  });
  const left = rest - parts.reduce((sum, { whole }) => sum + whole, 0);
  const lucky = new Set([...parts].sort((a, b) => b.remainder - a.remainder || (a.site < b.site ? -1 : 1)).slice(0, left));
  return new Map(parts.map((part) => [part.site, 1 + part.whole + (lucky.has(part) ? 1 : 0)]));
}
