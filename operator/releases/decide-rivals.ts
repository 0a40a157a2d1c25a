// Which other release of the same component stands in the way of one that is to begin, and which one gives way. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { selects } from '../api/label-selector.ts';
import { type Candidate, misfitOf } from '../firmware/firmware.ts';
import { findCondition, isTrue } from '../runtime/conditions.ts';
import type { ReleaseView } from './view.ts';

/** `sites`: where it has waves, and its own namespace; `all`: of a release for the whole fleet. */
export type Rival = { release: ReleaseView; sites: ReadonlySet<string> | 'all'; hasBegun: boolean };

/** `Superseding`: it is told to stop, and waited for until it has. */
export type InTheWay = { what: string; why: 'Queued' | 'Rejected' | 'Superseding' };

const OVER: readonly string[] = ['Completed', 'Failed', 'RolledBack', 'Superseded'];

export const isOver = ({ status }: Pick<ReleaseView, 'status'>): boolean => OVER.includes(status?.phase ?? '');

/** Which release took its place, as its status has said. */
export function saidSuperseded({ status }: Pick<ReleaseView, 'status'>): string | undefined {
  const said = findCondition(status?.conditions, 'Superseded');
  return said?.status === 'True' ? said.message : undefined;
}

/** What others wait for, or give way to. */
export function isNewsToOthers(before: ReleaseView | undefined, after: ReleaseView | undefined): boolean {
  const sayOf = (release: ReleaseView | undefined): string =>
    `${release?.status?.phase} ${findCondition(release?.status?.conditions, 'Progressing')?.reason}`;
  return before !== undefined && sayOf(before) !== sayOf(after);
}

/**
 * One that has begun and has not ended comes first, whatever its priority: two releases never work on one device. Of those that could begin, the higher priority, then the
 * older; one that is not verified, waits for an approval or for what it requires keeps nobody waiting. `joining`: the release is done and would take devices that joined: a
 * later release has these.
 */
export function rivalOf(own: ReleaseView, rivals: readonly Rival[], devices: readonly Candidate[], joining: boolean): InTheWay | undefined {
  const self = rivals.find(({ release }) => release.uid === own.uid);
  const all = rivals.filter((rival) => isInTheWay(own, self, rival, joining) && devices.some((device) => isShared(rival, device)));
  const ends = (rival: Rival): boolean => rival.hasBegun && self !== undefined && mayEnd(self, rival);
  // As long as one is there that it may not end, ending the others would help nobody.
  const found = all.find((rival) => !ends(rival)) ?? all[0];
  if (found === undefined) return undefined;
  const { namespace, name } = found.release;
  const does = found.hasBegun ? 'is being rolled out to devices of this one' : 'goes first to devices of this one';
  const what = `FirmwareRelease ${namespace}/${name} of the same component ${does}`;
  if (!joining && ends(found)) return { what: `${what}, and is stopped for it`, why: 'Superseding' };
  return { what, why: found.hasBegun && own.spec.conflict === 'Reject' ? 'Rejected' : 'Queued' };
}

/** Which release takes the place of this one: one that would begin now if this one had not, by its own word, and that has devices of this one to update. */
export function supersederOf(own: ReleaseView, rivals: readonly Rival[], devices: readonly Candidate[]): string | undefined {
  const self = rivals.find(({ release }) => release.uid === own.uid);
  if (self?.hasBegun !== true || isOver(own)) return undefined;
  const found = rivals.find(
    (rival) =>
      rival.release.uid !== own.uid &&
      isSuperseding(rival.release) &&
      mayEnd(rival, self) &&
      devices.some((device) => isShared(rival, device) && misfitOf(rival.release.spec, device) === undefined),
  );
  return found === undefined ? undefined : `FirmwareRelease ${found.release.namespace}/${found.release.name} takes its place`;
}

/** It says so when nothing else keeps it from beginning: it is verified, approved and not paused, and what it requires is there. */
function isSuperseding({ generation, isGoing, status }: ReleaseView): boolean {
  const said = findCondition(status?.conditions, 'Progressing');
  return !isGoing && said?.reason === 'Superseding' && said.observedGeneration === generation;
}

/**
 * With a higher priority, or with an equal one and younger: of two that both want to, one does. Only a release for the whole fleet ends one of another namespace: who may
 * write releases at one site stops nothing elsewhere.
 */
function mayEnd(rival: Rival, other: Rival): boolean {
  const [a, b] = [rival.release, other.release];
  if (a.spec.conflict !== 'Supersede' || a.spec.component !== b.spec.component) return false;
  if (rival.sites !== 'all' && (other.sites === 'all' || a.namespace !== b.namespace)) return false;
  const [first, second] = [priorityOf(a.spec), priorityOf(b.spec)];
  return first === second ? isLater(a, b) : first > second;
}

function isInTheWay(own: ReleaseView, self: Rival | undefined, rival: Rival, joining: boolean): boolean {
  const { release, hasBegun } = rival;
  if (release.uid === own.uid || release.spec.component !== own.spec.component) return false;
  if (joining && release.status?.phase === 'Completed') return isLater(release, own);
  if (isOver(release)) return false;
  if (hasBegun) return true;
  return couldBegin(release) && goesFirst(rival, self ?? { release: own, sites: new Set([own.namespace]), hasBegun: false });
}

function couldBegin({ status }: ReleaseView): boolean {
  const { conditions } = status ?? {};
  const lacks = findCondition(conditions, 'DependenciesMet')?.status === 'False';
  return isTrue(conditions, 'ArtifactVerified') && isTrue(conditions, 'Approved') && !isTrue(conditions, 'Stalled') && !lacks;
}

/** One that would end the other as soon as that begins goes first. */
function goesFirst(a: Rival, b: Rival): boolean {
  const [first, second] = [priorityOf(a.release.spec), priorityOf(b.release.spec)];
  if (first !== second) return first > second;
  return mayEnd(a, b) || (!mayEnd(b, a) && isLater(b.release, a.release));
}

const isLater = (a: ReleaseView, b: ReleaseView): boolean => (a.createdAt === b.createdAt ? a.uid > b.uid : a.createdAt > b.createdAt);

const priorityOf = ({ priority }: FirmwareReleaseSpec): number => priority ?? 500;

function isShared({ release, sites }: Rival, { namespace, labels }: Candidate): boolean {
  return (sites === 'all' || sites.has(namespace)) && selects(release.spec.selector, labels);
}
