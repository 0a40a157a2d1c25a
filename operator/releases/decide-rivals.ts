// Which other release of the same component stands in the way of one that is to begin. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { selects } from '../api/label-selector.ts';
import type { Candidate } from '../firmware/firmware.ts';
import { isTrue } from '../runtime/conditions.ts';
import type { ReleaseView } from './view.ts';

/** `sites`: where it has waves, and its own namespace; `all`: of a release for the whole fleet. */
export type Rival = { release: ReleaseView; sites: ReadonlySet<string> | 'all'; hasBegun: boolean };

export type InTheWay = { what: string; isReject: boolean };

const OVER: readonly string[] = ['Completed', 'Failed', 'RolledBack', 'Superseded'];

/**
 * One that has begun and has not ended comes first, whatever its priority: two releases never work on one device. Of those that could begin, the higher priority, then the
 * older; one that is not verified or waits for an approval keeps nobody waiting. `joining`: the release is done and would take devices that joined: a later release has these.
 */
export function rivalOf(own: ReleaseView, rivals: readonly Rival[], devices: readonly Candidate[], joining: boolean): InTheWay | undefined {
  const found = rivals.find((rival) => isInTheWay(own, rival, joining) && devices.some((device) => isShared(rival, device)));
  if (found === undefined) return undefined;
  const { namespace, name } = found.release;
  const does = found.hasBegun ? 'is being rolled out to devices of this one' : 'goes first to devices of this one';
  return {
    what: `FirmwareRelease ${namespace}/${name} of the same component ${does}`,
    isReject: found.hasBegun && own.spec.conflict === 'Reject',
  };
}

function isInTheWay(own: ReleaseView, { release, hasBegun }: Rival, joining: boolean): boolean {
  if (release.uid === own.uid || release.spec.component !== own.spec.component) return false;
  const phase = release.status?.phase ?? 'Verifying';
  if (joining && phase === 'Completed') return isLater(release, own);
  if (OVER.includes(phase)) return false;
  if (hasBegun) return true;
  const { conditions } = release.status ?? {};
  return (
    isTrue(conditions, 'ArtifactVerified') && isTrue(conditions, 'Approved') && !isTrue(conditions, 'Stalled') && goesFirst(release, own)
  );
}

function goesFirst(a: ReleaseView, b: ReleaseView): boolean {
  const [first, second] = [priorityOf(a.spec), priorityOf(b.spec)];
  return first === second ? isLater(b, a) : first > second;
}

const isLater = (a: ReleaseView, b: ReleaseView): boolean => (a.createdAt === b.createdAt ? a.uid > b.uid : a.createdAt > b.createdAt);

const priorityOf = ({ priority }: FirmwareReleaseSpec): number => priority ?? 500;

function isShared({ release, sites }: Rival, { namespace, labels }: Candidate): boolean {
  return (sites === 'all' || sites.has(namespace)) && selects(release.spec.selector, labels);
}
