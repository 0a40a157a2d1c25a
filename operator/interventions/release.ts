// What people did by hand to a FirmwareRelease, and how far the world shows it. Pure.
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import { explain, reasonOf } from './errors.ts';
import type { InterventionView } from './view.ts';

/** What the Interventions on a release come to; `…By` names the Intervention and who asked for it. */
export type ReleaseAsked = {
  pausedBy: string | undefined;
  abortedBy: string | undefined;
  rolledBackBy: string | undefined;
  approvals: readonly { wave: string; digest: string; generation: number; by: string }[];
};

/** The release as its own status shows it. */
export type ReleaseSight = { generation: number; author: string | undefined; status: FirmwareReleaseStatus | undefined };

type Said = { status: 'True' | 'False'; reason: string; message: string };

export function askedOf(views: readonly InterventionView[], now: number): ReleaseAsked {
  const first = (action: string): string | undefined => {
    const [one] = views.filter((view) => view.action === action && !hasEnded(view, now)).sort(oldestFirst);
    return one === undefined ? undefined : `Intervention ${one.name} of ${one.requestedBy}`;
  };
  return {
    ...{ pausedBy: first('Pause'), abortedBy: first('Abort'), rolledBackBy: first('Rollback') },
    approvals: views.flatMap(({ action, approve, requestedBy }) =>
      action === 'Approve' && approve !== undefined ? [{ ...approve, by: requestedBy }] : [],
    ),
  };
}

/** Only a Pause ends by itself. An end that cannot be read is none: it stays paused. */
export function hasEnded({ action, expires }: InterventionView, now: number): boolean {
  return action === 'Pause' && expires !== undefined && now >= Date.parse(expires);
}

export function appliedToRelease(view: InterventionView, release: ReleaseSight | undefined, now: number): Said {
  if (hasEnded(view, now)) return no('Expired', `the Pause ended at ${view.expires ?? ''}`);
  if (release === undefined) return no(reasonOf('HR-IV-001'), explain('HR-IV-001', `FirmwareRelease ${view.target.name}`));
  const phase = release.status?.phase ?? 'Verifying';
  if (view.action === 'Approve') return approved(view, release);
  const isOver = ['Failed', 'RolledBack', 'Superseded'].includes(phase);
  if (view.action === 'Pause') {
    if (isOver || phase === 'Completed') return yes('Ended', `the release has ended: ${phase}`);
    return phase === 'Paused'
      ? yes('Paused', 'no further device is offered the release')
      : no('InProgress', 'waiting until the release is paused');
  }
  if (isOver) return yes(phase, phase === 'RolledBack' ? 'devices went back' : 'the release was stopped');
  const noWay =
    view.action === 'Rollback'
      ? release.status?.conditions?.find(({ type, reason }) => type === 'Stalled' && reason === 'NoWayBack')
      : undefined;
  if (noWay !== undefined) return no('NoWayBack', noWay.message);
  return no('InProgress', view.action === 'Abort' ? 'devices that have not booted it are told to stop' : 'devices are told to go back');
}

/** An approval that can never count is said to be one at once. */
function approved({ approve, requestedBy }: InterventionView, { generation, author, status }: ReleaseSight): Said {
  if (author === undefined || author === requestedBy)
    return no(
      reasonOf('HR-IV-003'),
      explain('HR-IV-003', author === undefined ? 'the release names no author' : `${requestedBy} is its author`),
    );
  const digest = status?.artifact?.manifestDigest;
  if (approve?.generation !== generation)
    return no(
      reasonOf('HR-IV-004'),
      explain('HR-IV-004', `generation ${approve?.generation ?? 0} was approved, and the release has ${generation}`),
    );
  if (digest !== undefined && approve.digest !== digest)
    return no(reasonOf('HR-IV-004'), explain('HR-IV-004', `${approve.digest} was approved`));
  const wave = status?.waves?.find(({ name }) => name === approve.wave);
  return wave === undefined
    ? no('InProgress', `it counts when wave ${approve.wave} is due`)
    : yes('Approved', `wave ${approve.wave} has begun`);
}

function oldestFirst(a: InterventionView, b: InterventionView): number {
  return a.createdAt === b.createdAt ? (a.name < b.name ? -1 : 1) : a.createdAt < b.createdAt ? -1 : 1;
}

const yes = (reason: string, message: string): Said => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Said => ({ status: 'False', reason, message });
