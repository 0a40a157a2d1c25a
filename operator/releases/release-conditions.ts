// The conditions of a FirmwareRelease. They flip on a state; what is counted stands in their messages only. Pure.
import type { Condition } from '../api/meta.ts';
import type { Verdict } from '../firmware/firmware.ts';
import { setCondition } from '../runtime/conditions.ts';
import { requiredBy } from './decide-dependencies.ts';
import { explain, reasonOf } from './errors.ts';
import type { Phase, Seen } from './release-status.ts';
import type { Untrusted, Verified } from './verify.ts';
import { wayBack } from './way-back.ts';

type Said = { status: Condition['status']; reason: string; message: string };

export function conditionsOf(
  before: readonly Condition[],
  about: { seen: Seen; phase: Phase; verdict: Verdict | undefined },
  trust: Verified | Untrusted,
  now: number,
): Condition[] {
  const { seen, phase, verdict } = about;
  const ready = readyOf(seen, phase);
  const stalled = stalledOf(seen, phase, trust);
  const said: [type: string, said: Said | undefined][] = [
    ['ArtifactVerified', verifiedOf(trust)],
    ['TrustFresh', freshOf(trust)],
    ['Approved', approvedOf(seen)],
    ['DependenciesMet', dependenciesOf(seen)],
    ['Superseded', supersededOf(seen)],
    ['GateHealthy', healthyOf(verdict)],
    ['Progressing', progressOf(seen, phase)],
    ['RollbackPossible', backOf(seen)],
    ['Stalled', stalled],
    // kstatus: in progress unless it is done, or stuck.
    ['Reconciling', stalled === undefined && ready.status !== 'True' ? yes(phase, sentenceOf(seen, phase)) : undefined],
    ['Ready', stalled === undefined ? ready : no(stalled.reason, stalled.message)],
  ];
  const { generation } = seen.release;
  let conditions = before.filter((old) => said.some(([type, what]) => type === old.type && what !== undefined));
  for (const [type, what] of said)
    if (what !== undefined)
      conditions = setCondition(
        conditions,
        { type, ...what, message: what.message.slice(0, 512), observedGeneration: generation },
        iso(now),
      );
  return [...conditions];
}

const MOVING: readonly Phase[] = ['Prefetching', 'RollingOut', 'Soaking', 'Aborting', 'RollingBack'];

/** `Superseding`: the release that is in its way reads it there, and stops. */
function progressOf(seen: Seen, phase: Phase): Said {
  const { next } = seen.decision;
  const reason = next.do === 'Wait' && next.why === 'Superseding' && phase === 'Waiting' ? next.why : phase;
  return MOVING.includes(phase) ? yes(reason, sentenceOf(seen, phase)) : no(reason, sentenceOf(seen, phase));
}

/** Said of a release that requires others only. */
function dependenciesOf({ situation: { spec, lack } }: Seen): Said | undefined {
  const names = requiredBy({ spec });
  if (names.length === 0) return undefined;
  return lack === undefined ? yes('Completed', `completed: ${names.join(', ')}`) : no(lack.why, lack.what);
}

function supersededOf({ decision: { isSuperseded, next } }: Seen): Said | undefined {
  return isSuperseded && 'reason' in next ? yes(reasonOf('HR-FW-215'), next.reason) : undefined;
}

function verifiedOf(trust: Verified | Untrusted): Said {
  if (trust.ok)
    return yes('Verified', `the statement has the signatures of ${trust.signers.length} release keys, and the manifest says the same`);
  return trust.about === 'Artifact'
    ? no(trust.reason, trust.message)
    : { status: 'Unknown', reason: 'TrustMissing', message: 'signatures are looked at when the roots are trusted' };
}

function freshOf(trust: Verified | Untrusted): Said {
  if (trust.ok) return yes('Fresh', `trust root ${trust.rootVersion} is the newest that was accepted, and valid`);
  return trust.about === 'Root' ? no(trust.reason, trust.message) : yes('Fresh', 'the trust roots are good');
}

function approvedOf({ decision: { next } }: Seen): Said {
  return next.do === 'Hold' && next.why === 'Approval'
    ? no('ApprovalNeeded', `${next.reason}: kubectl hedgerow rollout approve, by somebody else than the author`)
    : yes('NothingToApprove', 'no wave waits for an approval');
}

