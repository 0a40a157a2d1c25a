// Manifests applied for a test or the demo: ours (CRDs, admission, the chart's identities) and the issuers.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';
import type { KubeObject } from '../../operator/kube/object.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const SAMPLE_DIR = join(ROOT, 'crds', 'samples', 'smart-office');

/** All objects of the YAML files of a folder, in the order `kubectl apply -f` takes them. */
export function objectsIn(dir: string): KubeObject[] {
  return readdirSync(dir)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .flatMap((file) => parseObjects(readFileSync(join(dir, file), 'utf8')));
}

export function parseObjects(yaml: string): KubeObject[] {
  return parseAllDocuments(yaml)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);
}

/** As kubectl reads it: YAML 1.1, where a bare `yes` or `on` is true. */
export function toYaml(objects: readonly object[]): string {
  return objects.map((object) => stringify(object, { version: '1.1' })).join('---\n');
}

/**
 * A namespace that is a site, with a root of its own for its devices: self-signed, made and kept by cert-manager.
 * The self-signed issuer is the ClusterIssuer whose requests cert-manager's own approver may approve (docs/adr/0003).
 */
export function siteManifests(namespace: string): object[] {
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'cert-manager.io/v1', kind: 'ClusterIssuer', metadata: { name: 'hedgerow-root' }, spec: { selfSigned: {} } },
    {
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: { name: 'hedgerow-devices-ca', namespace },
      spec: {
        isCA: true,
        commonName: `hedgerow devices of ${namespace}`,
        secretName: 'hedgerow-devices-ca',
        privateKey: { algorithm: 'ECDSA', size: 256 },
        duration: '87600h',
        // cert-manager gives a CA no cRLSign by itself, and nobody would believe a CRL of such a CA (docs/guides/crl.md).
        usages: ['digital signature', 'cert sign', 'crl sign'],
        issuerRef: { name: 'hedgerow-root', kind: 'ClusterIssuer' },
      },
    },
    {
      apiVersion: 'cert-manager.io/v1',
      kind: 'Issuer',
      metadata: { name: 'hedgerow-devices', namespace },
      spec: { ca: { secretName: 'hedgerow-devices-ca' } },
    },
  ];
}

/** A segment whose devices publish telemetry and listen to commands, and nothing else. */
export function segmentManifest(name: string, namespace: string): object {
  return {
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'SegmentPolicy',
    metadata: { name, namespace },
    spec: {
      function: 'sensor',
      trust: 2,
      topics: {
        publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }],
        subscribe: [{ topic: 'cmd/{segment}/{device}/#' }],
      },
    },
  };
}
