// What identity needs to know of a cert-manager CertificateRequest, and the objects it makes.
import { createHash } from 'node:crypto';
import { durationMs } from '../api/duration.ts';
import type { Condition, ObjectMeta } from '../api/meta.ts';
import { FIELD_MANAGER } from '../api/names.ts';
import { CERTIFICATE_REQUESTS, DEVICES } from '../api/resources.ts';
import type { Key } from '../kube/object.ts';
import { keyOfCsr } from './csr.ts';
import type { DeviceFacts, IssuerKind, IssuerRef } from './device-facts.ts';
import { type Evidence, evidenceAnnotations, readEvidence } from './evidence.ts';
import { relativeNames } from './subject.ts';

/** cert-manager.io/v1, as far as it is used here. */
export type CertificateRequest = {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  spec: {
    /** base64 of a PEM request. */
    request: string;
    issuerRef: { name: string; kind?: string; group?: string };
    duration?: string;
    isCA?: boolean;
    usages?: string[];
    /** Filled by cert-manager's webhook: who created it. */
    username?: string;
  };
  status?: {
    /** base64 of a PEM chain. */
    certificate?: string;
    /** base64 of the PEM certificate of the CA. */
    ca?: string;
    conditions?: Pick<Condition, 'type' | 'status' | 'reason' | 'message' | 'lastTransitionTime'>[];
    failureTime?: string;
  };
};

export const OUR_API_VERSION = `${DEVICES.group}/${DEVICES.version}`;

/** How a device proved itself to the EST server; `sha256` of the certificate that it came with, `ca` and `key` as in `FactoryIdentity`. */
export type EstProof = { how: 'Token' } | { how: 'Manufacturer'; ca: string; key: string } | { how: 'Certificate'; sha256: string };

export type RequestState = 'new' | 'approved' | 'issued' | 'failed' | 'denied';

export type RequestFacts = {
  key: Key;
  uid: string;
  resourceVersion: string;
  name: string;
  namespace: string;
  createdAt: string;
  owner: { kind: string; name: string; uid: string } | undefined;
  username: string | undefined;
  /** PEM; what cert-manager will sign. */
  pem: string;
  /** sha256 of the request's DER, lower hex. */
  csrHash: string;
  /** `<kind>/<namespace>/<name>` */
  issuer: string;
  durationMs: number | undefined;
  isCa: boolean;
  usages: string;
  /** Which try this is, from 1. */
  attempt: number;
  /** What the EST server that made it says of the device's proof. */
  est: EstProof | undefined;
  /** Of one with `est` that is to make a Device of the device: what proves who it is. Such a request has no owner. */
  registers: Evidence | undefined;
  /** Of one with `est`: sha256 of the SubjectPublicKeyInfo, lower hex. */
  spki: string | undefined;
  /** cert-manager's revision of the Certificate that owns it. */
  revision: number;
  state: RequestState;
  message: string;
  /** ISO 8601, of `failed` and `denied`. */
  failedAt: string | undefined;
  /** PEM chain of an issued one. */
  certificate: string | undefined;
  /** PEM of the CA, of an issued one whose issuer tells it. */
  ca: string | undefined;
};

/** What our watch of CertificateRequests selects. */
export const OUR_LABELS = { 'app.kubernetes.io/managed-by': 'hedgerow' } as const;
export const USAGES: readonly string[] = ['digital signature', 'client auth'];
/** The manifest that a denial may propose is in it; an Event's note takes 1,024 bytes. */
export const MOST_MESSAGE_CHARS = 1_000;
const ATTEMPT = 'hedgerow.dev/attempt';
const EST = 'hedgerow.dev/est-proof';
const REVISION = 'cert-manager.io/certificate-revision';

export function issuerKey(ref: IssuerRef, namespace: string): string {
  return `${ref.kind}/${ref.kind === 'Issuer' ? namespace : ''}/${ref.name}`;
}

/** One name for one wish, so that a crash between two steps finds what it made before. */
export function requestName(device: DeviceFacts, csrHash: string, issuer: string, attempt: number): string {
  const subject =
    device.subject === undefined
      ? ''
      : relativeNames(device.subject)
          .map((name) => name.value)
          .join('/');
  const wish = [device.uid, csrHash, subject, issuer, ...(attempt === 1 ? [] : [String(attempt)])].join('\n');
  return `${device.name}-${createHash('sha256').update(wish).digest('hex').slice(0, 10)}`;
}

