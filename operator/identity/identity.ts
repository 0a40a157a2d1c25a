// The door of the identity room: a Device's certificate from request to revocation. The room itself is room.ts.
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
import type { Lifecycle, Verdict } from './decide.ts';
import { isFactoryOf } from './decide-est.ts';
import type { Renewal } from './decide-rotation.ts';
import { oid, sequenceLike, TAG, tlv } from './der.ts';
import { createDeviceProjection, DEVICE_INDEXES, type DeviceFacts as Facts, type IssuerRef } from './device-facts.ts';
import { type DriverApprover as DriverApproverPart, createDriverApprover as driverApprover } from './driver-approver.ts';
import {
  type DriverCertificate as DriverCertificatePart,
  type DriverWish as DriverWishPart,
  obtainDirectiveKey as obtainDirective,
  obtainDriverCertificate as obtainDriver,
} from './driver-certificate.ts';
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
import type { Ledger as CertificateLedger } from './ledger.ts';
import type { LedgerEntry as Entry } from './ledger-entry.ts';
import { type OwnCertificate as OwnCertificatePart, obtainOwn } from './own-certificate.ts';
import type { FactoryIdentity as FactoryIdentityPart } from './registered-device.ts';
import { type Registration as RegistrationPart, createRegistration as registrationOf } from './registration.ts';
import { isBefore, type Rotation as StandingRotation } from './renewal.ts';
import type { EstProof as Proof, RequestFacts } from './request-facts.ts';
import type { Requests } from './requests.ts';
import {
  type PageRevocations as PageRevocationsPart,
  type RevokedCertificate as RevokedPart,
  revocationsOf as revocationsOfPage,
} from './revocations.ts';
import { createRoom } from './room.ts';
import { whoAmI as selfName } from './self.ts';
import { type Subject as DictatedSubject, relativeNames } from './subject.ts';
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
/** As much of DER as EST and CRL servers write. */
export const der = { oid, sequenceLike, TAG, tlv };

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

/** For the client by which the operator tries the broker. */
export const obtainOwnCertificate = obtainOwn;
export type OwnCertificate = OwnCertificatePart;

/** Who of the drivers of rollouts gets a certificate. */
export const createDriverApprover = driverApprover;
export type DriverApprover = DriverApproverPart;
/** For the driver of a rollout, a process of its own. */
export const obtainDriverCertificate = obtainDriver;
export const obtainDirectiveKey = obtainDirective;
export type DriverCertificate = DriverCertificatePart;
export type DriverWish = DriverWishPart;

/** The CAs that brokers must trust, for as long as the ledger needs them. */
export const createAuthorities = authoritiesOf;
/** The user name of this process at the API server. */
export const whoAmI = selfName;

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
  /** Who beside the operator may approve for `<kind>/<namespace>/<name>` and is not accepted; undefined while the caches are not filled. */
  openApprovers(issuer: string): readonly string[] | undefined;
  /** Called when `openApprovers` says something else of an issuer that was asked about. */
  onApprovers(listener: () => void): void;
  /** Called when something that a Device waits for may have come. */
  onDeviceWake(wake: (device: Key) => void): void;
  /** Called with the certificates that were revoked because their Devices are gone. */
  onRetired(listener: (entries: readonly Entry[]) => void): void;
}

export const createIdentity: (deps: IdentityDeps) => Identity = createRoom;
