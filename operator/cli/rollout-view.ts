// What a person wants to know of a rollout, worked out from the FirmwareRelease and the Interventions on it. Pure.
import type { FirmwareReleaseSpec, FirmwareReleaseStatus } from '../api/firmware-release.ts';
import type { Intervention } from '../api/intervention.ts';
import type { ObjectMeta } from '../api/meta.ts';
import { stillNeeded } from '../firmware/firmware.ts';
import { findCondition } from '../runtime/conditions.ts';

export type Release = { metadata: ObjectMeta; spec: FirmwareReleaseSpec; status?: FirmwareReleaseStatus };
export type Counts = NonNullable<FirmwareReleaseStatus['counts']>;
export type WaveRow = {
  name: string;
  phase: string;
  /** Undefined before it has begun. */
  target: number | undefined;
  counts: Counts;
  soakUntil: string | undefined;
  gate: string | undefined;
  approvedBy: string | undefined;
};
/** `commands`: each lets it go on, or says more. */
export type WaitsFor = { what: string; commands: string[] };
export type RolloutView = {
  release: string;
  component: string;
  version: string;
  phase: string;
  message: string | undefined;
  digest: string | undefined;
  signers: number;
  rootVersion: number | undefined;
  counts: Counts;
  estimate: FirmwareReleaseStatus['failureEstimate'];
  /** Of the wave that runs; `needs`: devices without failure, null: no number of them. */
  gate: { wave: string; says: string; needs: number | null } | undefined;
  waves: WaveRow[];
  waitsFor: WaitsFor | undefined;
  wayBack: { possible: boolean; reason: string | undefined } | undefined;
  sites: FirmwareReleaseStatus['clusters'];
  samples: NonNullable<FirmwareReleaseStatus['failureSamples']>;
  /** Whether nothing more happens by itself, and how it ended. */
  end: 'good' | 'bad' | undefined;
};

export function rolloutView(release: Release, interventions: readonly Intervention[], now: number): RolloutView {
  const { spec, status, metadata } = release;
  const phase = status?.phase ?? 'Unknown';
  const { rollback, artifact } = status ?? {};
  return {
    release: `${metadata.namespace ?? ''}/${metadata.name ?? ''}`,
    ...{ component: spec.component, version: spec.version, phase },
    message: messageOf(status),
    digest: artifact?.manifestDigest,
    signers: artifact?.signers?.length ?? 0,
    rootVersion: artifact?.trustRootVersion,
    counts: status?.counts ?? {},
    estimate: status?.failureEstimate,
    gate: gateOf(release),
    waves: wavesOf(release),
    waitsFor: waitsFor(release, interventions, now),
    wayBack: rollback === undefined ? undefined : { possible: rollback.possible === true, reason: rollback.reason },
    sites: status?.clusters,
    samples: status?.failureSamples ?? [],
    end: ENDS[phase],
  };
}

const ENDS: Readonly<Record<string, RolloutView['end']>> = { Completed: 'good', Failed: 'bad', RolledBack: 'bad', Superseded: 'bad' };

/** Why it is stuck before how it goes on. */
function messageOf(status: FirmwareReleaseStatus | undefined): string | undefined {
  const stalled = findCondition(status?.conditions, 'Stalled');
  if (stalled?.status === 'True') return stalled.message;
  return findCondition(status?.conditions, 'Progressing')?.message ?? findCondition(status?.conditions, 'Ready')?.message;
}

function wavesOf({ spec, status }: Release): WaveRow[] {
  return spec.rollout.waves.map(({ name }) => {
    const begun = status?.waves?.find((one) => one.name === name);
    return {
      ...{ name, phase: begun === undefined ? 'not begun' : (begun.phase ?? 'Unknown') },
      ...{ target: begun?.target, counts: begun?.counts ?? {}, soakUntil: begun?.soakUntil },
      ...{ gate: begun?.gate?.result, approvedBy: begun?.approvedBy },
    };
  });
}

function gateOf({ spec, status }: Release): RolloutView['gate'] {
  const wave = status?.waves?.findLast((one) => one.startedAt !== undefined);
  if (wave?.gate?.reason === undefined) return undefined;
  const { confirmed = 0, failed = 0, rolledBack = 0, timedOut = 0, lost = 0 } = wave.counts ?? {};
  const needs = stillNeeded(spec.rollout.gates, { target: wave.target ?? 0, confirmed, failed, rolledBack, timedOut, lost });
  return { wave: wave.name, says: `${wave.gate.result ?? ''}: ${wave.gate.reason}`, needs: Number.isFinite(needs) ? needs : null };
}

/** Interventions Pause that hold now; one whose end cannot be read holds. */
export function pausesOf(interventions: readonly Intervention[], now: number): Intervention[] {
  return interventions.filter(
    ({ spec: { action, expires } }) => action === 'Pause' && !(expires !== undefined && Date.parse(expires) <= now),
  );
}

/** The wave that an approval has to name now; undefined when none is asked for. */
export function waveToApprove({ spec, status }: Release): string | undefined {
  if (findCondition(status?.conditions, 'Approved')?.status !== 'False') return undefined;
  const begun = status?.waves ?? [];
  const current = begun.at(-1);
  // A wave that grows goes on in parts under its own name.
  if (current !== undefined && current.phase !== 'Completed') return current.name;
  return spec.rollout.waves.find(({ name }) => !begun.some((one) => one.name === name))?.name;
}

function waitsFor(release: Release, interventions: readonly Intervention[], now: number): WaitsFor | undefined {
  const { spec, status, metadata } = release;
  const command = (verb: string, more = ''): string => `kubectl hedgerow rollout ${verb} ${metadata.name} -n ${metadata.namespace}${more}`;
  if (status === undefined) return { what: 'an operator that looks at it', commands: ['kubectl get pods -n hedgerow-system'] };
  const phase = status.phase ?? '';
  if (ENDS[phase] !== undefined) return undefined;
  const pauses = pausesOf(interventions, now);
  if (pauses.length > 0) {
    const who = pauses.map(({ spec: { requestedBy, reason } }) => `${requestedBy} (${reason})`);
    return { what: `the end of the pause by ${who.join(', ')}`, commands: [command('resume')] };
  }
  if (spec.rollout.paused === true) return { what: 'spec.rollout.paused: false in the manifest', commands: [] };
  const wave = waveToApprove(release);
  if (wave !== undefined) {
    const by =
      spec.author === undefined ? 'and spec.author in the manifest, without which none counts' : `by somebody else than ${spec.author}`;
    return { what: `an approval of wave ${wave}, ${by}`, commands: [command('approve', ' --reason TEXT')] };
  }
  const stalled = findCondition(status.conditions, 'Stalled');
  if (stalled?.status === 'True') return { what: `a person: ${stalled.reason}`, commands: [command('abort', ' --reason TEXT')] };
  return waitsForItself(status);
}

function waitsForItself({ phase, waves, counts }: FirmwareReleaseStatus): WaitsFor | undefined {
  const until = waves?.findLast(({ soakUntil }) => soakUntil !== undefined)?.soakUntil;
  if (phase === 'Soaking' && until !== undefined) return { what: `the end of the soak, ${until}`, commands: [] };
  const { inFlight = 0, waiting = 0, straggler = 0 } = counts ?? {};
  const away = straggler > 0 ? `, ${straggler} are away and keep the offer` : '';
  if (phase === 'RollingOut') return { what: `devices: ${inFlight} at work, ${waiting} not asked yet${away}`, commands: [] };
  return undefined;
}
