// One Device and what identity sees around it, as plain data: everything is in order unless a test changes it.
import type { Device } from '../../api/device.ts';
import { verifyCsr } from '../csr.ts';
import type { Decision, Input, IssuerFacts } from '../decide.ts';
import { createDeviceProjection, type DeviceFacts } from '../device-facts.ts';
import { certificateEntryId, type LedgerEntry } from '../ledger-entry.ts';
import { type Certificate, desiredCertificate, type ManagedFacts, managedFacts } from '../managed-facts.ts';
import {
  type CertificateRequest,
  type EstProof,
  newEstRequest,
  newRequest,
  type RequestFacts,
  type RequestState,
  requestFacts,
} from '../request-facts.ts';
import type { Subject } from '../subject.ts';
import { readCertificate } from '../x509.ts';

export const NOW = Date.parse('2026-03-01T00:00:00Z');
export const HOUR = 3_600_000;
export const SELF = 'system:serviceaccount:hedgerow-system:hedgerow';
export const EST = 'system:serviceaccount:hedgerow-system:hedgerow-est';
export const CERT_MANAGER = 'system:serviceaccount:cert-manager:cert-manager';
export const ISSUER: IssuerFacts = { ref: { name: 'site-ca', kind: 'Issuer' }, key: 'Issuer/berlin/site-ca', state: 'ready', message: '' };

const project = createDeviceProjection();

export type DeviceOptions = {
  name?: string;
  uid?: string;
  createdAt?: string;
  segment?: string;
  serial?: string;
  identity?: Partial<NonNullable<Device['spec']['identity']>>;
  certificate?: string;
};

export function device(options: DeviceOptions = {}): DeviceFacts {
  const { name = 'thermo-17', uid = 'uid-17', createdAt = '2026-01-01T00:00:00Z', segment = 'office', serial, certificate } = options;
  return project({
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'Device',
    metadata: { name, namespace: 'berlin', uid, resourceVersion: '1', creationTimestamp: createdAt },
    spec: {
      segment,
      ...(serial === undefined ? {} : { hardware: { model: 'tmp-2', serial } }),
      ...(options.identity === undefined ? {} : { identity: options.identity }),
    },
    ...(certificate === undefined ? {} : { status: { certificate } }),
  } as unknown as Device);
}

type RequestOptions = {
  state?: RequestState;
  attempt?: number;
  issuer?: IssuerFacts['ref'];
  certificate?: string;
  failedAt?: string;
  message?: string;
  change?: (object: CertificateRequest) => void;
};

/** A request as this operator makes it for the Device, with what cert-manager and its webhook added. */
export function request(of: DeviceFacts, options: RequestOptions = {}): RequestFacts {
  if (!of.csr?.ok) throw new Error('the Device of this scene has no good CSR');
  const object = newRequest(of, of.csr, options.issuer ?? ISSUER.ref, options.attempt ?? 1);
  Object.assign(object.metadata, { uid: `uid-of-${object.metadata.name}`, resourceVersion: '7', creationTimestamp: iso(NOW - HOUR) });
  object.spec.username = SELF;
  object.status = statusOf(options);
  options.change?.(object);
  return requestFacts(object);
}

/** A request as the EST server makes it for this CSR. */
export function estRequest(
  of: DeviceFacts,
  csrPem: string,
  options: RequestOptions & { proof?: EstProof; id?: string; createdAt?: number } = {},
): RequestFacts {
  const verdict = verifyCsr(csrPem, of.subject as Subject);
  const csr = verdict.ok ? verdict : { pem: csrPem, hash: 'none' };
  const object = newEstRequest(of, csr, options.issuer ?? ISSUER.ref, options.proof ?? { how: 'Token' });
  const { name } = object.metadata;
  const creationTimestamp = iso(options.createdAt ?? NOW - 1_000);
  Object.assign(object.metadata, { uid: options.id ?? `uid-of-${name}`, resourceVersion: '7', creationTimestamp });
  object.spec.username = EST;
  object.status = statusOf(options);
  options.change?.(object);
  return requestFacts(object);
}

