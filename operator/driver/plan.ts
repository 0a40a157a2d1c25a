// What one driver is there for: verified, frozen, and the same from its start to its end.
import type { FirmwareWaveSpec } from '../api/firmware-wave.ts';
import { artifactFor, isInStep, type ReleaseOfCohort, rankOf, type SignedArtifact } from '../firmware/firmware.ts';
import type { Policy } from './policy.ts';
import type { DeviceFacts, Image } from './row.ts';
import { driverOf } from './shares.ts';

export type Plan = {
  /** The namespace of the devices. */
  site: string;
  release: ReleaseOfCohort & { namespace: string; name: string };
  wave: FirmwareWaveSpec;
  policy: Policy;
  shard: number;
  /** How many drivers share the devices: shares.ts. */
  drivers: number;
  /** Of the statement that the offline keys signed: no digest comes from anywhere else. */
  artifacts: readonly SignedArtifact[];
  version: string;
  securityCounter: number;
  links: Links;
  fence: number;
};

/** `releases`: of the envelope. `roots`: of the directory with the trust roots up to `rootVersion`. */
export type Links = { images: string; release: string; roots: string; rootVersion: number };

/** Whether the device is one of this driver. `hasOpen`: a directive of the release was sent to it. */
export function isOurs({ release, wave, drivers, shard }: Plan, { candidate, record }: DeviceFacts, hasOpen: boolean): boolean {
  if (driverOf(rankOf(release.uid, candidate.uid), wave.shards, drivers) !== shard) return false;
  return isInStep(release, wave, candidate, { releaseUid: record?.releaseUid, step: record?.step, isOpen: hasOpen });
}

/** The image for the hardware of a device. One object for all devices of a kind. */
export function imagesOf({ artifacts, version, securityCounter }: Plan): (device: DeviceFacts) => Image | undefined {
  const candidates = artifacts.map((one) => ({ ...one, digest: `sha256:${one.sha256}`, oci: '' }));
  const images = new Map(candidates.map(({ digest, size }) => [digest, { digest, size, version, securityCounter }]));
  return ({ candidate }) => images.get(artifactFor(candidates, candidate)?.digest ?? '');
}
