// Takes one step that was decided. Each is small, idempotent, and harmless when it was taken before.

import type { Device } from '../api/device.ts';
import { FIELD_MANAGER } from '../api/names.ts';
import { CERTIFICATE_REQUESTS, CERTIFICATES, DEVICES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../kube/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Decision, IssuerFacts } from './decide.ts';
import { type DeviceFacts, leafHash } from './device-facts.ts';
import type { CertificateLedgerLog } from './ledger.ts';
import { certificateEntryId, isKeyRevoked, type LedgerEntry, type PendingEntry, pendingEntryId } from './ledger-entry.ts';
import { type Change, drop, put } from './ledger-plan.ts';
import { type Certificate, desiredCertificate, isAsDesired, type ManagedFacts, managedFacts } from './managed-facts.ts';
import { type Rotation, rotationBefore } from './renewal.ts';
import {
  approvalPatch,
  type CertificateRequest,
  denialPatch,
  holderOf,
  MOST_MESSAGE_CHARS,
  newRequest,
  OUR_LABELS,
  type RequestFacts,
  requestFacts,
} from './request-facts.ts';
import { OUR_SELECTOR, type Requests } from './requests.ts';
import { type Signer, signerOf } from './signer.ts';
import { readCertificate } from './x509.ts';

export type StepDeps = {
  client: KubeClient;
  clock: Clock;
  ledger: CertificateLedgerLog;
  requests: Requests;
  noteCertificate: (certificate: ManagedFacts) => void;
  announce: (signer: Signer) => Promise<void>;
};
export type StepContext = {
  device: DeviceFacts;
  issuer: IssuerFacts;
  managed: ManagedFacts | undefined;
  by: string;
  rotation: Rotation | undefined;
  signal: AbortSignal | undefined;
};
type Step = Exclude<Decision, { do: 'answer' }>;

/** `behind`: the store of Devices is older than the API server; come again shortly. `nameTaker`: somebody else's request has the name that ours would have. */
export async function takeStep(
  step: Step,
  context: StepContext,
  deps: StepDeps,
): Promise<'taken' | 'behind' | { nameTaker: RequestFacts }> {
  switch (step.do) {
    case 'create':
      return await createRequest(step.attempt, context, deps);
    case 'approve':
      return await judge(step.request, undefined, context, deps);
    case 'deny':
      return await judge(step.request, step.message, context, deps);
    case 'delete':
      return await deleteRequest(step.request, context.signal, deps);
    case 'announce': {
      const signer = signerOf(step.request.certificate ?? '', step.request.ca);
      if (signer !== undefined) await deps.announce(signer);
      return 'taken';
    }
    case 'record':
      return await record(step, context, deps);
    case 'recordExisting':
      await deps.ledger.commit([put(existingEntry(step.existing, context.device))]);
      return 'taken';
    case 'recordKey':
      await deps.ledger.commit([put(pendingEntry(step.request, step.spki, context.device))]);
      return 'taken';
    case 'revoke':
      await deps.ledger.revoke(step.ids, { reason: step.reason, by: step.by ?? (step.reason === 'Moved' ? 'hedgerow' : context.by) });
      return 'taken';
    case 'applyCertificate':
      return await applyCertificate(context, deps);
    case 'reissue':
      return await reissue(step.because ?? 'the certificate in the Secret is not one that the ledger knows as valid', context, deps);
    case 'look':
      return await look(context, deps);
  }
}

