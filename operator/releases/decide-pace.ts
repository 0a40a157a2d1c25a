// The pace of a release, split over the sites that are at work. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { DEFAULT_PACE, rateOf } from '../firmware/firmware.ts';

/** `share`: devices of the step there. */
export type SiteShare = { site: string; share: number };
export type SitePace = { perMinute: number; maxInFlight: number };

/**
 * What each site may do so that all together never exceed what the release may: by their devices, largest remainder. A site for which nothing is left is not in the answer:
 * it waits until another is done.
 */
export function paceOf(
  pace: FirmwareReleaseSpec['rollout']['pace'] = DEFAULT_PACE,
  confirmed: number,
  sites: readonly SiteShare[],
): Map<string, SitePace> {
  const perMinute = split(rateOf(pace, confirmed), sites);
  const room = split(pace.maxInFlight, sites);
  return new Map(
    sites.flatMap(({ site }): [string, SitePace][] => {
      const own = { perMinute: perMinute.get(site) ?? 0, maxInFlight: room.get(site) ?? 0 };
      return own.perMinute === 0 || own.maxInFlight === 0 ? [] : [[site, own]];
    }),
  );
}

/** One for each of the first sites, the rest by share: a site of three devices beside one of 100,000 must not stand still. */
function split(total: number, sites: readonly SiteShare[]): Map<string, number> {
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