export function newRequest(
  device: DeviceFacts,
  csr: { pem: string; hash: string },
  issuer: IssuerRef,
  attempt: number,
): CertificateRequest {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: CERTIFICATE_REQUESTS.kind,
    metadata: {
      name: requestName(device, csr.hash, issuerKey(issuer, device.namespace), attempt),
      namespace: device.namespace,
      labels: { ...OUR_LABELS },
      ...(attempt === 1 ? {} : { annotations: { [ATTEMPT]: String(attempt) } }),
      // cert-manager never collects a request that no Certificate owns (cert-manager#3458): it goes with its Device.
      ownerReferences: [{ apiVersion: OUR_API_VERSION, kind: DEVICES.kind, name: device.name, uid: device.uid, controller: true }],
    },
    spec: {
      request: Buffer.from(csr.pem).toString('base64'),
      issuerRef: { name: issuer.name, kind: issuer.kind, group: 'cert-manager.io' },
      duration: durationText(device.durationMs),
      usages: [...USAGES],
    },
  };
}

/** The same for the EST server: a name of its own, so that neither takes the other's request for its own. */
export function estRequestName(device: DeviceFacts, csrHash: string, issuer: string): string {
  return requestName({ ...device, name: `${device.name}-est` }, csrHash, issuer, 1);
}

export function newEstRequest(
  device: DeviceFacts,
  csr: { pem: string; hash: string },
  issuer: IssuerRef,
  proof: EstProof,
): CertificateRequest {
  const request = newRequest(device, csr, issuer, 1);
  const name = estRequestName(device, csr.hash, issuerKey(issuer, device.namespace));
  return { ...request, metadata: { ...request.metadata, name, annotations: { [EST]: proofText(proof) } } };
}

/** The same for a device without a Device: one name for one wish of one device, whatever Device becomes of it. */
export function registrationRequestName(device: DeviceFacts, csrHash: string, issuer: string): string {
  const { ca = '', key = '' } = device.factory ?? {};
  return requestName({ ...device, name: `${device.name}-jit`, uid: `${ca}\n${key}` }, csrHash, issuer, 1);
}

/** No owner: there is none yet. The Device that the operator makes for it says its uid (`hedgerow.dev/registration`), which binds them for good. */
export function newRegistrationRequest(
  device: DeviceFacts,
  csr: { pem: string; hash: string },
  issuer: IssuerRef,
  proof: EstProof,
  evidence: Evidence,
): CertificateRequest {
  const { metadata, ...request } = newRequest(device, csr, issuer, 1);
  const name = registrationRequestName(device, csr.hash, issuerKey(issuer, device.namespace));
  const annotations = { [EST]: proofText(proof), ...evidenceAnnotations(evidence) };
  return { ...request, metadata: { name, namespace: device.namespace, labels: { ...metadata.labels }, annotations } };
}

/** By what requests are found: the uid of the owner, or the own one of a request that is to make its Device. */
export function holderOf(request: Pick<RequestFacts, 'owner' | 'registers' | 'uid'>): string {
  return request.owner?.uid ?? (request.registers === undefined ? '' : request.uid);
}

/** Of the Device that it is for, `<namespace>/<name>`, whether that exists or not. */
export function deviceKeyOf(request: RequestFacts): Key {
  return `${request.namespace}/${request.owner?.name ?? request.registers?.device ?? ''}`;
}

function proofText(proof: EstProof): string {
  if (proof.how === 'Certificate') return `Certificate ${proof.sha256}`;
  return proof.how === 'Manufacturer' ? `Manufacturer ${proof.ca} ${proof.key}` : proof.how;
}

function estProof(text: string | undefined): EstProof | undefined {
  const [, how, first, second] = /^(Token|Manufacturer|Certificate)(?: ([0-9a-f]{64}))?(?: ([0-9a-f]{64}))?$/.exec(text ?? '') ?? [];
  if (how === 'Token') return first === undefined ? { how } : undefined;
  if (how === 'Certificate') return first === undefined || second !== undefined ? undefined : { how, sha256: first };
  return how === undefined || first === undefined || second === undefined ? undefined : { how: 'Manufacturer', ca: first, key: second };
}

