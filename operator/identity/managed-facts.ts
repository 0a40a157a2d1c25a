// A cert-manager Certificate as Hedgerow makes it for a Managed device, and what is read of it. Its Secret is never read.
import type { Condition, ObjectMeta } from '../api/meta.ts';
import { CERTIFICATES, DEVICES } from '../api/resources.ts';
import type { Key } from '../kube/object.ts';
import type { DeviceFacts, IssuerRef } from './device-facts.ts';
import { managedRenewBeforeMs } from './renewal.ts';
import { durationText, OUR_API_VERSION, OUR_LABELS, USAGES } from './request-facts.ts';
import type { Subject } from './subject.ts';

export type Certificate = {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  spec: Record<string, unknown>;
  status?: { conditions?: Condition[]; revision?: number };
};

export type ManagedFacts = {
  key: Key;
  uid: string;
  resourceVersion: string;
  name: string;
  namespace: string;
  ownerUid: string | undefined;
  spec: Record<string, unknown>;
  ready: boolean;
  issuing: boolean;
  message: string;
  /** Kept for the patch of `Issuing`. */
  conditions: Condition[];
};

export function managedFacts(object: Certificate): ManagedFacts {
  const { name = '', namespace = '', uid = '', resourceVersion = '', ownerReferences = [] } = object.metadata;
  const conditions = object.status?.conditions ?? [];
  const find = (type: string) => conditions.find((condition) => condition.type === type);
  const owner = ownerReferences.find((reference) => reference.controller === true && reference.kind === DEVICES.kind);
  return {
    key: `${namespace}/${name}`,
    uid,
    resourceVersion,
    name,
    namespace,
    ownerUid: owner?.uid,
    spec: object.spec,
    ready: find('Ready')?.status === 'True',
    issuing: find('Issuing')?.status === 'True',
    message: (find('Issuing')?.message ?? find('Ready')?.message ?? '').slice(0, 500),
    conditions,
  };
}

/** Field for field what the device's certificate must be; Go writes the subject in the order O, OU, CN. */
export function desiredCertificate(device: DeviceFacts, subject: Subject, issuer: IssuerRef): Certificate {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: CERTIFICATES.kind,
    metadata: {
      name: device.name,
      namespace: device.namespace,
      // cert-manager copies the labels of a Certificate to its requests: that is how they reach our watch.
      labels: { ...OUR_LABELS },
      ownerReferences: [{ apiVersion: OUR_API_VERSION, kind: DEVICES.kind, name: device.name, uid: device.uid, controller: true }],
    },
    spec: {
      secretName: device.secretName,
      commonName: subject.commonName,
      subject: { organizations: [subject.organization], organizationalUnits: [subject.organizationalUnit] },
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
      usages: [...USAGES],
      duration: durationText(device.durationMs),
      renewBefore: durationText(managedRenewBeforeMs(device)),
      revisionHistoryLimit: 1,
      isCA: false,
      issuerRef: { name: issuer.name, kind: issuer.kind, group: 'cert-manager.io' },
    },
  };
}

/** Every field that we set is as we set it, and no name was added that would end up in the certificate. */
export function isAsDesired(found: ManagedFacts, desired: Certificate): boolean {
  const allowed = new Set(Object.keys(desired.spec));
  return Object.keys(found.spec).every((field) => allowed.has(field)) && contains(found.spec, desired.spec);
}

function contains(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return Array.isArray(found) && found.length === wanted.length && wanted.every((item, i) => contains(found[i], item));
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof found !== 'object' || found === null) return false;
    return Object.entries(wanted).every(([key, value]) => contains((found as Record<string, unknown>)[key], value));
  }
  return found === wanted;
}
