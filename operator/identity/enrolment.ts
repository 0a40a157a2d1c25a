// What an EST server needs of this room: Devices, the ledger, and one CertificateRequest for each wish with what became of it. It reads, and creates requests.
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import type { Device } from '../api/device.ts';
import { CERTIFICATE_LEDGERS, CERTIFICATE_REQUESTS, DEVICES, SEGMENT_POLICIES } from '../api/resources.ts';
import type { SegmentPolicy } from '../api/segment-policy.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists } from '../kube/errors.ts';
import { type Key, keyOfRef } from '../kube/object.ts';
import type { KubeMetrics, Random } from '../kube/ports.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import type { Change, Projected } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { type CsrVerdict, verifyCsr } from './csr.ts';
import { isValid } from './decide.ts';
import { keyRefusal } from './decide-est.ts';
import { createDeviceProjection, DEVICE_INDEXES, type DeviceFacts, type IssuerRef } from './device-facts.ts';
import { type EnrollmentPolicy, enrollmentPolicy } from './enrollment-policy.ts';
import { explain } from './errors.ts';
import type { Evidence } from './evidence.ts';
import { certificateEntryId, isPending, type LedgerEntry } from './ledger-entry.ts';
import { LedgerIndex, type Page } from './ledger-index.ts';
import { LedgerBroken, readPage } from './ledger-pages.ts';
import { type FactoryIdentity, registeredDevice, registeredName } from './registered-device.ts';
import { renewAt } from './renewal.ts';
import {
  type CertificateRequest,
  deviceKeyOf,
  type EstProof,
  estRequestName,
  issuerKey,
  newEstRequest,
  newRegistrationRequest,
  type RequestFacts,
  registrationRequestName,
  requestFacts,
} from './request-facts.ts';
import { createRequests } from './requests.ts';
import { firstOf, sameMaker } from './rivals.ts';
import { createSerialLists, type SerialLists } from './serial-lists.ts';
import { readCertificate } from './x509.ts';

export type EstDevice = DeviceFacts & {
  segment: string;
  /** By the manifest or, as the status shows, by an Intervention. */
  revoked: boolean;
  /** What the status says of the newest certificate: its SHA-256, and when it is to be renewed, ms. The operator knows of a Rotate, this process does not. */
  shown: { sha256: string; renewAt: number } | undefined;
};

export type GoodCsr = Extract<CsrVerdict, { ok: true }>;

/** `asked`: nobody has judged it yet. `issued`: PEM of the leaf. `refused`: what the operator or cert-manager said. */
export type Progress =
  | { state: 'none' | 'asked' | 'pending' }
  | { state: 'issued'; certificate: string }
  | { state: 'refused'; message: string };

export type EnrolmentDeps = {
  client: KubeClient;
  /** The operator's own namespace: the ledger lives there. */
  namespace: string;
  defaultIssuer: IssuerRef;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: KubeMetrics;
};

export interface Enrolment {
  readonly reflectors: readonly Reflector<Projected>[];
  /** Why nothing can be decided now, in words. */
  problem(): string | undefined;
  device(ref: { name: string; namespace: string }): EstDevice | undefined;
  /** Of a SegmentPolicy: `<namespace>/<name>`. */
  policy(key: string): EnrollmentPolicy | undefined;
  /** SegmentPolicies that let devices in without a manifest. */
  justInTime(): EnrollmentPolicy[];
  readonly serialLists: SerialLists;
  /** The Device that enrols by the factory certificate of this identity, whatever name a person gave it. */
  deviceOf(identity: FactoryIdentity, namespace: string): EstDevice | undefined;
  /** The Device that the operator would make; its uid is empty. undefined where the names are too long for a certificate. */
  unregistered(identity: FactoryIdentity, policy: EnrollmentPolicy): EstDevice | undefined;
  /** The entry of this very certificate. */
  certificate(sha256: string): LedgerEntry | undefined;
  /** The gate: form, key, whose key and whose serial number it is. A refusal says code and cure. */
  check(device: EstDevice, pem: string): { csr: GoodCsr } | { refused: 'form' | 'rival'; message: string };
  /** Requests of this Device that nobody has answered yet. */
  underWay(device: EstDevice): number;
  progress(device: EstDevice, csr: GoodCsr): Progress;
  /** Makes the request unless it is there. With evidence it is one that is to make the Device. */
  request(device: EstDevice, csr: GoodCsr, proof: EstProof, evidence: Evidence | undefined, signal?: AbortSignal): Promise<void>;
  /** Called after anything changed that the progress of this Device, `<namespace>/<name>`, depends on. Gives the way to stop it. */
  onChange(device: Key, listener: () => void): () => void;
}

