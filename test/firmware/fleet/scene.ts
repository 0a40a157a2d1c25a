// The release, its devices and the plan of a driver, as the API server has them.
import type { KeyObject } from 'node:crypto';
import type { FirmwareRecord } from '../../../operator/api/device.ts';
import type { FirmwareReleaseSpec } from '../../../operator/api/firmware-release.ts';
import type { FirmwareWaveSpec } from '../../../operator/api/firmware-wave.ts';
import type { Plan } from '../../../operator/driver/plan.ts';
import { policyOf } from '../../../operator/driver/policy.ts';
import type { DeviceFacts } from '../../../operator/driver/row.ts';
import { driversOf } from '../../../operator/driver/shares.ts';
import type { Image } from './device.ts';

export const SITE = 'berlin';
export const START = Date.parse('2026-11-26T12:00:00Z');
const DAY_MS = 86_400_000;
const RELEASE_UID = '5f1c1f2e-0000-4000-8000-000000000011';

export const OLD: Image = { digest: `sha256:${'0'.repeat(64)}`, version: '2.3.0', securityCounter: 4 };
export const NEW: Image = { digest: `sha256:${'1'.repeat(64)}`, version: '2.4.0', securityCounter: 5 };
const SIZE = 1_312_496;
/** Of the statement: the virtual devices do not fetch it. */
const MANIFEST = `sha256:${'2'.repeat(64)}`;

const artifact = { name: 'full', format: 'raw' as const, size: SIZE };

const spec = {
  ...{ component: 'app', version: NEW.version, securityCounter: NEW.securityCounter, selector: {}, author: 'anna' },
  artifacts: [{ ...artifact, oci: 'registry.example.org/app:2.4.0', digest: NEW.digest }],
  distribution: { jitter: '30s' },
  rollout: {
    waves: [{ name: 'all', soak: '0s' }],
    gates: {},
    // One more try for what a second try may change.
    retry: { limit: 1, backoff: { base: '5m' } },
  },
} as unknown as FirmwareReleaseSpec;

export type Size = { devices: number; shards: number; perMinute: number; maxInFlight: number };

export function waveOf({ shards, perMinute, maxInFlight }: Size): FirmwareWaveSpec {
  return {
    release: { namespace: SITE, name: 'app-2-4-0', uid: RELEASE_UID, generation: 1 },
    ...{ wave: 'all', step: 0, action: 'Install', component: 'app', manifestDigest: MANIFEST, catalog: `hedgerow-release-${RELEASE_UID}` },
    ...{ cohort: { rankBelow: 1_000_000 }, shards, perMinute, maxInFlight, suspend: false },
    grantExpires: new Date(START + 30 * DAY_MS).toISOString(),
  };
}

/** Of one driver; `fence`: the ticket that it took when it started. */
export function planOf(size: Size, shard: number, fence: number): Plan {
  const wave = waveOf(size);
  return {
    ...{ site: SITE, wave, shard, fence, version: NEW.version, securityCounter: NEW.securityCounter },
    release: { uid: RELEASE_UID, spec, namespace: SITE, name: 'app-2-4-0' },
    policy: policyOf(spec),
    drivers: driversOf(size, size.shards, false),
    artifacts: [{ ...artifact, sha256: NEW.digest.slice('sha256:'.length) }],
    links: {
      images: 'https://fw.example.org/fw/sha256',
      release: `https://fw.example.org/fw/releases/${MANIFEST.slice('sha256:'.length)}`,
      roots: 'https://fw.example.org/fw/roots/pinned',
      rootVersion: 1,
    },
  };
}

/** A Device, with what was last written into its status. */
export function factsFor(device: string, bootKey?: KeyObject, record?: FirmwareRecord): DeviceFacts {
  const { version, digest, securityCounter = 0, releaseUid, step } = record ?? { ...OLD, releaseUid: undefined, step: undefined };
  const part = { ...(releaseUid === undefined ? {} : { releaseUid }), ...(step === undefined ? {} : { step }) };
  const candidate = {
    ...{ uid: uidOf(device), namespace: SITE, name: device, labels: {}, hold: false, pin: '', hasBootKey: bootKey !== undefined },
    running: { app: { version, digest, securityCounter, ...part } },
  };
  return { candidate, record, bootKey };
}

export const uidOf = (device: string): string => `uid-${device}`;
/** On the wire. */
export const nameOf = (at: number): string => `device-${at}.${SITE}`;
/** Of the name on the wire. */
export const deviceOf = (name: string): string => name.slice(0, name.indexOf('.'));
