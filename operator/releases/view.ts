// What the caches keep of FirmwareReleases, FirmwareWaves and their Jobs.
import type { FirmwareReleaseSpec, FirmwareReleaseStatus } from '../api/firmware-release.ts';
import type { FirmwareWaveSpec, FirmwareWaveStatus } from '../api/firmware-wave.ts';
import type { Condition, ObjectMeta } from '../api/meta.ts';
import { type Key, keyOf, keyOfRef } from '../kube/object.ts';
import type { Projected } from '../kube/store.ts';

type Named = Projected & { namespace: string; name: string; generation: number /** ms */; createdAt: number };

export type ReleaseView = Named & { spec: FirmwareReleaseSpec; status: FirmwareReleaseStatus | undefined; isGoing: boolean };
export type WaveView = Named & { spec: FirmwareWaveSpec; status: FirmwareWaveStatus | undefined };
/** `ended`: how the Job controller says it ended. */
export type JobView = Named & {
  waveUid: string;
  /** `<namespace>/<name>` of its FirmwareWave. */
  wave: Key;
  isSuspended: boolean;
  ended: { how: 'Complete' | 'Failed'; message: string } | undefined;
};

export const WAVE_UID_LABEL = 'hedgerow.dev/wave-uid';
export const WAVE_ANNOTATION = 'hedgerow.dev/wave';

export type FirmwareRelease = { metadata: ObjectMeta; spec: FirmwareReleaseSpec; status?: FirmwareReleaseStatus };
export type FirmwareWave = { metadata: ObjectMeta; spec: FirmwareWaveSpec; status?: FirmwareWaveStatus };
export type Job = { metadata: ObjectMeta; spec: { suspend?: boolean }; status?: { conditions?: Condition[] } };

export const releaseView = ({ metadata, spec, status }: FirmwareRelease): ReleaseView => ({
  ...named(metadata),
  ...{ spec, status, isGoing: metadata.deletionTimestamp !== undefined },
});

export const waveView = ({ metadata, spec, status }: FirmwareWave): WaveView => ({ ...named(metadata), spec, status });

export function jobView({ metadata, spec, status }: Job): JobView {
  const end = status?.conditions?.find(({ type, status: is }) => is === 'True' && (type === 'Complete' || type === 'Failed'));
  return {
    ...named(metadata),
    waveUid: metadata.labels?.[WAVE_UID_LABEL] ?? '',
    wave: metadata.annotations?.[WAVE_ANNOTATION] ?? '',
    isSuspended: spec.suspend === true,
    ended: end === undefined ? undefined : { how: end.type === 'Complete' ? 'Complete' : 'Failed', message: end.message },
  };
}

export const releaseKeyOf = ({ spec: { release } }: Pick<WaveView, 'spec'>): Key => keyOfRef(release);

function named(metadata: ObjectMeta): Named {
  return {
    key: keyOf({ metadata }),
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    generation: metadata.generation ?? 0,
    createdAt: Date.parse(metadata.creationTimestamp ?? ''),
  };
}
