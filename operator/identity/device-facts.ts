// What identity needs to know of a Device: plain data, made once when the watch delivers it.
import { createHash } from 'node:crypto';
import type { Device } from '../api/device.ts';
import { certificateLifetime, durationMs } from '../api/duration.ts';
import { ANNOTATION_FACTORY_KEY, ANNOTATION_MANUFACTURER_CA, ANNOTATION_REGISTERED_BY, ANNOTATION_REGISTRATION } from '../api/names.ts';
import type { Key } from '../kube/object.ts';
import { type CsrVerdict, verifyCsr } from './csr.ts';
import { type ExistingVerdict, verifyExisting } from './existing.ts';
import { dictatedSubject, type Subject } from './subject.ts';

export type IssuerKind = 'Issuer' | 'ClusterIssuer';
export type IssuerRef = { name: string; kind: IssuerKind };
export type Enrollment = 'CSR' | 'EST' | 'Managed' | 'Existing';

export type DeviceFacts = {
  key: Key;
  uid: string;
  resourceVersion: string;
  name: string;
  namespace: string;
  /** ISO 8601. */
  createdAt: string;
  enrollment: Enrollment;
  /** enrollment EST: what the device proves itself with the first time. */
  bootstrap: 'Token' | 'Manufacturer' | undefined;
  /** What the certificate must say; undefined when the names cannot be in one. */
  subject: Subject | undefined;
  serial: string | undefined;
  factory: Factory | undefined;
  /** The issuer that the manifest names; undefined = the operator's default. */
  issuerRef: IssuerRef | undefined;
  durationMs: number;
  renewBeforeMs: number;
  secretName: string;
  /** How long after its end a certificate may still re-enrol by EST; 0 when the manifest does not say. */
  offlineBudgetMs: number;
  /** enrollment CSR only. */
  csr: CsrVerdict | undefined;
  /** enrollment Existing only. */
  existing: ExistingVerdict | undefined;
  /** sha256 of the certificate in status.certificate, lower hex. */
  handedOut: string | undefined;
  /** status.certificate. */
  certificate: string | undefined;
  /** status.identity.replacedKey: the key of a request that gave way to one by EST. */
  replacedKey: string | undefined;
};

/** What the annotations say of the factory certificate that the Device stands for; each may be missing. What is no fingerprint matches none. */
export type Factory = {
  /** SHA-256 of the manufacturer's CA certificate, lower hex. */
  ca: string | undefined;
  /** SHA-256 of the public key in the factory certificate, lower hex. */
  key: string | undefined;
  /** uid of the CertificateRequest that the Device was made for, just in time. */
  request: string | undefined;
  /** The SegmentPolicy that let it in. */
  policy: string | undefined;
};

/** Verdicts kept, so that a status change of a Device does not verify its request again. About 1 KiB each. */
const MOST_VERDICTS = 20_000;

/** Indexes for the store of Devices: who else has this serial number, this key, this uid. */
export const DEVICE_INDEXES: Record<string, (device: DeviceFacts) => string[]> = {
  registeredBy: (device) => (device.factory?.policy === undefined ? [] : [`${device.namespace}/${device.factory.policy}`]),
  identitySerial: (device) => (device.serial === undefined ? [] : [`${device.namespace}/${device.serial}`]),
  // Only a proven key makes a claim: a request that was copied or forged cannot block the owner of the key.
  identityKey: (device) => (device.csr?.ok ? [device.csr.spki] : []),
  // Anybody may copy a certificate: this finds those who name the same key, and blocks nobody else.
  identityExisting: (device) => (device.existing?.ok ? [device.existing.facts.spki] : []),
};

/** A projection with a memory of verdicts. */
export function createDeviceProjection(): (device: Device) => DeviceFacts {
  const verdicts = new Map<string, CsrVerdict>();
  const certificates = new Map<string, ExistingVerdict>();
  return (device) => {
    const { name = '', namespace = '', uid = '', resourceVersion = '', creationTimestamp = '' } = device.metadata;
    const { identity, hardware } = device.spec;
    const subject = dictatedSubject({ name, namespace, segment: device.spec.segment });
    const enrollment: Enrollment = identity?.enrollment ?? 'CSR';
    return {
      key: `${namespace}/${name}`,
      uid,
      resourceVersion,
      name,
      namespace,
      createdAt: creationTimestamp,
      enrollment,
      bootstrap: enrollment === 'EST' ? (identity?.est?.bootstrap ?? 'Token') : undefined,
      subject,
      serial: hardware?.serial,
      factory: factoryOf(device.metadata.annotations),
      issuerRef:
        identity?.issuerRef === undefined ? undefined : { name: identity.issuerRef.name, kind: identity.issuerRef.kind ?? 'Issuer' },
      ...certificateLifetime(identity),
      secretName: identity?.secretName ?? `${name}-tls`,
      offlineBudgetMs: durationMs(device.spec.offlineBudget ?? '') ?? 0,
      csr: enrollment === 'CSR' && subject !== undefined ? remembered(verdicts, verifyCsr, identity?.csr, subject) : undefined,
      existing:
        enrollment === 'Existing' && subject !== undefined
          ? remembered(certificates, verifyExisting, identity?.existing?.certificate, subject)
          : undefined,
      handedOut: leafHash(device.status?.certificate),
      certificate: device.status?.certificate,
      replacedKey: device.status?.identity?.replacedKey,
    };
  };
}

function factoryOf(annotations: Readonly<Record<string, string>> | undefined): Factory | undefined {
  if (annotations === undefined) return undefined;
  const factory = {
    ca: annotations[ANNOTATION_MANUFACTURER_CA],
    key: annotations[ANNOTATION_FACTORY_KEY],
    request: annotations[ANNOTATION_REGISTRATION],
    policy: annotations[ANNOTATION_REGISTERED_BY],
  };
  return Object.values(factory).every((value) => value === undefined) ? undefined : factory;
}

function remembered<V>(
  verdicts: Map<string, V>,
  verify: (pem: string | undefined, subject: Subject) => V,
  pem: string | undefined,
  subject: Subject,
): V {
  const key = createHash('sha256')
    .update(`${subject.organizationalUnit}\n${subject.commonName}\n${pem ?? ''}`)
    .digest('base64');
  const known = verdicts.get(key);
  if (known !== undefined) return known;
  const verdict = verify(pem, subject);
  if (verdicts.size >= MOST_VERDICTS) verdicts.clear();
  verdicts.set(key, verdict);
  return verdict;
}

/** sha256 of the first certificate's DER, without parsing it. */
export function leafHash(chain: string | undefined): string | undefined {
  const body = /-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/.exec(chain ?? '')?.[1];
  return body === undefined ? undefined : createHash('sha256').update(Buffer.from(body, 'base64')).digest('hex');
}
