// The smart-office sample as the README's reader applies it.
import { objectsIn, SAMPLE_DIR } from '../harness/manifests.ts';
import type { PolicyText } from './oracle.ts';

type Manifest = { kind?: string; metadata: { name?: string; namespace?: string } };

/** Namespaces of the sample's objects. */
export function sampleNamespaces(): string[] {
  return [
    ...new Set(
      manifests().flatMap(({ kind, metadata }) =>
        kind === 'Namespace' ? [metadata.name ?? ''] : metadata.namespace === undefined ? [] : [metadata.namespace],
      ),
    ),
  ];
}

export function samplePolicies(): PolicyText[] {
  return manifests().filter(({ kind }) => kind === 'SegmentPolicy') as unknown as PolicyText[];
}

export function sampleDevices(): string[] {
  return manifests()
    .filter(({ kind }) => kind === 'Device')
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

const manifests = (): Manifest[] => objectsIn(SAMPLE_DIR) as Manifest[];
