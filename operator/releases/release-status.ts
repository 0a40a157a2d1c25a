// The status of a FirmwareRelease: counters and a sample, whatever the fleet. Pure.
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import type { Condition } from '../api/meta.ts';
import { failureBounds, percentText, type Verdict, verdictAt, type WavePlan } from '../firmware/firmware.ts';
import { setCondition } from '../runtime/conditions.ts';
import { type Decision, type Situation, stateOf } from './decide.ts';
import { isBack } from './decide-jobs.ts';
import { type Counts, type StepSoFar, startedOf, sumOf, totalOf } from './decide-steps.ts';
import { explain, reasonOf } from './errors.ts';
import { conditionsOf } from './release-conditions.ts';
import type { Belief } from './trust.ts';
import type { JobView, ReleaseView } from './view.ts';
import { wayBack } from './way-back.ts';

export type Seen = {
  release: ReleaseView;
  situation: Situation;
  decision: Decision;
  belief: Belief;
  jobs: readonly JobView[];
  /** What stands in the way and only a person can change; the first is the one that is told. */
  trouble: { reason: string; message: string } | undefined;
};

export type Phase = NonNullable<FirmwareReleaseStatus['phase']>;

const MAX_SAMPLES = 50;
const MAX_WAVES = 16;
/** Of a status, with a margin to 8 KiB. */
const MAX_BYTES = 8000;

export function releaseStatus(seen: Seen): FirmwareReleaseStatus {
  const { release, situation, decision, belief } = seen;
  const { steps, plan, now } = situation;
  const counts = countsOf(steps, plan);
  const phase = phaseOf(seen);
  const last = steps.at(-1);
  const status: FirmwareReleaseStatus = {
    observedGeneration: release.generation,
    phase,
    ...(last === undefined ? {} : { currentWave: last.wave }),
    ...artifactOf(seen),
    counts,
    ...estimateOf(counts),
    waves: wavesOf(situation, decision),
    clusters: sitesOf(steps, plan),
    rollback: wayBack(release, situation),
    conditions: conditionsOf(
      release.status?.conditions ?? [],
      { seen, phase, verdict: verdictOf(situation, decision) },
      belief.verdict,
      now,
    ),
  };
  return withSamples(status, samplesOf(steps));
}

/** Without a root of trust there is nothing to say but this. */
export function statusNotConfigured({ generation, status }: ReleaseView, now: number): FirmwareReleaseStatus {
  const message = explain('HR-FW-200', 'the operator was started without --firmware-root');
  const said = { reason: reasonOf('HR-FW-200'), message, observedGeneration: generation };
  let conditions: Condition[] = [];
  for (const [type, is] of [
    ['Ready', 'False'],
    ['Stalled', 'True'],
  ] as const)
    conditions = setCondition(
      [...conditions, ...(status?.conditions ?? []).filter((one) => one.type === type)],
      { type, status: is, ...said },
      iso(now),
    );
  return { ...status, observedGeneration: generation, phase: 'Verifying', conditions };
}

/** A verdict of the step that counts: the one that failed, else the last. */
function verdictOf(situation: Situation, decision: Decision): Verdict | undefined {
  const state = stateOf(situation, decision.ahead);
  const verdicts = state.started.map((step) => verdictAt(state, step, situation.now));
  return verdicts.find(({ result }) => result === 'Fail') ?? verdicts.at(-1);
}

function phaseOf({ situation: { steps }, decision, jobs, belief }: Seen): Phase {
  const { next } = decision;
  const waves = steps.flatMap((step) => step.waves);
  const turned = waves.filter((wave) => decision.actionOf(wave) !== 'Install');
  if (next.do === 'Revert' || turned.length > 0 || (next.do === 'Hold' && (next.why === 'NoWayBack' || next.why === 'Aborted'))) {
    const goesBack = turned.some((wave) => decision.actionOf(wave) === 'Revert');
    const isOver = turned.every((wave) => wave.spec.action === decision.actionOf(wave) && isBack(wave, jobs));
    if (decision.isSuperseded) return isOver ? 'Superseded' : 'Aborting';
    if (goesBack) return isOver ? 'RolledBack' : 'RollingBack';
    return isOver ? 'Failed' : 'Aborting';
  }
  if (!belief.verdict.ok || next.do === 'Verify') return steps.length === 0 ? 'Verifying' : 'Paused';
  if (next.do === 'Hold') return next.why === 'Approval' || (next.why === 'ApproverOpen' && steps.length === 0) ? 'Waiting' : 'Paused';
  if (next.do === 'Wait') return 'Waiting';
  if (next.do === 'Soak') return 'Soaking';
  if (next.do === 'Complete') return steps.length === 0 ? 'Waiting' : 'Completed';
  return 'RollingOut';
}

/** Who is matched, out and not asked yet comes from the plan; everything else from the drivers. */
function countsOf(steps: readonly StepSoFar[], plan: WavePlan): Counts {
  const planned = plan.steps.reduce((sum, { devices }) => sum + devices.length, 0);
  const out = (why: string): number => plan.out.filter((one) => one.why === why).length;
  const total = totalOf(steps);
  const known = total.confirmed + total.failed + total.rolledBack + total.timedOut + total.lost + total.inFlight + total.straggler;
  return {
    ...total,
    matched: planned + plan.left.length + plan.out.length,
    ...{ incompatible: out('Incompatible'), blocked: out('Blocked') },
    waiting: Math.max(0, planned - known),
  };
}

