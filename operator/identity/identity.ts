// The door of the identity room: a Device's certificate from request to revocation. Observe, decide, act, until there is an answer.
import type { DeviceStatus } from '../api/device.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Key } from '../kube/object.ts';
import type { KubeMetrics, Random } from '../kube/ports.ts';
import type { Change } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Outcome } from '../runtime/outcome.ts';
import { type Authorities as AuthoritiesPart, createAuthorities as authoritiesOf } from './authorities.ts';
import { isSignedByOneOf, isValidAt, pathTo, readPem } from './chain.ts';
import { checkCsr as csrCheck, checkExisting as existingCheck, namesProblem as problemOfNames } from './check-manifest.ts';
import { commonNameOfCsr as commonNameOf, organizationalUnitOfCsr as organizationalUnitOf } from './csr.ts';
import {
  type Answer,
  type Decision,
  decide,
  type Input,
  type IssuerFacts,
  inLine,
  type Lifecycle,
  type TrustState,
  type Verdict,
} from './decide.ts';
import { isFactoryOf } from './decide-est.ts';
import { type Renewal, renewalOf } from './decide-rotation.ts';
import { oid, TAG, tlv } from './der.ts';
import { createDeviceProjection, DEVICE_INDEXES, type DeviceFacts as Facts, type IssuerRef } from './device-facts.ts';
import { type EnrollmentPolicy as EnrollmentPolicyPart, matchesAnyPattern } from './enrollment-policy.ts';
import {
  type GoodCsr as EnrolmentCsr,
  type EstDevice as EnrolmentDevice,
  type Enrolment as EnrolmentPart,
  createEnrolment as enrolmentOf,
} from './enrolment.ts';
import { explain } from './errors.ts';
import { type Evidence as EvidencePart, evidenceOf, factoryIdentity, factoryKeyOf, fingerprintOf } from './evidence.ts';
import { type FactoryFacts as FactoryFactsPart, factoryFacts } from './factory.ts';
import { createApprovers, createCertificates, createIssuers } from './foreign.ts';
import { type Ledger as CertificateLedger, CertificateLedgerLog } from './ledger.ts';
import { type LedgerEntry as Entry, isPending } from './ledger-entry.ts';
import type { ManagedFacts } from './managed-facts.ts';
import type { FactoryIdentity as FactoryIdentityPart } from './registered-device.ts';
import { type Registration as RegistrationPart, createRegistration as registrationOf } from './registration.ts';
import { isBefore, opensAt, type Rotation as StandingRotation } from './renewal.ts';
import { deviceKeyOf, type EstProof as Proof, type RequestFacts } from './request-facts.ts';
import { createRequests, keyInFlight, type Requests } from './requests.ts';
import { retireOrphans } from './retire.ts';
import {
  type PageRevocations as PageRevocationsPart,
  type RevokedCertificate as RevokedPart,
  revocationsOf as revocationsOfPage,
} from './revocations.ts';
import { firstOf, sameMaker } from './rivals.ts';
import { whoAmI } from './self.ts';
import { type Signer, signerOf } from './signer.ts';
import { deleteRequest, takeStep } from './steps.ts';
import { type Subject as DictatedSubject, relativeNames } from './subject.ts';
import { createTurns } from './turns.ts';
import { type CertificateFacts as Facts509, readCertificate as factsOf } from './x509.ts';

/** For the EST server, a process of its own. */
export const createEnrolment = enrolmentOf;
export type Enrolment = EnrolmentPart;
export type EstDevice = EnrolmentDevice;
export type GoodCsr = EnrolmentCsr;
export type EstProof = Proof;
export type CertificateFacts = Facts509;
export const readCertificate = factsOf;
export type EnrollmentPolicy = EnrollmentPolicyPart;
export type Evidence = EvidencePart;
export type FactoryIdentity = FactoryIdentityPart;
export type FactoryFacts = FactoryFactsPart;
/** What a factory certificate says, and whose it is. */
export const factoryCertificates = {
  readPem,
  isSignedByOneOf,
  isValidAt,
  pathTo,
  factoryFacts,
  factoryIdentity,
  factoryKeyOf,
  fingerprintOf,
  evidenceOf,
  isFactoryOf,
  matchesAnyPattern,
};
export const organizationalUnitOfCsr = organizationalUnitOf;
/** A refusal of this room, for whoever passes it on. */
export const explainIdentity = explain;
export type Subject = DictatedSubject;
/** The names of a subject, in order. */
export const subjectNames = relativeNames;
/** As much of DER as EST writes. */
export const der = { oid, TAG, tlv };

