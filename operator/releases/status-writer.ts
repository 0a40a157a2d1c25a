// Writes statuses of releases and waves: at once when a state changes, at most every ten seconds where only counters do.
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import type { FirmwareWaveStatus } from '../api/firmware-wave.ts';
import type { Condition, ResourceType } from '../api/meta.ts';
import { FIRMWARE_RELEASES, FIRMWARE_WAVES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { refOf } from '../kube/object.ts';
import type { Projected } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Expectations } from '../runtime/expectations.ts';
import { mergePatchFor } from '../runtime/merge-patch.ts';
import { writeStatus } from '../runtime/status.ts';
import type { ReleaseView, WaveView } from './view.ts';

/** Counters move with every device. */
const COUNTERS_MS = 10_000;

export type StatusWriterDeps = { client: Pick<KubeClient, 'mergePatch'>; clock: Clock; releases: Expectations; waves: Expectations };

type Object<S> = Projected & { status: S | undefined };

/** Each gives how long a write has to wait yet, ms; 0: nothing is left to write. */
export function createStatusWriter({ client, clock, releases, waves }: StatusWriterDeps) {
  const writtenAt = new Map<string, number>();

  async function write<S extends object>(
    [type, expectations]: [ResourceType, Expectations],
    object: Object<S>,
    next: S,
    states: (status: S | undefined) => string,
    signal: AbortSignal,
  ): Promise<number> {
    if (mergePatchFor(object.status ?? {}, next) === undefined) return 0;
    const since = clock.elapsed() - (writtenAt.get(object.uid) ?? Number.NEGATIVE_INFINITY);
    if (states(object.status) === states(next) && since < COUNTERS_MS) return COUNTERS_MS - since;
    const { key, uid, status, resourceVersion } = object;
    await writeStatus(client, type, { ref: refOf(key), uid, status, resourceVersion }, next, { expectations, signal });
    writtenAt.set(uid, clock.elapsed());
    return 0;
  }

  return {
    release: (release: ReleaseView, next: FirmwareReleaseStatus, signal: AbortSignal): Promise<number> =>
      write([FIRMWARE_RELEASES, releases], release, next, releaseStates, signal),
    wave: (wave: WaveView, next: FirmwareWaveStatus, signal: AbortSignal): Promise<number> =>
      write([FIRMWARE_WAVES, waves], wave, next, waveStates, signal),
    forget: (uid: string): void => void writtenAt.delete(uid),
  };
}

/** Everything but numbers and the sentences that quote them. */
function releaseStates(status: FirmwareReleaseStatus | undefined): string {
  const { observedGeneration, phase, currentWave, artifact, rollback, conditions, waves } = status ?? {};
  return JSON.stringify([
    ...[observedGeneration, phase, currentWave, artifact, rollback?.possible, stateOf(conditions)],
    (waves ?? []).map((wave) => [wave.name, wave.phase, wave.gate?.result, wave.approvedBy, wave.soakUntil]),
  ]);
}

function waveStates(status: FirmwareWaveStatus | undefined): string {
  const { observedGeneration, phase, endedAt, conditions } = status ?? {};
  return JSON.stringify([observedGeneration, phase, endedAt, stateOf(conditions)]);
}

const stateOf = (conditions: readonly Condition[] | undefined): string[] =>
  (conditions ?? []).map(({ type, status, reason }) => `${type}=${status}/${reason}`);