export function createEnrolment(deps: EnrolmentDeps): Enrolment {
  const { client } = deps;
  const shared = { client, clock: deps.clock, random: deps.random, log: deps.log, metrics: deps.metrics };
  const listeners = new Map<() => void, Key>();
  /** Without a Device: it may be any. */
  const changed = (device?: Key): void => {
    for (const [listener, waitsFor] of [...listeners]) if (device === undefined || device === waitsFor) listener();
  };
  const project = projectDevice();
  const devices = createReflector<Device, EstDevice>({
    ...shared,
    type: DEVICES,
    project,
    indexes: DEVICE_INDEXES,
    onChange: ({ key, before, after }) => {
      // The operator's status writes come by here too, and nobody waits for those but of the certificate.
      if (before?.uid !== after?.uid || before?.handedOut !== after?.handedOut) changed(key);
    },
  });
  const policies = createReflector<SegmentPolicy, EnrollmentPolicy>({
    ...shared,
    type: SEGMENT_POLICIES,
    project: enrollmentPolicy,
    indexes: { justInTime: ({ justInTime }) => (justInTime === undefined ? [] : ['yes']) },
  });
  const requests = createRequests(shared, (request) => changed(deviceKeyOf(request)));
  const index = new LedgerIndex();
  const ledger = createReflector<CertificateLedger, LedgerPage>({
    ...shared,
    type: CERTIFICATE_LEDGERS,
    namespace: deps.namespace,
    project: projectPage,
    onChange: (change) => {
      takePage(index, change);
      changed();
    },
  });
  const reflectors: readonly Reflector<Projected>[] = [devices, policies, requests.reflector, ledger];

  const entryOf = (sha256: string): LedgerEntry | undefined => {
    const entry = index.get(certificateEntryId(sha256));
    return entry === undefined || isPending(entry) || entry.sha256 !== sha256 ? undefined : entry;
  };
  const firstWithSerial = (device: EstDevice): string | undefined => {
    const others =
      device.serial === undefined ? [] : sameMaker(device, devices.store.by('identitySerial', `${device.namespace}/${device.serial}`));
    return firstOf(device, others, ({ name, namespace, uid }) =>
      index.byDevice(`${name}.${namespace}`).some((entry) => entry.deviceUid === uid && entry.revoked === undefined),
    );
  };
  const issuerOf = (device: EstDevice): IssuerRef => device.issuerRef ?? deps.defaultIssuer;
  const requestOf = (device: EstDevice, csr: GoodCsr): RequestFacts | undefined => {
    const issuer = issuerKey(issuerOf(device), device.namespace);
    if (device.uid === '')
      return requests.get(keyOfRef({ name: registrationRequestName(device, csr.hash, issuer), namespace: device.namespace }));
    const madeFor = requests.ownedBy(device.factory?.request ?? '').find((request) => isMaking(device, request));
    if (madeFor !== undefined && madeFor.csrHash === csr.hash && madeFor.issuer === issuer) return madeFor;
    const name = estRequestName(device, csr.hash, issuer);
    return requests.ownedBy(device.uid).find((request) => request.name === name);
  };
  /** A Device that was not there may have been made meanwhile. */
  const asOfNow = (device: EstDevice): EstDevice => (device.uid === '' ? (devices.store.get(device.key) ?? device) : device);
  /** The certificate of a request or of the status, if it is for this key and the ledger has it as good. */
  const goodLeaf = (device: EstDevice, csr: GoodCsr, chain: string | undefined): { pem: string; entry: LedgerEntry } | undefined => {
    const facts = readCertificate(chain ?? '');
    const entry = facts === undefined ? undefined : entryOf(facts.sha256);
    if (entry === undefined || entry.spki !== csr.spki || entry.deviceUid !== device.uid || !isValid(entry, deps.clock.now()))
      return undefined;
    const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(chain ?? '')?.[0];
    return pem === undefined ? undefined : { pem, entry };
  };

  return {
    reflectors,
    problem() {
      if (!reflectors.every((reflector) => reflector.store.synced)) return 'not everything was read from the API server yet';
      return [...ledger.store.values()].find((page) => page.problem !== undefined)?.problem;
    },
    policy: (key) => policies.store.get(key),
    justInTime: () => policies.store.by('justInTime', 'yes'),
    serialLists: createSerialLists(client, deps.clock),
    deviceOf(identity, namespace) {
      const named = devices.store.get(keyOfRef({ name: registeredName(identity, namespace) ?? '', namespace }));
      if (named?.factory?.ca === identity.ca && named.serial === identity.serial) return named;
      const others = devices.store
        .by('identitySerial', `${namespace}/${identity.serial}`)
        .filter(({ bootstrap, factory }) => bootstrap === 'Manufacturer' && (factory?.ca === undefined || factory.ca === identity.ca));
      return others.length === 1 ? others[0] : undefined;
    },
    unregistered(identity, { name: segment, namespace }) {
      const name = registeredName(identity, namespace);
      if (name === undefined) return undefined;
      const device = project(registeredDevice({ name, namespace, segment }, identity, ''));
      return device.subject === undefined ? undefined : device;
    },
    device: ({ name, namespace }) => devices.store.get(keyOfRef({ name, namespace })),
    certificate: entryOf,
    check(device, pem) {
      if (device.subject === undefined) return { refused: 'form', message: explain('HR-ID-012') };
      const csr = verifyCsr(pem, device.subject);
      if (!csr.ok) return { refused: 'form', message: csr.message };
      // What was asked before is answered again, whatever the rules say of a second certificate for this key.
      if (this.progress(device, csr).state !== 'none') return { csr };
      const claimants = devices.store.by('identityKey', csr.spki).filter((other) => other.uid !== device.uid);
      const refusal = keyRefusal({
        now: deps.clock.now(),
        device,
        entries: index.bySpki(csr.spki),
        pending: index.pending().find((entry) => entry.spki === csr.spki),
        claimant: claimants[0]?.key,
        inFlight: undefined,
        opensAt: (entry) => opensByStatus(device, entry),
      });
      if (refusal !== undefined) return { refused: 'rival', message: explain(refusal.code, refusal.found) };
      const first = firstWithSerial(device);
      if (first === undefined) return { csr };
      return { refused: 'rival', message: explain('HR-ID-030', `Device ${first} has the same serial number and was first`) };
    },
    underWay: (device) =>
      (device.uid === '' ? requests.registering(device.key) : requests.ownedBy(device.uid)).filter(
        ({ est, state }) => est !== undefined && (state === 'new' || state === 'approved'),
      ).length,
    progress(asked, csr) {
      const device = asOfNow(asked);
      const request = requestOf(device, csr);
      if (request === undefined) return fromStatus(goodLeaf(device, csr, device.certificate), device, deps.clock.now());
      if (request.state === 'denied' || request.state === 'failed')
        return { state: 'refused', message: request.message || `CertificateRequest ${request.name} was ${request.state}` };
      if (request.state === 'new') return { state: 'asked' };
      const leaf = request.state === 'issued' ? goodLeaf(device, csr, request.certificate) : undefined;
      return leaf === undefined ? { state: 'pending' } : { state: 'issued', certificate: leaf.pem };
    },
    async request(device, csr, proof, evidence, signal) {
      try {
        const issuer = issuerOf(device);
        const wanted =
          evidence === undefined ? newEstRequest(device, csr, issuer, proof) : newRegistrationRequest(device, csr, issuer, proof, evidence);
        requests.note(requestFacts(await client.create<CertificateRequest>(CERTIFICATE_REQUESTS, wanted, signal)));
      } catch (error) {
        // Made by another replica, or by this one before a crash: the watch will show it.
        if (!isAlreadyExists(error)) throw error;
      }
    },
    onChange(device, listener) {
      listeners.set(listener, device);
      return () => void listeners.delete(listener);
    },
  };
}

