// The cameras of the rollout scenes: a second site, whose devices run the reference firmware. Light devices in this process, each with its own connection.

import { type Camera, makeCamera } from '../harness/firmware/cameras.ts';
import type { Rollouts } from '../harness/firmware/rollouts.ts';
import type { SignedRelease } from '../harness/firmware/trust-files.ts';
import { toYaml } from '../harness/manifests.ts';
import { parallel } from '../harness/parallel.ts';
import type { BrokerAddress } from '../simulator/device.ts';
import { memoryFlash } from '../simulator/firmware/flash.ts';
import type { DeviceWatch } from './watch.ts';

export const CAMERA_SITE = 'hamburg';
export const CAMERA_SEGMENT = 'cameras';
/** Revision B of the board has another sensor: the lab has none of it. */
export const STAGES = [
  { stage: 'lab', count: 5, board: 'A' },
  { stage: 'canary', count: 15, board: 'B' },
  { stage: 'broad', count: 30, board: 'A' },
] as const;

export type CameraFleet = {
  readonly cameras: readonly Camera[];
  of(stage: string): readonly Camera[];
  /** How many of them run this image, as their bootloader measured it. */
  running(digest: string): number;
  stop(): Promise<void>;
};

type FleetOptions = {
  rollouts: Rollouts;
  factory: SignedRelease;
  address: BrokerAddress;
  apply(yaml: string): Promise<void>;
  watch: DeviceWatch;
};

/** Applies the segment and the Devices, and switches each camera on when it has its certificate. */
export async function startCameras({ rollouts, factory, address, apply, watch }: FleetOptions): Promise<CameraFleet> {
  const wishes = STAGES.flatMap(({ stage, count, board }) => Array.from({ length: count }, () => ({ stage, board })));
  const deps = {
    ...{ namespace: CAMERA_SITE, segment: CAMERA_SEGMENT, factory, address: () => address, flash: () => memoryFlash() },
    firstRoot: rollouts.trust.firstRoot(),
    directiveCaPem: rollouts.directiveCaPem,
    artifactsCaPem: rollouts.artifacts.tls.caPem,
  };
  const cameras = await Promise.all(
    wishes.map((wish, at) => makeCamera({ ...wish, name: `cam-${String(at + 1).padStart(2, '0')}` }, at, deps)),
  );
  await apply(toYaml([segment(), ...cameras.map(({ manifest }) => manifest)]));
  await parallel(cameras, 8, async (camera) => {
    await watch.until(camera.name, 'Ready', 'True');
    await camera.start(watch.get(camera.name)?.certificate ?? '');
  });
  return {
    cameras,
    of: (stage) => cameras.filter((camera) => camera.stage === stage),
    running: (digest) => cameras.filter((camera) => camera.device().booted()?.digest === digest).length,
    stop: async () => void (await Promise.all(cameras.map((camera) => camera.stop()))),
  };
}

function segment(): object {
  return {
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'SegmentPolicy',
    metadata: { name: CAMERA_SEGMENT, namespace: CAMERA_SITE },
    spec: { function: 'camera', trust: 2, topics: { publish: [{ topic: 'dt/{segment}/{device}/#' }] } },
  };
}
