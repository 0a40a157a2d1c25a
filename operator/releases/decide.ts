// What a release does now: from its manifest, its waves, the plan and what people asked for. Asked again after a crash it answers the same. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { type Approval, type Next, nextOf, type ReleaseState, type WavePlan } from '../firmware/firmware.ts';
import type { Lack } from './decide-dependencies.ts';
import type { InTheWay } from './decide-rivals.ts';
import { type StepAhead, type StepSoFar, startedOf, stepsAhead } from './decide-steps.ts';
import type { WaveView } from './view.ts';

/** What Interventions ask for; `by` names the Intervention and its author. */
export type Asked = {
  pausedBy: string | undefined;
  abortedBy: string | undefined;
  rolledBackBy: string | undefined;
  approvals: readonly Approval[];
};

export type Situation = {
  uid: string;
  generation: number;
  spec: FirmwareReleaseSpec;
  /** Undefined while it is not verified. */
  manifestDigest: string | undefined;
  steps: readonly StepSoFar[];
  plan: WavePlan;
  asked: Asked;
  canGoBack: boolean;
  /** Who else may approve for the issuers of drivers, in words: nothing is offered as long as anybody may. */
  openApprovers: string | undefined;
  /** What stands in the way of another step: another release. `joining`: of devices that joined when it was done. */
  inTheWay(joining: boolean): InTheWay | undefined;
  /** Which release of spec.requires it waits for, before it begins. */
  lack: Lack | undefined;
  /** Which release takes its place. `isFinal`: its status has said so, and that is for good. */
  superseded: { by: string; isFinal: boolean } | undefined;
  now: number;
};

type Action = WaveView['spec']['action'];

export type Decision = {
  next: Next | { do: 'Wait'; reason: string; why: InTheWay['why'] | Lack['why'] } | { do: 'Hold'; why: 'ApproverOpen'; reason: string };
  /** Another release takes its place: it is stopped, for good. */
  isSuperseded: boolean;
  ahead: readonly StepAhead[];
  /** What the waves are told from now on; never less strict than what they were told. */
  actionOf(wave: WaveView): Action;
  /** Nothing more is offered for now. */
  isSuspended: boolean;
};

export function decide(situation: Situation): Decision {
  const { spec, steps, plan, now } = situation;
  const { uid } = situation;
  const release = { uid, component: spec.component, isDynamic: spec.membership !== 'Snapshot' };
  const waves = spec.rollout.waves.map(({ name }) => name);
  const ahead = stepsAhead({ plan, release, waves }, steps, now);
  const own = nextOf(stateOf(situation, ahead), now);
  const givesWay = supersededNext(situation, own);
  const next = givesWay ?? unlessOpen(situation, nextUnless(situation, ahead, own));
  return {
    next,
    isSuperseded: givesWay !== undefined,
    ahead,
    actionOf: (wave) => stricter(wave.spec.action, wantedOf(next, wave)),
    isSuspended:
      situation.openApprovers !== undefined ||
      next.do === 'Verify' ||
      (next.do === 'Hold' && (next.why === 'Paused' || next.why === 'Gate')),
  };
}

/** Somebody else could have a directive key. What is to stop or to go back still is: waiting would only leave devices with the image. */
function unlessOpen({ openApprovers }: Situation, next: Decision['next']): Decision['next'] {
  // One that could not begin takes no other's place.
  const takesPlace = next.do === 'Wait' && next.why === 'Superseding';
  if (openApprovers === undefined || (next.do !== 'Start' && next.do !== 'Offer' && !takesPlace)) return next;
  return { do: 'Hold', why: 'ApproverOpen', reason: openApprovers };
}

/** One that goes back already, or is done, comes to its own end; so does one whose waves cannot be seen yet: they have to be stopped. */
function supersededNext({ superseded, steps }: Situation, next: Next): Next | undefined {
  const isLeft = next.do === 'Revert' || next.do === 'Complete' || steps.length === 0;
  if (superseded === undefined || (!superseded.isFinal && isLeft)) return undefined;
  return { do: 'Revert', which: 'RevertUnconfirmed', reason: superseded.by };
}

/** A release that has begun goes on; one that is done and would only take who joined stays done. */
function nextUnless({ steps, inTheWay, lack }: Situation, [first]: readonly StepAhead[], next: Next): Decision['next'] {
  // Before what it requires is there no device may be ready for it: that is no reason to have nothing to do.
  if (lack !== undefined && steps.length === 0 && (next.do === 'Start' || next.do === 'Complete'))
    return { do: 'Wait', reason: lack.what, why: lack.why };
  const joining = steps.length > 0 && first?.at === undefined;
  if (next.do !== 'Start' || (steps.length > 0 && !joining)) return next;
  const found = inTheWay(joining);
  if (found === undefined) return next;
  return joining ? { do: 'Complete' } : { do: 'Wait', reason: found.what, why: found.why };
}

export function stateOf(
  { spec, generation, manifestDigest, steps, asked, canGoBack }: Situation,
  ahead: readonly StepAhead[],
): ReleaseState {
  return {
    ...{ spec, generation, canGoBack, digest: manifestDigest, author: spec.author ?? '' },
    steps: [...steps, ...ahead].map(({ wave }) => wave),
    started: steps.map(startedOf),
    // Without an author nobody can tell whether an approval is of somebody else.
    approvals: spec.author === undefined ? [] : asked.approvals,
    isPaused: spec.rollout.paused === true || asked.pausedBy !== undefined,
    isAborted: asked.abortedBy !== undefined,
    isRolledBack: asked.rolledBackBy !== undefined,
  };
}

/** A wave that is to go back goes back; one that has anybody who could still boot the image is stopped; one that is settled is left alone. */
function wantedOf(next: Decision['next'], wave: WaveView): Action {
  if (next.do === 'Hold' && next.why === 'NoWayBack') return isSettled(wave) ? 'Install' : 'Stop';
  if (next.do !== 'Revert') return 'Install';
  const goesBack = next.which === 'RevertAll' || (next.which === 'RevertWave' && next.wave === wave.spec.wave);
  if (goesBack && ((wave.status?.counts?.confirmed ?? 0) > 0 || !isSettled(wave))) return 'Revert';
  return isSettled(wave) ? 'Install' : 'Stop';
}

/** Every driver is done, and nobody has an offer that could still be taken up. */
export function isSettled(wave: WaveView): boolean {
  const { inFlight = 0, waiting = 0, straggler = 0 } = wave.status?.counts ?? {};
  return isDone(wave) && inFlight + waiting + straggler === 0;
}

/** Every driver has said so. */
export function isDone({ spec, status }: Pick<WaveView, 'spec' | 'status'>): boolean {
  const done = new Set((status?.shards ?? []).filter(({ phase }) => phase === 'Done').map(({ index }) => index));
  return Array.from({ length: spec.shards }, (_, index) => index).every((index) => done.has(index));
}

/** What was stopped or reverted had come to its end, as its status says: its Job may be gone since. */
export const wasBack = ({ spec, status, generation }: WaveView): boolean =>
  spec.action !== 'Install' && status?.phase === 'Aborted' && status.observedGeneration === generation;

const STRICTNESS: Record<Action, number> = { Install: 0, Stop: 1, Revert: 2 };
const stricter = (a: Action, b: Action): Action => (STRICTNESS[a] >= STRICTNESS[b] ? a : b);