/** A merge patch of the status that denies; final for cert-manager. */
export function denialPatch(request: { resourceVersion: string }, message: string, nowIso: string): object {
  const denied = { type: 'Denied', status: 'True', reason: `${FIELD_MANAGER}.dev`, message, lastTransitionTime: nowIso };
  return { metadata: { resourceVersion: request.resourceVersion }, status: { conditions: [denied] } };
}

/** A merge patch of the status that approves; the precondition keeps conditions that somebody else wrote meanwhile. */
export function approvalPatch(request: { resourceVersion: string }, message: string, nowIso: string): object {
  const approved = { type: 'Approved', status: 'True', reason: `${FIELD_MANAGER}.dev`, message, lastTransitionTime: nowIso };
  return { metadata: { resourceVersion: request.resourceVersion }, status: { conditions: [approved] } };
}

/** The text that cert-manager's own types print for whole seconds, so that a field we set reads back as it was: `720h0m0s`. */
export function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 3600)}h${Math.floor((seconds % 3600) / 60)}m${seconds % 60}s`;
}

export function requestFacts(object: CertificateRequest): RequestFacts {
  const { name = '', namespace = '', uid = '', resourceVersion = '', creationTimestamp = '', ownerReferences = [] } = object.metadata;
  const owner = ownerReferences.find((reference) => reference.controller === true);
  const pem = Buffer.from(object.spec.request, 'base64').toString('latin1');
  const kind = (object.spec.issuerRef.kind ?? 'Issuer') as IssuerKind;
  const { state, message } = stateOf(object);
  const est = estProof(object.metadata.annotations?.[EST]);
  return {
    key: `${namespace}/${name}`,
    uid,
    resourceVersion,
    name,
    namespace,
    createdAt: creationTimestamp,
    owner: owner === undefined ? undefined : { kind: owner.kind, name: owner.name, uid: owner.uid },
    username: object.spec.username,
    pem,
    csrHash: csrHash(pem),
    issuer: issuerKey({ name: object.spec.issuerRef.name, kind }, namespace),
    durationMs: durationMs(object.spec.duration ?? ''),
    isCa: object.spec.isCA === true,
    usages: (object.spec.usages ?? []).join(','),
    attempt: wholeNumber(object.metadata.annotations?.[ATTEMPT]) ?? 1,
    est,
    registers: est === undefined || owner !== undefined ? undefined : evidenceIn(object, state),
    spki: est === undefined ? undefined : keyOfCsr(pem),
    revision: wholeNumber(object.metadata.annotations?.[REVISION]) ?? 0,
    state,
    message,
    failedAt: failedAt(object),
    certificate: state === 'issued' ? Buffer.from(object.status?.certificate ?? '', 'base64').toString('latin1') : undefined,
    ca: state === 'issued' && object.status?.ca !== undefined ? Buffer.from(object.status.ca, 'base64').toString('latin1') : undefined,
  };
}

/** The certificates are looked at once, while nobody has judged the request; for the ten minutes after that they need not be held in memory. */
function evidenceIn(object: CertificateRequest, state: RequestState): Evidence | undefined {
  const evidence = readEvidence(object.metadata.annotations);
  return evidence === undefined || state === 'new' ? evidence : { ...evidence, path: '' };
}

function stateOf(object: CertificateRequest): { state: RequestState; message: string } {
  const find = (type: string) => object.status?.conditions?.find((condition) => condition.type === type);
  const ready = find('Ready');
  const denied = find('Denied');
  const message = (denied?.message ?? ready?.message ?? '').slice(0, MOST_MESSAGE_CHARS);
  if (denied?.status === 'True') return { state: 'denied', message };
  if (ready?.reason === 'Failed' || find('InvalidRequest')?.status === 'True') return { state: 'failed', message };
  if (ready?.status === 'True' && object.status?.certificate !== undefined) return { state: 'issued', message };
  return { state: find('Approved')?.status === 'True' ? 'approved' : 'new', message };
}

function failedAt(object: CertificateRequest): string | undefined {
  const conditions = object.status?.conditions ?? [];
  return (
    object.status?.failureTime ??
    conditions.find((condition) => condition.type === 'Ready' || condition.type === 'Denied')?.lastTransitionTime
  );
}

function csrHash(pem: string): string {
  const body = /-----BEGIN CERTIFICATE REQUEST-----([^-]+)-----END/.exec(pem)?.[1] ?? '';
  return createHash('sha256').update(Buffer.from(body, 'base64')).digest('hex');
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}
