// Whether devices could go back to what they ran before the release. Pure.
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import type { Situation } from './decide.ts';
import type { ReleaseView } from './view.ts';

/** As it was found before the first device took it: afterwards nobody says any more what ran before. */
export function wayBack(
  { spec, status }: Pick<ReleaseView, 'spec' | 'status'>,
  { plan, steps, uid }: Pick<Situation, 'plan' | 'steps' | 'uid'>,
): NonNullable<FirmwareReleaseStatus['rollback']> {
  if (steps.length > 0 && status?.rollback !== undefined) return status.rollback;
  const before = plan.steps
    .flatMap(({ devices }) => devices)
    .map(({ running }) => running[spec.component])
    .filter((running) => running?.releaseUid !== uid);
  const below = before.filter((running) => running !== undefined && (running.securityCounter ?? 0) < spec.securityCounter).length;
  const silent = before.filter((running) => running === undefined).length;
  if (below > 0)
    return {
      possible: false,
      reason: `the security counter ${spec.securityCounter} is above that of ${below} devices: none would boot what it runs now`,
    };
  return silent > 0 ? { possible: false, reason: `${silent} devices have not said what they run now` } : { possible: true };
}
