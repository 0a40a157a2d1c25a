// Small good manifests that the tables of this folder spoil in one place each.
import { API_VERSION } from '../../operator/api/resources.ts';
import type { Manifest } from './server.ts';

/** Made by the tests; the names are part of messages, so they are fixed. */
export const NAMESPACE = 'api-table';
/** Its administrator allows trust 1. */
export const LOW_TRUST = 'api-low-trust';
/** Its administrator wrote a word where a number belongs. */
export const BAD_LABEL = 'api-bad-label';
/** 63 characters, the most that a namespace may have. */
export const LONG_NAMESPACE = `api-${'n'.repeat(59)}`;

export const NAMESPACES: readonly Manifest[] = [
  namespace(NAMESPACE),
  namespace(LOW_TRUST, { 'hedgerow.dev/max-trust': '1' }),
  namespace(BAD_LABEL, { 'hedgerow.dev/max-trust': 'high' }),
  namespace(LONG_NAMESPACE),
];

/** Any request: the API server looks at its first line only; what is in it is the operator's to judge. */
export const CSR = '-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n';

type Metadata = Manifest['metadata'];

export const device = (spec: object = {}, metadata: Metadata = {}): Manifest =>
  make('Device', { name: 'thermo-17', ...metadata }, { segment: 'office-sensors', ...spec });

export const identity = (fields: object): Manifest => device({ identity: fields });

export const segment = (spec: object = {}, metadata: Metadata = {}): Manifest =>
  make('SegmentPolicy', { name: 'office-sensors', ...metadata }, spec);

export const publishes = (topic: string, spec: object = {}): Manifest => segment({ topics: { publish: [{ topic }] }, ...spec });
export const subscribes = (topic: string, spec: object = {}): Manifest => segment({ topics: { subscribe: [{ topic }] }, ...spec });

export const conduit = (fields: object): Manifest =>
  segment({ conduits: [{ name: 'out', to: { segment: 'gateways' }, ports: [{ port: 8883 }], ...fields }] });

export const intervention = (spec: object = {}, metadata: Metadata = {}): Manifest =>
  make(
    'Intervention',
    { name: 'ticket-4711', ...metadata },
    { target: { kind: 'Device', name: 'thermo-17' }, action: 'Quarantine', requestedBy: 'admin', reason: 'ticket 4711', ...spec },
  );

export const ledger = (spec: object = {}, metadata: Metadata = {}): Manifest =>
  make('CertificateLedger', { name: 'page-1', ...metadata }, spec);

export const wave = (): Manifest =>
  make(
    'FirmwareWave',
    { name: 'app-2-4-0-canary' },
    {
      release: { name: 'app-2-4-0', namespace: NAMESPACE, uid: 'u', generation: 1 },
      wave: 'canary',
      step: 0,
      action: 'Install',
      component: 'app',
      manifestDigest: DIGEST,
      catalog: 'hedgerow-release-u',
      cohort: { rankBelow: 10_000 },
      shards: 1,
      perMinute: 10,
      maxInFlight: 10,
      grantExpires: '2026-12-01T00:00:00Z',
    },
  );

export const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

export const artifact = (fields: object = {}): object => ({
  name: 'image',
  oci: `registry.example.com/fw/app@${DIGEST}`,
  format: 'mcuboot',
  size: 262_144,
  digest: DIGEST,
  ...fields,
});

export const release = (spec: object = {}, metadata: Metadata = {}): Manifest =>
  make(
    'FirmwareRelease',
    { name: 'app-2-4-0', ...metadata },
    {
      version: '2.4.0',
      component: 'app',
      securityCounter: 7,
      artifacts: [artifact()],
      trust: { policyRef: { name: 'firmware-root' }, envelope: '{}' },
      selector: { matchLabels: { floor: '3' } },
      rollout: { waves: [{ name: 'canary', size: '5' }, { name: 'rest' }] },
      ...spec,
    },
  );

function make(kind: string, metadata: Metadata, spec: object): Manifest {
  return { apiVersion: API_VERSION, kind, metadata: { namespace: NAMESPACE, ...metadata }, spec };
}

function namespace(name: string, labels: Record<string, string> = {}): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}