function statusOf(options: RequestOptions): NonNullable<CertificateRequest['status']> {
  const condition = (type: string, status: 'True' | 'False', reason: string) => ({
    type,
    status,
    reason,
    message: options.message ?? '',
    lastTransitionTime: options.failedAt ?? iso(NOW),
  });
  const approved = condition('Approved', 'True', 'hedgerow.dev');
  switch (options.state) {
    case 'approved':
      return { conditions: [approved] };
    case 'issued':
      return {
        conditions: [approved, condition('Ready', 'True', 'Issued')],
        ...(options.certificate === undefined ? {} : { certificate: Buffer.from(options.certificate).toString('base64') }),
      };
    case 'failed':
      return { conditions: [approved, condition('Ready', 'False', 'Failed')] };
    case 'denied':
      return { conditions: [condition('Denied', 'True', 'Policy')] };
    default:
      return {};
  }
}

export function entry(of: DeviceFacts, certificate: string, change: Partial<LedgerEntry> = {}): LedgerEntry {
  const facts = readCertificate(certificate);
  if (facts === undefined) throw new Error('the certificate of this scene does not read');
  const { serial, md5, sha256, spki, notBefore, notAfter } = facts;
  const names = {
    device: `${of.name}.${of.namespace}`,
    deviceUid: of.uid,
    segment: of.subject?.organizationalUnit ?? '',
    issuer: ISSUER.key,
  };
  return { id: certificateEntryId(sha256), ...names, serial, md5, sha256, spki, notBefore, notAfter, via: 'CSR', ...change };
}

/** The Certificate that Hedgerow makes for a Managed device. */
export function certificateOf(
  of: DeviceFacts,
  o: { ready?: boolean; issuing?: boolean; change?: (object: Certificate) => void } = {},
): ManagedFacts {
  const object = desiredCertificate(of, of.subject as Subject, ISSUER.ref);
  Object.assign(object.metadata, { uid: `certificate-of-${of.uid}`, resourceVersion: '9' });
  const condition = (type: string, on: boolean | undefined) =>
    on === undefined
      ? []
      : [{ type, status: on ? ('True' as const) : ('False' as const), reason: 'R', message: '', lastTransitionTime: iso(NOW) }];
  object.status = { conditions: [...condition('Ready', o.ready), ...condition('Issuing', o.issuing)] };
  o.change?.(object);
  return managedFacts(object);
}

/** A request as cert-manager makes it for that Certificate. */
export function managedRequest(of: DeviceFacts, csrPem: string, options: RequestOptions & { revision?: number } = {}): RequestFacts {
  const owner = certificateOf(of);
  const object: CertificateRequest = {
    metadata: {
      name: `${of.name}-${options.revision ?? 1}`,
      namespace: of.namespace,
      uid: `uid-managed-${options.revision ?? 1}`,
      resourceVersion: '8',
      creationTimestamp: iso(NOW),
      annotations: { 'cert-manager.io/certificate-revision': String(options.revision ?? 1) },
      ownerReferences: [{ apiVersion: 'cert-manager.io/v1', kind: 'Certificate', name: of.name, uid: owner.uid, controller: true }],
    },
    spec: {
      request: Buffer.from(csrPem).toString('base64'),
      issuerRef: { name: ISSUER.ref.name, kind: ISSUER.ref.kind, group: 'cert-manager.io' },
      duration: '720h0m0s',
      usages: ['digital signature', 'client auth'],
      username: CERT_MANAGER,
    },
    status: statusOf(options),
  };
  options.change?.(object);
  return requestFacts(object);
}

export function input(of: DeviceFacts, change: Partial<Input> & { entries?: LedgerEntry[] } = {}): Input {
  const { entries = [], ...rest } = change;
  return {
    now: NOW,
    device: of,
    lifecycle: 'Active',
    rotation: undefined,
    ledger: { synced: true, problem: undefined },
    ofDevice: entries.filter((e) => e.device === `${of.name}.${of.namespace}`),
    ofKey: (spki) => entries.filter((e) => e.spki === spki),
    pendingOfKey: () => undefined,
    firstWithSerial: undefined,
    firstWithKey: undefined,
    claimantOfKey: () => undefined,
    keyInFlight: () => undefined,
    issuer: ISSUER,
    openApprovers: [],
    requests: [],
    nameTaker: undefined,
    managed: undefined,
    trust: () => 'none',
    self: SELF,
    certManager: CERT_MANAGER,
    est: EST,
    looked: false,
    ...rest,
  };
}

/** What a decision comes to, in a few words: the step, or the kind of its answer with the reason. */
export function said(decision: Decision): string {
  if (decision.do !== 'answer') return decision.do;
  const { outcome } = decision.answer;
  return outcome.kind === 'done' ? 'done' : `${outcome.kind} ${outcome.reason}`;
}

export const iso = (ms: number): string => new Date(ms).toISOString();