/** Whether the Device was made for this request. */
function isMaking(device: EstDevice, request: RequestFacts): boolean {
  return request.registers?.device === device.name && request.namespace === device.namespace;
}

/** The client lost the answer, and the request was tidied up since. In the renewal window the same key asks for a new certificate instead. */
function fromStatus(leaf: { pem: string; entry: LedgerEntry } | undefined, device: EstDevice, now: number): Progress {
  if (leaf === undefined || leaf.entry.segment !== device.subject?.organizationalUnit) return { state: 'none' };
  if (now >= opensByStatus(device, leaf.entry)) return { state: 'none' };
  return { state: 'issued', certificate: leaf.pem };
}

/** Never later than what the status says. */
function opensByStatus(device: EstDevice, entry: LedgerEntry): number {
  const regular = renewAt(entry, device);
  return device.shown?.sha256 === entry.sha256 ? Math.min(regular, device.shown.renewAt) : regular;
}

function shownOf(status: Device['status']): EstDevice['shown'] {
  const { fingerprint, renewAt: at } = status?.identity ?? {};
  const ms = Date.parse(at ?? '');
  return fingerprint === undefined || Number.isNaN(ms) ? undefined : { sha256: fingerprint, renewAt: ms };
}

function projectDevice(): (device: Device) => EstDevice {
  const project = createDeviceProjection();
  return (device) => ({
    ...project(device),
    segment: device.spec.segment,
    revoked:
      device.spec.lifecycle === 'Revoked' ||
      (device.status?.conditions ?? []).some((condition) => condition.type === 'Revoked' && condition.status !== 'False'),
    shown: shownOf(device.status),
  });
}

type LedgerPage = Projected & { page: Page | undefined; problem: string | undefined };

function projectPage(object: CertificateLedger): LedgerPage {
  const { name = '', namespace = '', uid = '', resourceVersion = '' } = object.metadata;
  const common = { key: keyOfRef({ name, namespace }), uid, resourceVersion };
  try {
    return { ...common, page: readPage(object), problem: undefined };
  } catch (error) {
    if (!(error instanceof LedgerBroken)) throw error;
    return { ...common, page: undefined, problem: error.message };
  }
}

function takePage(index: LedgerIndex, { before, after }: Change<LedgerPage>): void {
  if (before?.page !== undefined && after?.page === undefined) index.removePage(before.page.name);
  if (after?.page !== undefined) index.setPage(after.page);
}
