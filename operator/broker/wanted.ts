// What the broker should hold, asked for seldom enough: `desired()` costs a walk over all devices and the ledger.
import type { Clock } from '../runtime/clock.ts';
import type { Ban, DesiredBroker, SegmentRights } from './broker.ts';
import { banKey, INVALID_CERTIFICATE, OURS, wantedBans } from './plan.ts';
import { recordOf, type WantedRecord } from './record.ts';

export type Wanted = {
  bans: Map<string, Ban>;
  records: Map<string, WantedRecord>;
  segments: readonly SegmentRights[];
  judge: DesiredBroker['judge'];
  segmentOf: DesiredBroker['segmentOf'];
  isSuperseded: NonNullable<DesiredBroker['isSuperseded']>;
  trust: DesiredBroker['trust'];
  /** Number of the last wake that this answer is newer than. */
  wake: number;
};

export interface WantedSource {
  /** The last answer; empty before the first. */
  readonly now: Wanted | undefined;
  /** Asks anew; the ms to wait when it was asked too short a time ago, for this purpose or at all. Throws what `desired` throws. */
  refresh(purpose: string, gapMs: number): number | undefined;
  /** A certificate that nobody recorded was seen: it is banned as long as it stays unknown. */
  suspect(client: string, md5: string): Ban | undefined;
  /** Counts wakes. */
  woken(): number;
}

/** `desired()` may take a fifth of the time, never more. */
const SHARE = 5;
const SUSPECT_MS = 24 * 3600_000;
const MOST_SUSPECTS = 10_000;

export function createWanted(deps: { desired(): DesiredBroker; clock: Clock }): WantedSource {
  const suspects = new Map<string, { client: string; until: string }>();
  let now: Wanted | undefined;
  let wakes = 0;
  const askedFor = new Map<string, number>();
  let askedAt = Number.NEGATIVE_INFINITY;
  let costMs = 0;

  const banOf = (md5: string, until: string): Ban => ({
    as: 'username',
    who: md5,
    until,
    reason: 'certificate is in no ledger',
    by: `${OURS}unknown`,
  });

  return {
    get now() {
      return now;
    },
    refresh(purpose, gapMs) {
      const startedAt = deps.clock.elapsed();
      const waitMs = Math.max((askedFor.get(purpose) ?? Number.NEGATIVE_INFINITY) + gapMs, askedAt + costMs * SHARE) - startedAt;
      if (waitMs > 0) return waitMs;
      const wake = wakes;
      const desired = deps.desired();
      askedAt = startedAt;
      askedFor.set(purpose, startedAt);
      costMs = deps.clock.elapsed() - startedAt;
      const bans = wantedBans([...desired.bans, INVALID_CERTIFICATE]);
      for (const [md5, { client, until }] of suspects) {
        const still = desired.judge(client, md5) === 'unknown' && Date.parse(until) > deps.clock.now();
        if (!still) suspects.delete(md5);
        else if (!bans.has(`username ${md5}`)) bans.set(`username ${md5}`, banOf(md5, until));
      }
      now = {
        bans,
        records: new Map(desired.overrides.map((override) => [override.client, recordOf(override)])),
        segments: desired.segments,
        judge: desired.judge,
        segmentOf: desired.segmentOf,
        isSuperseded: desired.isSuperseded ?? (() => false),
        trust: desired.trust,
        wake,
      };
      return undefined;
    },
    suspect(client, md5) {
      if (!/^[0-9a-f]{32}$/.test(md5) || suspects.size >= MOST_SUSPECTS) return undefined;
      const until = new Date(deps.clock.now() + SUSPECT_MS).toISOString();
      suspects.set(md5, { client, until });
      const ban = banOf(md5, until);
      now?.bans.set(banKey(ban), ban);
      return ban;
    },
    woken: () => ++wakes,
  };
}