async function createRequest(
  attempt: number,
  { device, issuer, signal }: StepContext,
  deps: StepDeps,
): Promise<'taken' | { nameTaker: RequestFacts }> {
  if (device.csr === undefined || !device.csr.ok) throw new Error('a request was decided for a Device without a good CSR');
  const wanted = newRequest(device, device.csr, issuer.ref, attempt);
  try {
    deps.requests.note(requestFacts(await deps.client.create<CertificateRequest>(CERTIFICATE_REQUESTS, wanted, signal)));
    return 'taken';
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  const live = await reread({ name: wanted.metadata.name ?? '', namespace: device.namespace }, signal, deps);
  const known = live === undefined || deps.requests.ownedBy(device.uid).some((request) => request.uid === live.uid);
  return known ? 'taken' : { nameTaker: live };
}

/** Approves, or denies with the reason. */
async function judge(request: RequestFacts, denial: string | undefined, { device, signal }: StepContext, deps: StepDeps): Promise<'taken'> {
  const ref = { name: request.name, namespace: request.namespace };
  const at = wholeSeconds(deps.clock.now());
  const asker = request.est === undefined ? 'Hedgerow' : `the EST server (${request.est.how})`;
  const patch =
    denial === undefined
      ? approvalPatch(request, `requested by ${asker} for Device ${device.name}`, at)
      : denialPatch(request, denial.slice(0, MOST_MESSAGE_CHARS), at);
  try {
    deps.requests.note(
      requestFacts(await deps.client.mergePatch<CertificateRequest>(CERTIFICATE_REQUESTS, ref, patch, { subresource: 'status' }, signal)),
    );
  } catch (error) {
    if (!isConflict(error) && !isNotFound(error)) throw error;
    if ((await reread(ref, signal, deps))?.uid !== request.uid) deps.requests.forget(request);
  }
  return 'taken';
}

export async function deleteRequest(
  request: RequestFacts,
  signal: AbortSignal | undefined,
  deps: Pick<StepDeps, 'client' | 'requests'>,
): Promise<'taken'> {
  const ref = { name: request.name, namespace: request.namespace };
  // An approved one may be signed at this moment: only one that is still as we saw it goes, so that no certificate is lost with it.
  const { uid, resourceVersion } = request;
  try {
    await deps.client.delete(CERTIFICATE_REQUESTS, ref, request.state === 'approved' ? { uid, resourceVersion } : { uid }, signal);
  } catch (error) {
    if (!isConflict(error)) throw error;
    // Another object has the name now, so ours is gone; or it has changed, and what it is now is looked at again.
    if ((await reread(ref, signal, deps))?.uid === uid) return 'taken';
  }
  deps.requests.forget(request);
  return 'taken';
}

async function record(
  { request, pendingId, via }: Extract<Step, { do: 'record' }>,
  { device, rotation }: StepContext,
  deps: StepDeps,
): Promise<'taken'> {
  const facts = readCertificate(request.certificate ?? '');
  if (facts === undefined) throw new Error('a certificate that does not read was to be recorded');
  const keyRevoked = isKeyRevoked(deps.ledger.bySpki(facts.spki), device.uid);
  const own = request.owner?.kind === DEVICES.kind && request.est === undefined;
  const afterRotation = rotationBefore(rotation, { createdAt: request.createdAt, own, keyRevoked });
  const ca = signerOf(request.certificate ?? '', request.ca)?.id;
  const entry: LedgerEntry = {
    id: certificateEntryId(facts.sha256),
    device: `${device.name}.${device.namespace}`,
    deviceUid: device.uid,
    segment: /^OU=([a-z0-9-]+\.[a-z0-9-]+)$/m.exec(facts.subject)?.[1] ?? device.subject?.organizationalUnit ?? '',
    issuer: request.issuer,
    serial: facts.serial,
    md5: facts.md5,
    sha256: facts.sha256,
    spki: facts.spki,
    notBefore: facts.notBefore,
    notAfter: facts.notAfter,
    via: via ?? (device.enrollment === 'Managed' ? 'Managed' : 'CSR'),
    ...keptFor(facts.notAfter, device),
    ...(via === 'EST' && device.csr?.spki !== undefined ? { replaces: device.csr.spki } : {}),
    ...(afterRotation === undefined ? {} : { afterRotation }),
    ...(ca === undefined ? {} : { ca }),
  };
  const changes: Change[] = [put(entry), ...(pendingId === undefined ? [] : [drop(pendingId)])];
  await deps.ledger.commit(changes);
  return 'taken';
}

function existingEntry(
  { facts, issuer, organizationalUnit }: Extract<Step, { do: 'recordExisting' }>['existing'],
  device: DeviceFacts,
): LedgerEntry {
  const { serial, md5, sha256, spki, notBefore, notAfter } = facts;
  const names = { device: `${device.name}.${device.namespace}`, deviceUid: device.uid };
  return {
    id: certificateEntryId(sha256),
    ...names,
    // With another subject it says nothing of a segment, and cannot be in use for another one.
    segment: organizationalUnit ?? device.subject?.organizationalUnit ?? '',
    ...{ issuer, serial, md5, sha256, spki, notBefore, notAfter },
    via: 'Existing',
    ...keptFor(facts.notAfter, device),
  };
}

/** An expired one may re-enrol for a while. */
function keptFor(notAfter: string, { offlineBudgetMs }: DeviceFacts): Pick<LedgerEntry, 'keepUntil'> {
  return offlineBudgetMs === 0 ? {} : { keepUntil: new Date(Date.parse(notAfter) + offlineBudgetMs).toISOString() };
}

function pendingEntry(request: RequestFacts, spki: string, device: DeviceFacts): PendingEntry {
  // cert-manager may sign any time after the approval; a day is more than it ever waits without asking again.
  const latest = Date.parse(request.createdAt) + (request.durationMs ?? device.durationMs) + 86_400_000;
  return {
    id: pendingEntryId(spki),
    pending: true,
    device: `${device.name}.${device.namespace}`,
    deviceUid: device.uid,
    segment: device.subject?.organizationalUnit ?? '',
    issuer: request.issuer,
    spki,
    notAfter: new Date(latest).toISOString(),
    via: 'Managed',
  };
}

async function applyCertificate({ device, issuer, signal }: StepContext, deps: StepDeps): Promise<'taken'> {
  if (device.subject === undefined) throw new Error('a Certificate was decided for names that cannot be in one');
  const desired = desiredCertificate(device, device.subject, issuer.ref);
  const ref = { name: device.name, namespace: device.namespace };
  let live = await deps.client.get<Certificate>(CERTIFICATES, ref, signal);
  if (live === undefined) {
    live = await deps.client.apply<Certificate>(CERTIFICATES, desired, { fieldManager: FIELD_MANAGER }, signal);
  } else if (managedFacts(live).ownerUid === device.uid && !isAsDesired(managedFacts(live), desired)) {
    live = await deps.client.apply<Certificate>(CERTIFICATES, desired, { fieldManager: FIELD_MANAGER }, signal);
    // Names that somebody added belong to their field manager and survive an apply; they would end up in the certificate.
    if (!isAsDesired(managedFacts(live), desired))
      live = await deps.client.update<Certificate>(CERTIFICATES, { ...live, spec: desired.spec }, {}, signal);
  }
  deps.noteCertificate(managedFacts(live));
  return 'taken';
}

/** What `cmctl renew` does: cert-manager then makes a new key (rotationPolicy Always) and asks again. */
async function reissue(because: string, { managed, signal }: StepContext, deps: StepDeps): Promise<'taken'> {
  if (managed === undefined) throw new Error('a reissue was decided without a Certificate');
  const issuing = {
    type: 'Issuing',
    status: 'True',
    reason: 'HedgerowReissue',
    message: because,
    lastTransitionTime: wholeSeconds(deps.clock.now()),
  };
  const conditions = [...managed.conditions.filter((condition) => condition.type !== 'Issuing'), issuing];
  const ref = { name: managed.name, namespace: managed.namespace };
  const patch = { metadata: { resourceVersion: managed.resourceVersion }, status: { conditions } };
  try {
    deps.noteCertificate(
      managedFacts(await deps.client.mergePatch<Certificate>(CERTIFICATES, ref, patch, { subresource: 'status' }, signal)),
    );
  } catch (error) {
    if (!isConflict(error) && !isNotFound(error)) throw error;
    const live = await deps.client.get<Certificate>(CERTIFICATES, ref, signal);
    if (live !== undefined) deps.noteCertificate(managedFacts(live));
  }
  return 'taken';
}

/** Absence in a cache is not absence: the status and the requests as the API server has them now. */
async function look({ device, managed, signal }: StepContext, deps: StepDeps): Promise<'taken' | 'behind'> {
  const live = await deps.client.get<Device>(DEVICES, { name: device.name, namespace: device.namespace }, signal);
  if (live?.metadata.uid !== device.uid || leafHash(live.status?.certificate) !== device.handedOut) return 'behind';
  const owners = new Set([device.uid, managed?.uid, device.factory?.request]);
  const requests = await deps.client.list<CertificateRequest>(
    CERTIFICATE_REQUESTS,
    { namespace: device.namespace, labelSelector: OUR_SELECTOR },
    signal,
  );
  for (const request of requests.map(requestFacts)) if (owners.has(holderOf(request))) deps.requests.note(request);
  return 'taken';
}

async function reread(
  ref: { name: string; namespace: string },
  signal: AbortSignal | undefined,
  deps: Pick<StepDeps, 'client' | 'requests'>,
): Promise<RequestFacts | undefined> {
  const live = await deps.client.get<CertificateRequest>(CERTIFICATE_REQUESTS, ref, signal);
  if (live === undefined) return undefined;
  const facts = requestFacts(live);
  // A stranger's is not kept: the watch may never show it, so it would never be forgotten.
  if (isLabelled(live)) deps.requests.note(facts);
  return facts;
}

/** Whether the watch, which selects by our labels, shows this object. */
function isLabelled(object: CertificateRequest): boolean {
  return Object.entries(OUR_LABELS).every(([label, value]) => object.metadata.labels?.[label] === value);
}

/** metav1.Time: with a fraction, what cert-manager writes back differs from what is stored, and its webhook refuses every later status. */
export function wholeSeconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
