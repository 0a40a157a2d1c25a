// A release, a wave and Devices as they should be, to be changed in one place by each test.
import type { FirmwareReleaseSpec } from '../../api/firmware-release.ts';
import type { FirmwareWaveSpec } from '../../api/firmware-wave.ts';
import type { Plan } from '../plan.ts';
import { policyOf } from '../policy.ts';
import type { DeviceFacts } from '../row.ts';
import { driversOf } from '../shares.ts';

export const START = Date.parse('2026-11-26T12:00:00Z');
export const OLD = { version: '2.3.0', digest: `sha256:${'0'.repeat(64)}`, securityCounter: 4 };
export const NEW = { version: '2.4.0', digest: `sha256:${'1'.repeat(64)}`, securityCounter: 5 };
export const RELEASE = 'release-uid';
const SITE = 'berlin';

export type PlanWish = {
  rollout?: Partial<FirmwareReleaseSpec['rollout']>;
  wave?: Partial<FirmwareWaveSpec>;
  fence?: number;
  shard?: number;
};

export function planOf({ rollout = {}, wave: waveWish = {}, fence = 1, shard = 0 }: PlanWish = {}): Plan {
  const wave: FirmwareWaveSpec = {
    release: { name: 'fw', namespace: 'releases', uid: RELEASE, generation: 1 },
    ...{ wave: 'lab', step: 0, action: 'Install', component: 'app', manifestDigest: `sha256:${'2'.repeat(64)}`, catalog: 'catalog' },
    ...{ cohort: { rankBelow: 1_000_000 }, shards: 1, perMinute: 10_000, maxInFlight: 10_000, suspend: false },
    grantExpires: '2030-01-01T00:00:00Z',
    ...waveWish,
  };
  const artifact = { name: 'full', format: 'raw' as const, size: 4096 };
  const spec = {
    ...{ version: NEW.version, component: 'app', securityCounter: NEW.securityCounter },
    artifacts: [{ ...artifact, digest: NEW.digest, oci: `registry.example.org/fw@${NEW.digest}` }],
    ...{ trust: { policyRef: { name: 'roots' }, envelope: '{}' }, selector: {}, membership: 'Dynamic', priority: 500, conflict: 'Queue' },
    rollout: {
      paused: false,
      waves: [{ name: 'lab', soak: '0s', approval: 'None' }],
      order: 'hash',
      stragglers: 'CatchUp',
      mode: 'Normal',
      ...rollout,
    },
    ...{ historyLimit: 10, distribution: { edgeCache: true, prefetch: 'Never', jitter: '0s' } },
  } as FirmwareReleaseSpec;
  const policy = policyOf(spec);
  return {
    site: SITE,
    release: { uid: RELEASE, namespace: 'releases', name: 'fw', spec },
    ...{ wave, policy, shard, drivers: driversOf(wave, wave.shards, policy.disruption.length > 0) },
    artifacts: [{ ...artifact, sha256: NEW.digest.slice('sha256:'.length) }],
    ...{ version: NEW.version, securityCounter: NEW.securityCounter, fence },
    links: { images: 'https://fw/sha256', release: 'https://fw/release', roots: 'https://fw/roots', rootVersion: 1 },
  };
}

export function deviceFacts(name: string, change: Partial<DeviceFacts> & { labels?: Record<string, string> } = {}): DeviceFacts {
  const { labels = {}, ...rest } = change;
  return {
    candidate: { uid: `uid-${name}`, namespace: SITE, name, labels, hold: false, pin: '', running: {}, createdAt: 0 },
    ...{ record: undefined, bootKey: undefined },
    ...rest,
  };
}
