// What a release does next, from what is known and nothing else: asked again after a crash it answers the same. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { type Outcomes, type Verdict, verdictOf } from './gate.ts';
import { spanMs } from './span.ts';

/** A step that was started: a wave, or a part of one that grows. Times in ms since 1970. */
export type Started = {
  wave: string;
  startedAt: number;
  outcomes: Outcomes;
  /** Devices that were offered it and are at no end; those that were never reached are in neither. */
  busy: number;
  /** Devices that wait to be offered it. */
  waiting: number;
  /** When busy and waiting became 0 for the first time; the soak counts from it. */
  endedAt: number | undefined;
};

/** What people asked for by Interventions. */
export type Approval = { wave: string; digest: string; generation: number; by: string };

export type ReleaseState = {
  spec: Pick<FirmwareReleaseSpec, 'rollout' | 'rollback'>;
  generation: number;
  /** Digest of the artifacts that were verified; undefined while they are not. */
  digest: string | undefined;
  /** Who wrote the release: nobody approves their own. */
  author: string;
  /** Waves of the steps in their order, a name for each step: `broad` three times where it grows in three. */
  steps: readonly string[];
  started: readonly Started[];
  approvals: readonly Approval[];
  isPaused: boolean;
  isAborted: boolean;
  /** Somebody asked for all devices to go back, those that have confirmed too. */
  isRolledBack: boolean;
  /** Whether devices could go back: the security counter of this release is not above that of the one before. */
  canGoBack: boolean;
};

export type Reverting = 'RevertUnconfirmed' | 'RevertWave' | 'RevertAll';

/** `until`: when to ask again though nothing else changes, ms. */
export type Next =
  | { do: 'Verify' | 'Complete' | 'Offer' }
  | { do: 'Start'; step: number }
  | { do: 'Soak'; until: number }
  | { do: 'Hold'; why: 'Paused' | 'Approval' | 'Gate' | 'Aborted' | 'NoWayBack'; reason: string }
  /** `wave`: the one whose gate failed; RevertWave is about it. */
  | { do: 'Revert'; which: Reverting; reason: string; wave?: string };

/** Steps begin one after the other: each when the one before has ended, soaked, and its gate passed or somebody let it pass. A gate that fails stops the release at once. */
export function nextOf(state: ReleaseState, now: number): Next {
  const { spec, started, steps } = state;
  if (state.isRolledBack) return goBack(state, 'RevertAll', 'somebody rolled the release back', 'Aborted');
  if (state.isAborted) return goBack(state, 'RevertUnconfirmed', 'somebody aborted the release', 'Aborted');
  const bad = started.map((step) => ({ step, verdict: verdictAt(state, step, now) })).find(({ verdict }) => verdict.result === 'Fail');
  if (bad !== undefined) {
    const wanted = spec.rollback?.onGateFailure ?? 'RevertUnconfirmed';
    const reason = `wave ${bad.step.wave}: ${bad.verdict.reason}`;
    if (wanted === 'Pause') return { do: 'Hold', why: 'Gate', reason };
    const back = goBack(state, wanted, reason, 'Gate');
    return back.do === 'Revert' ? { ...back, wave: bad.step.wave } : back;
  }
  if (state.digest === undefined) return { do: 'Verify' };
  if (state.isPaused) return { do: 'Hold', why: 'Paused', reason: 'spec.rollout.paused, or an Intervention Pause' };
  const current = started.at(-1);
  if (current !== undefined && !hasEnded(state, current, now)) return { do: 'Offer' };
  const soaked = current === undefined ? now : endOf(state, current) + spanMs(waveOf(state, current.wave)?.soak ?? '0s');
  if (now < soaked) return { do: 'Soak', until: soaked };
  const wave = steps[started.length];
  if (wave === undefined) return { do: 'Complete' };
  const question = questionBefore(state, wave, now);
  return question === undefined || isApproved(state, wave)
    ? { do: 'Start', step: started.length }
    : { do: 'Hold', why: 'Approval', reason: question };
}

/** What a person has to answer before a wave: what the release asks for itself, or what the gate of the step before could not show. */
function questionBefore(state: ReleaseState, wave: string, now: number): string | undefined {
  const before = state.started.at(-1);
  const verdict = before === undefined ? undefined : verdictAt(state, before, now);
  if (before !== undefined && verdict?.result === 'Ask') return `the gate of wave ${before.wave} cannot tell: ${verdict.reason}`;
  const isFirstPart = before?.wave !== wave;
  const asksFor = waveOf(state, wave)?.approval === 'Required';
  return isFirstPart && asksFor ? `wave ${wave} asks for an approval` : undefined;
}

/** An approval is of this wave, of these bytes, of this text, and of somebody else. */
function isApproved({ approvals, digest, generation, author }: ReleaseState, wave: string): boolean {
  return approvals.some((one) => one.wave === wave && one.digest === digest && one.generation === generation && one.by !== author);
}

/** Nobody is busy or waiting any more, or the wave has had its time; who is left then has a timeout of its own. */
const endOf = ({ spec }: ReleaseState, { endedAt, startedAt }: Started): number =>
  endedAt ?? startedAt + spanMs(spec.rollout.timeouts?.wave ?? '48h');
const hasEnded = (state: ReleaseState, step: Started, now: number): boolean => endOf(state, step) <= now;

/** What the gates say of a step that was started. */
export const verdictAt = (state: ReleaseState, step: Started, now: number): Verdict =>
  verdictOf(state.spec.rollout.gates, step.outcomes, { ended: hasEnded(state, step, now) });

const waveOf = ({ spec }: ReleaseState, wave: string) => spec.rollout.waves.find(({ name }) => name === wave);

/** Devices that have confirmed can go back only while their security counter was not raised; those that have not, always: they still have the old image. */
function goBack(state: ReleaseState, which: Reverting, reason: string, why: 'Aborted' | 'Gate'): Next {
  if (state.started.length === 0) return { do: 'Hold', why, reason };
  if (which !== 'RevertUnconfirmed' && !state.canGoBack)
    return {
      do: 'Hold',
      why: 'NoWayBack',
      reason: `${reason}; the security counter of this release is above the one before: no device would boot the old image`,
    };
  return { do: 'Revert', which, reason };
}