export const commonNameOfCsr = commonNameOf;

/** For whoever writes manifests. */
export const checkCsr = csrCheck;
export const checkExisting = existingCheck;
export const namesProblem = problemOfNames;

/** Devices that become Devices by themselves. */
export const createRegistration = registrationOf;
export type Registration = RegistrationPart;

/** For the CRL server, a process of its own. */
export const revocationsOf = revocationsOfPage;
export type PageRevocations = PageRevocationsPart;
export type RevokedCertificate = RevokedPart;

/** The CAs that brokers must trust, for as long as the ledger needs them. */
export const createAuthorities = authoritiesOf;

export type LedgerEntry = Entry;
export type Rotation = StandingRotation;
/** Whether a Rotate that was created at `at` is about this certificate. */
export const isBeforeRotation = isBefore;
export type Ledger = CertificateLedger & { onChange(listener: () => void): void };
/** What the store of Devices must hold for this room; the composing room may add to it. */
export type DeviceFacts = Facts;
export const deviceIndexes = DEVICE_INDEXES;
export const deviceProjection = createDeviceProjection;

export type DeviceStore = {
  readonly synced: boolean;
  get(key: Key): DeviceFacts | undefined;
  values(): Iterable<DeviceFacts>;
  /** Indexes of `deviceIndexes`. */
  by(index: string, value: string): DeviceFacts[];
};

export type IdentityDeps = {
  client: KubeClient;
  /** The operator's own namespace: the ledger lives there. */
  namespace: string;
  /** A reflector of Devices, or what behaves like one. */
  devices: { readonly store: DeviceStore; subscribe(listener: (change: Change<DeviceFacts>) => void): void };
  defaultIssuer: IssuerRef;
  /** Identities beside the operator and system:masters that may approve device requests (`--accept-approver`). */
  acceptedApprovers?: string[];
  /** cert-manager's user name; only its requests are approved for Managed devices. */
  certManagerUser?: string;
  /** The user name of the EST server at the API server; only its requests count as such. */
  estUser?: string;
  /** Which CAs are trusted; without it nothing waits for the broker. */
  authorities?: Pick<AuthoritiesPart, 'state' | 'announce'>;
  /** How long the first entry of a group commit waits for others. */
  lingerMs?: number;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: KubeMetrics;
};

export type IdentityResult = {
  outcome: Outcome;
  certified: Verdict;
  identity?: DeviceStatus['identity'];
  /** PEM for status.certificate, also when it is the one that stands there already. */
  certificate?: string;
  /** After the status was written: deletes the requests that have served. */
  cleanup?: () => Promise<void>;
  /** When its renewal is late, and what is said of it then. */
  renewal?: Renewal | undefined;
  /** Others are before it in the line: nothing was done yet, and nothing need be said. */
  queued?: boolean;
};

export type EnsureContext = {
  signal?: AbortSignal;
  /** Who made the Device revoked, for the ledger: an Intervention, or spec.lifecycle. */
  by?: string;
  /** MD5 of the certificate with which the broker shows the Device connected, while it has rules of its own there. */
  connectedWith?: string;
  /** What people asked for by Interventions of action Rotate. */
  rotation?: Rotation | undefined;
};

export interface Identity {
  readonly ledger: Ledger;
  /** Of ours and of the EST server; for registration. */
  readonly requests: Requests;
  /** Called with every request that is new, has changed or is gone. */
  onRequest(listener: (request: RequestFacts) => void): void;
  /** Brings the certificate of one Device as far as it goes now. Single flight per Device is the caller's. */
  ensure(device: DeviceFacts, lifecycle: Lifecycle, context: EnsureContext): Promise<IdentityResult>;
  /** Revokes the certificates of Devices that are gone. Runs by itself; callable for tests and for haste. */
  retireOrphans(signal?: AbortSignal): Promise<void>;
  /** Watches and the ledger, until the signal. */
  run(signal: AbortSignal): Promise<void>;
  /** Called when something that a Device waits for may have come. */
  onDeviceWake(wake: (device: Key) => void): void;
  /** Called with the certificates that were revoked because their Devices are gone. */
  onRetired(listener: (entries: readonly Entry[]) => void): void;
}