function artifactOf({ release, belief }: Seen): Pick<FirmwareReleaseStatus, 'artifact'> {
  const { verdict, at } = belief;
  const before = release.status?.artifact;
  if (!verdict.ok) return before === undefined ? {} : { artifact: before };
  const { manifestDigest, signers, rootVersion } = verdict;
  const isSame =
    before?.manifestDigest === manifestDigest && before.trustRootVersion === rootVersion && before.signers?.join() === signers.join();
  const [only, another] = release.spec.artifacts;
  return {
    artifact: {
      ...(only === undefined || another !== undefined ? {} : { resolvedDigest: only.digest }),
      ...{ manifestDigest, signers: [...signers], trustRootVersion: rootVersion },
      // When it was verified first: a status is no heartbeat.
      verifiedAt: isSame && before.verifiedAt !== undefined ? before.verifiedAt : iso(at),
    },
  };
}

/** Of the devices that were reached and came to an end, by exact bounds. */
function estimateOf({ confirmed, failed, rolledBack, timedOut, lost }: Counts): Pick<FirmwareReleaseStatus, 'failureEstimate'> {
  const errors = failed + rolledBack + timedOut + lost;
  const sample = confirmed + errors;
  if (sample === 0) return {};
  const { lower, upper } = failureBounds(errors, sample, 0.95);
  return { failureEstimate: { point: percentText(errors / sample), lower95: percentText(lower), upper95: percentText(upper) } };
}

type WaveEntry = NonNullable<FirmwareReleaseStatus['waves']>[number];

/** One for each wave of the manifest that began; the parts of one that grows are summed. */
function wavesOf(situation: Situation, decision: Decision): WaveEntry[] {
  const { steps, spec, now, asked, manifestDigest } = situation;
  const state = stateOf(situation, decision.ahead);
  const groups = [...Map.groupBy(steps, ({ wave }) => wave)].slice(-MAX_WAVES);
  return groups.map(([name, own]): WaveEntry => {
    const isCurrent = own.at(-1) === steps.at(-1);
    const counts = totalOf(own);
    const verdict = own
      .map((step) => verdictAt(state, startedOf(step), now))
      .reduce((worst, one) => (worst.result === 'Fail' ? worst : one));
    const approval = asked.approvals.find(
      (one) => one.wave === name && one.digest === manifestDigest && one.by !== spec.author && spec.author !== undefined,
    );
    const isOpen = ahead(decision, name);
    return {
      name,
      phase: isCurrent ? currentPhase(decision, isOpen) : 'Completed',
      target: sumOf(own.map((step) => step.counts)).matched,
      counts: shortOf(counts),
      startedAt: iso(Math.min(...own.map(({ startedAt }) => startedAt))),
      ...(isCurrent && decision.next.do === 'Soak' ? { soakUntil: iso(decision.next.until) } : {}),
      gate: {
        result: RESULTS[verdict.result],
        ...(isCurrent || verdict.result === 'Fail' ? { reason: verdict.reason.slice(0, 512) } : {}),
      },
      ...(approval === undefined ? {} : { approvedBy: approval.by, approvedDigest: approval.digest }),
    };
  });
}

const RESULTS: Record<Verdict['result'], string> = { Pass: 'Pass', Fail: 'Fail', Wait: 'Inconclusive', Ask: 'Inconclusive' };

const ahead = ({ ahead: steps }: Decision, wave: string): boolean => steps.some((one) => one.wave === wave);

function currentPhase({ next }: Decision, isOpen: boolean): string {
  if (next.do === 'Soak') return 'Soaking';
  if (next.do === 'Revert') return 'Reverting';
  if (next.do === 'Hold' && next.why !== 'Approval') return 'Suspended';
  return next.do === 'Offer' || isOpen ? 'Running' : 'Completed';
}

/** Sixteen waves have to fit beside all the rest into 8 KiB. */
function shortOf(counts: Counts): NonNullable<WaveEntry['counts']> {
  const { waiting, inFlight, confirmed, unproven, failed, rolledBack, timedOut, lost, straggler } = counts;
  const told = { waiting, inFlight, unproven, failed, rolledBack, timedOut, lost, straggler };
  return { confirmed, ...Object.fromEntries(Object.entries(told).filter(([, count]) => count > 0)) };
}

function sitesOf(steps: readonly StepSoFar[], plan: WavePlan): NonNullable<FirmwareReleaseStatus['clusters']> {
  const planned = plan.steps.flatMap(({ devices }) => devices.map(({ namespace }) => namespace));
  const total = new Set([...planned, ...steps.flatMap(({ waves }) => waves.map(({ namespace }) => namespace))]).size;
  return { total, ready: total, unreachable: 0 };
}

/** As many as there is room for: a status is read by everybody who looks at the release. */
function withSamples(status: FirmwareReleaseStatus, samples: NonNullable<FirmwareReleaseStatus['failureSamples']>): FirmwareReleaseStatus {
  let room = MAX_BYTES - Buffer.byteLength(JSON.stringify(status));
  const some = samples.filter((sample) => {
    room -= Buffer.byteLength(JSON.stringify(sample)) + 1;
    return room > 0;
  });
  return some.length === 0 ? status : { ...status, failureSamples: some };
}

/** The newest, some of each site. */
function samplesOf(steps: readonly StepSoFar[]): NonNullable<FirmwareReleaseStatus['failureSamples']> {
  return steps
    .flatMap(({ wave, waves }) =>
      waves.flatMap(({ namespace, status }) =>
        (status?.shards ?? []).flatMap(({ failureSamples = [] }) =>
          failureSamples.map(({ device, code, time }) => ({
            device: device.includes('.') ? device : `${device}.${namespace}`,
            ...{ code, wave },
            ...(time === undefined ? {} : { time }),
          })),
        ),
      ),
    )
    .sort((a, b) => ((a.time ?? '') < (b.time ?? '') ? 1 : -1))
    .slice(0, MAX_SAMPLES);
}

const iso = (ms: number): string => new Date(ms).toISOString();