function healthyOf(verdict: Verdict | undefined): Said {
  if (verdict === undefined) return { status: 'Unknown', reason: 'NothingReached', message: 'no wave has begun' };
  if (verdict.result === 'Fail') return no(reasonOf('HR-FW-209'), explain('HR-FW-209', verdict.reason));
  if (verdict.result === 'Pass') return yes('Passed', verdict.reason);
  return { status: 'Unknown', reason: 'Inconclusive', message: verdict.reason };
}

function backOf({ release, situation }: Seen): Said {
  const { possible, reason = '' } = wayBack(release, situation);
  return possible
    ? yes('Possible', 'devices can go back to what they ran before')
    : no(reasonOf('HR-FW-210'), explain('HR-FW-210', reason));
}

function readyOf(seen: Seen, phase: Phase): Said {
  return phase === 'Completed' ? yes('Completed', sentenceOf(seen, phase)) : no(phase, sentenceOf(seen, phase));
}

/** Only a person, or another release, gets it on. */
function stalledOf({ trouble, decision: { next }, release, situation }: Seen, phase: Phase, trust: Verified | Untrusted): Said | undefined {
  // First, whatever else is wrong: it concerns all releases, and other conditions tell of the rest.
  if (situation.openApprovers !== undefined && UNDER_WAY.includes(phase))
    return yes(reasonOf('HR-FW-211'), explain('HR-FW-211', situation.openApprovers));
  if (trouble !== undefined) return yes(trouble.reason, trouble.message);
  if (phase === 'Superseded') return yes(reasonOf('HR-FW-215'), explain('HR-FW-215', sentenceOf({ decision: { next } }, phase)));
  if (next.do === 'Hold' && next.why === 'NoWayBack') return yes(reasonOf('HR-FW-210'), explain('HR-FW-210', next.reason));
  if (
    (next.do === 'Hold' && next.why === 'Gate') ||
    (phase === 'Failed' && isAboutGate(next)) ||
    (phase === 'RolledBack' && isAboutGate(next))
  )
    return yes(reasonOf('HR-FW-209'), explain('HR-FW-209', 'reason' in next ? next.reason : ''));
  if (phase === 'Failed' || phase === 'RolledBack') return yes(phase, sentenceOf({ decision: { next } }, phase));
  if (!trust.ok) return yes(trust.reason, trust.message);
  if (next.do === 'Wait' && next.why === 'Cycle') return yes(reasonOf('HR-FW-216'), explain('HR-FW-216', next.reason));
  if (next.do === 'Wait' && next.why === 'Rejected') return yes(reasonOf('HR-FW-208'), explain('HR-FW-208', next.reason));
  if (next.do === 'Complete' && situation.steps.length === 0)
    return yes(reasonOf('HR-FW-204'), explain('HR-FW-204', `no Device takes ${release.name}`));
  return undefined;
}

/** Something more could be offered. */
const UNDER_WAY: readonly Phase[] = ['Verifying', 'Prefetching', 'Waiting', 'RollingOut', 'Soaking', 'Paused'];

const isAboutGate = (next: Seen['decision']['next']): boolean => next.do === 'Revert' && next.wave !== undefined;

function sentenceOf({ decision: { next } }: { decision: Pick<Seen['decision'], 'next'> }, phase: Phase): string {
  if ('reason' in next) return next.reason;
  if (next.do === 'Soak') return `the wave is watched until ${iso(next.until)}`;
  return SENTENCES[phase];
}

const SENTENCES: Record<Phase, string> = {
  Verifying: 'the release is being verified',
  Prefetching: 'sites fetch the artifacts',
  Waiting: 'it waits',
  RollingOut: 'devices are offered the release',
  Soaking: 'the wave is watched',
  Paused: 'no further device is offered the release',
  Completed: 'every wave is done',
  Aborting: 'devices that have not booted it are told to stop',
  RollingBack: 'devices go back',
  RolledBack: 'devices went back',
  Failed: 'the release was stopped',
  Superseded: 'another release took its place',
};

const yes = (reason: string, message: string): Said => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Said => ({ status: 'False', reason, message });
const iso = (ms: number): string => new Date(ms).toISOString();