/** An issuance takes five steps; more than this is a decision that never ends. */
const MOST_STEPS = 16;
/** Measured: with 24 as many as in the line before them, with 4 cert-manager waits for us. */
const MOST_UNAPPROVED = 2;
/** Whoever was woken may be gone, and then wakes nobody: so each looks again by itself. */
const LINE_MS = 5_000;
const RETIRE_EVERY_MS = 60_000;
const RETIRE_AGAIN_MS = 2_000;
/** Deletions come in groups (a namespace): compare once for all of them. */
const RETIRE_AFTER_MS = 150;
const CERT_MANAGER = 'system:serviceaccount:cert-manager:cert-manager';

export function createIdentity(deps: IdentityDeps): Identity {
  const { client, clock, log, devices } = deps;
  const certManager = deps.certManagerUser ?? CERT_MANAGER;
  let self: string | undefined;
  const wakers: ((device: Key) => void)[] = [];
  const retirementListeners: ((entries: readonly Entry[]) => void)[] = [];
  const wake = (device: Key): void => {
    for (const waker of wakers) waker(device);
  };
  /** Devices whose last answer was no certificate, and the issuer they would have it from. */
  const blocked = new Map<Key, string>();
  const wakeBlocked = (issuer?: string): void => {
    for (const [device, wants] of [...blocked]) if (issuer === undefined || wants === issuer) wake(device);
  };

  const shared = { client, clock, random: deps.random, log, metrics: deps.metrics };
  const ledger = new CertificateLedgerLog({
    client,
    namespace: deps.namespace,
    clock,
    log,
    ...(deps.lingerMs === undefined ? {} : { lingerMs: deps.lingerMs }),
  });
  const requestListeners: ((request: RequestFacts) => void)[] = [];
  const requests = createRequests(shared, (request, gone) => {
    for (const listener of requestListeners) listener(request);
    // Our own request is news only when cert-manager has answered it; a deletion only to who waits.
    const key = deviceKeyOf(request);
    const underWay = request.username === self && (request.state === 'new' || request.state === 'approved');
    if (gone ? blocked.has(key) : !underWay) wake(key);
  });
  const certificatesAhead = new Map<Key, ManagedFacts>();
  const certificates = createCertificates(shared, (key) => {
    certificatesAhead.delete(key);
    wake(key);
  });
  const issuers = createIssuers(shared, (issuer) => wakeBlocked(issuer));
  const accepted = (): ReadonlySet<string> =>
    new Set(['group:system:masters', ...(self === undefined ? [] : [self]), ...(deps.acceptedApprovers ?? [])]);
  const openNow = new Map<string, string>();
  const turns = createTurns(MOST_UNAPPROVED, wake);
  const approvers = createApprovers(shared, accepted, () => wakeWhereApproversChanged());
  const reflectors = [requests.reflector, certificates, ...issuers.reflectors, ...approvers.reflectors];
  const ready = (): boolean => self !== undefined && devices.store.synced && reflectors.every((reflector) => reflector.store.synced);

  function trust(request: RequestFacts): TrustState {
    const signer = deps.authorities === undefined ? undefined : signerOf(request.certificate ?? '', request.ca);
    return signer === undefined ? 'none' : (deps.authorities?.state(signer.id) ?? 'none');
  }

  function issuerOf(device: DeviceFacts): IssuerFacts {
    return issuers.state(device.issuerRef ?? deps.defaultIssuer, device.namespace);
  }

  function wakeWhereApproversChanged(): void {
    if (!ready()) return;
    for (const [issuer, before] of openNow) {
      const now = approvers.open(issuer).join();
      if (now === before) continue;
      openNow.set(issuer, now);
      for (const device of devices.store.values()) if (issuerOf(device).key === issuer) wake(device.key);
    }
  }

  function observe(device: DeviceFacts, lifecycle: Lifecycle, seen: Pick<Input, 'looked' | 'nameTaker' | 'rotation'>): Input {
    const issuer = issuerOf(device);
    const openApprovers = approvers.open(issuer.key);
    if (!openNow.has(issuer.key)) openNow.set(issuer.key, openApprovers.join());
    const shown = certificates.store.get(device.key);
    const managed = device.enrollment === 'Managed' ? (certificatesAhead.get(device.key) ?? shown) : undefined;
    const hasCertificate = (other: DeviceFacts): boolean =>
      ledger.byDevice(`${other.name}.${other.namespace}`).some((entry) => entry.deviceUid === other.uid && entry.revoked === undefined);
    const withSerial =
      device.serial === undefined ? [] : sameMaker(device, devices.store.by('identitySerial', `${device.namespace}/${device.serial}`));
    const claimantOfKey = (spki: string): string | undefined =>
      devices.store.by('identityKey', spki).find((other) => other.uid !== device.uid)?.key;
    const withKey = device.csr?.ok
      ? devices.store.by('identityKey', device.csr.spki)
      : device.existing?.ok
        ? devices.store.by('identityExisting', device.existing.facts.spki)
        : [];
    return {
      now: clock.now(),
      device,
      lifecycle,
      ledger: { synced: ledger.synced, problem: ledger.problem },
      ofDevice: ledger.byDevice(`${device.name}.${device.namespace}`),
      ofKey: (spki) => ledger.bySpki(spki),
      pendingOfKey: (spki) => ledger.pending().find((entry) => entry.spki === spki),
      firstWithSerial: firstOf(device, withSerial, hasCertificate),
      firstWithKey: firstOf(device, withKey, hasCertificate),
      claimantOfKey,
      keyInFlight: (spki, than) =>
        keyInFlight(requests.withKey(spki), { est: deps.estUser, uid: device.uid, request: device.factory?.request }, than),
      issuer,
      openApprovers,
      requests: requestsOf(device, managed),
      managed,
      trust,
      self: self ?? '',
      certManager,
      est: deps.estUser,
      ...seen,
    };
  }

  function requestsOf(device: DeviceFacts, managed: ManagedFacts | undefined): RequestFacts[] {
    const madeFor = device.factory?.request;
    return [device.uid, managed?.uid, madeFor].flatMap((uid) => (uid === undefined || uid === '' ? [] : requests.ownedBy(uid)));
  }

  async function ensure(device: DeviceFacts, lifecycle: Lifecycle, context: EnsureContext): Promise<IdentityResult> {
    if (!ready()) return notReady(device, blocked);
    let turn = false;
    const mayGoOn = (step: Decision['do']): boolean => {
      if (!turn && (step === 'create' || step === 'approve')) turn = turns.take(device.key);
      return turn || (step !== 'create' && step !== 'approve');
    };
    try {
      return await walk(device, lifecycle, context, mayGoOn);
    } finally {
      if (turn) turns.giveBack();
    }
  }

  const announce = async (signer: Signer): Promise<void> => await deps.authorities?.announce(signer);

  async function walk(
    device: DeviceFacts,
    lifecycle: Lifecycle,
    context: EnsureContext,
    mayGoOn: (step: Decision['do']) => boolean,
  ): Promise<IdentityResult> {
    const { connectedWith } = context;
    let seen: Pick<Input, 'looked' | 'nameTaker'> = { looked: false, nameTaker: undefined };
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const input = { ...observe(device, lifecycle, { ...seen, rotation: context.rotation }), connectedWith };
      const decision = decide(input);
      if (decision.do === 'answer') return finish(input, decision.answer);
      if (!mayGoOn(decision.do)) return { ...finish(input, inLine(input, LINE_MS)), queued: true };
      log.debug({ device: device.key, step: decision.do }, 'identity step');
      const taken = await takeStep(
        decision,
        {
          device,
          issuer: input.issuer,
          managed: input.managed,
          by: context.by ?? 'hedgerow',
          ...{ rotation: context.rotation, signal: context.signal },
        },
        {
          client,
          clock,
          ledger,
          requests,
          noteCertificate: (certificate) => certificatesAhead.set(certificate.key, certificate),
          announce,
        },
      );
      if (taken === 'behind') return notReady(device, blocked);
      seen = { looked: decision.do === 'look', nameTaker: typeof taken === 'object' ? taken.nameTaker : undefined };
    }
    throw new Error(`the certificate of ${device.key} did not come to an answer in ${MOST_STEPS} steps`);
  }

  function finish(input: Input, answer: Answer): IdentityResult {
    const { device, rotation } = input;
    const issuer = input.issuer.key;
    if (answer.outcome.kind === 'waiting' || answer.outcome.kind === 'stalled') blocked.set(device.key, issuer);
    else blocked.delete(device.key);
    const { entry, certificate, cleanup } = answer;
    return {
      outcome: answer.outcome,
      certified: answer.certified,
      ...(entry === undefined ? {} : { identity: statusIdentity(entry, device, rotation) }),
      renewal: renewalOf(input, answer),
      ...(certificate === undefined ? {} : { certificate }),
      ...(cleanup.length === 0
        ? {}
        : {
            cleanup: async () =>
              void (await Promise.all(cleanup.map((request) => deleteRequest(request, undefined, { client, requests })))),
          }),
    };
  }

  async function retire(signal?: AbortSignal): Promise<void> {
    const dead = await retireOrphans({ client, ledger, devices: devices.store }, clock.now(), signal);
    for (const { spki } of dead) wakeAll([...devices.store.by('identityKey', spki), ...devices.store.by('identityExisting', spki)]);
    const certificates = dead.flatMap((entry) => (isPending(entry) ? [] : [entry]));
    for (const listener of retirementListeners) listener(certificates);
    if (dead.length > 0) log.info({ certificates: dead.length }, 'certificates of Devices that are gone were revoked');
  }

  let retireSoon: { cancel(): void } | undefined;
  const tryRetire = (): void => {
    retireSoon = undefined;
    retire().catch((error: unknown) => {
      log.warn({ err: error }, 'could not retire certificates yet');
      if (retireSoon === undefined) retireSoon = clock.setTimer(RETIRE_AGAIN_MS, tryRetire);
    });
  };
  devices.subscribe(({ before, after }) => {
    if (before === undefined) return;
    if (after === undefined) {
      blocked.delete(before.key);
      certificatesAhead.delete(before.key);
      if (retireSoon === undefined) retireSoon = clock.setTimer(RETIRE_AFTER_MS, tryRetire);
    }
    // Whoever stood behind this Device may move up.
    if (before.serial !== undefined && before.serial !== after?.serial)
      wakeAll(devices.store.by('identitySerial', `${before.namespace}/${before.serial}`));
    const key = before.csr?.ok ? before.csr.spki : undefined;
    if (key !== undefined && !(after?.csr?.ok && after.csr.spki === key)) wakeAll(devices.store.by('identityKey', key));
    const existing = before.existing?.ok ? before.existing.facts.spki : undefined;
    if (existing !== undefined && !(after?.existing?.ok && after.existing.facts.spki === existing))
      wakeAll(devices.store.by('identityExisting', existing));
  });
  const wakeAll = (list: DeviceFacts[]): void => {
    for (const device of list) wake(device.key);
  };

  let healthy = false;
  ledger.onChange(() => {
    const now = ledger.synced && ledger.problem === undefined;
    if (now !== healthy) wakeBlocked();
    healthy = now;
  });

  async function run(signal: AbortSignal): Promise<void> {
    const watching = [...reflectors.map((reflector) => reflector.run(signal)), ledger.run(signal)];
    await Promise.all([...watching, learnSelf(signal), retireNowAndThen(signal)]);
  }

  async function learnSelf(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && self === undefined) {
      try {
        self = await whoAmI(client, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ err: error }, 'cannot ask the API server who this process is');
        await clock.sleep(2_000, signal).catch(() => undefined);
      }
    }
    await Promise.all(reflectors.map((reflector) => reflector.whenSynced(signal))).catch(() => undefined);
    if (!signal.aborted) wakeBlocked();
  }

  async function retireNowAndThen(signal: AbortSignal): Promise<void> {
    await Promise.all(reflectors.map((reflector) => reflector.whenSynced(signal))).catch(() => undefined);
    while (!signal.aborted) {
      tryRetire();
      const pauseMs = devices.store.synced && ledger.synced ? RETIRE_EVERY_MS : 500;
      await clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  }

  return {
    ledger,
    requests,
    onRequest: (listener) => void requestListeners.push(listener),
    ensure,
    retireOrphans: retire,
    run,
    onDeviceWake: (waker) => void wakers.push(waker),
    onRetired: (listener) => void retirementListeners.push(listener),
  };
}

/** A short pause in which the watches catch up. What the status says of the certificate stays as it is. */
function notReady(device: DeviceFacts, blocked: Map<Key, string>): IdentityResult {
  blocked.set(device.key, '');
  const message = 'the operator has not read everything it needs from the API server yet';
  return {
    outcome: { kind: 'waiting', afterMs: 500, reason: 'CachesNotSynced', message },
    certified: { status: 'Unknown', reason: 'CachesNotSynced', message },
    ...(device.certificate === undefined ? {} : { certificate: device.certificate }),
  };
}

function statusIdentity(entry: Entry, device: DeviceFacts, rotation: Rotation | undefined): NonNullable<DeviceStatus['identity']> {
  return {
    serialNumber: entry.serial,
    fingerprint: entry.sha256,
    notBefore: entry.notBefore,
    notAfter: entry.notAfter,
    renewAt: new Date(opensAt(entry, device, rotation)).toISOString(),
    issuer: entry.issuer,
    ...(entry.replaces === undefined || entry.replaces === entry.spki ? {} : { replacedKey: entry.replaces }),
    ...(entry.revoked === undefined ? {} : { revokedAt: entry.revoked.at, revocationSteps: [{ step: 'Ledger', at: entry.revoked.at }] }),
  };
}
