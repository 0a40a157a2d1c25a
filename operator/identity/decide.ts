// The next step of a Device's certificate, from plain data. Pure: no I/O, no clock. The controller takes the step, looks again and asks again.
import { done, type Outcome } from '../runtime/outcome.ts';
import { decideCsr, unrecordedOwn } from './decide-csr.ts';
import { decideEst, decideEstRequests, unfinishedEst, unrecordedEst, withTidyUp } from './decide-est.ts';
import { decideExisting, existingVerdict } from './decide-existing.ts';
import { decideManaged, unrecorded } from './decide-managed.ts';
import { decideMoved } from './decide-moved.ts';
import { decideCompromised } from './decide-rotation.ts';
import type { DeviceFacts, IssuerRef } from './device-facts.ts';
import { ERRORS, explain, type IdentityCode, reasonOf } from './errors.ts';
import type { ExistingVerdict } from './existing.ts';
import { type IssuedVia, isGraver, type LedgerEntry, type PendingEntry, type RevocationReason } from './ledger-entry.ts';
import type { ManagedFacts } from './managed-facts.ts';
import { opensAt, type Rotation } from './renewal.ts';
import type { RequestFacts } from './request-facts.ts';

export type Lifecycle = 'Active' | 'Quarantined' | 'Revoked';
export type Verdict = { status: 'True' | 'False' | 'Unknown'; reason: string; message: string };
export type IssuerFacts = { ref: IssuerRef; key: string; state: 'missing' | 'notReady' | 'ready'; message: string };

/** `new`: in no bundle yet. `waiting`: in the bundle, but the broker was not seen to use it. */
export type TrustState = 'none' | 'new' | 'waiting' | 'trusted';

export type Input = {
  /** ms since the epoch. */
  now: number;
  device: DeviceFacts;
  lifecycle: Lifecycle;
  ledger: { synced: boolean; problem: string | undefined };
  /** What people asked for by hand: that this Device renews, or gives its keys up. */
  rotation: Rotation | undefined;
  /** Entries of this Device's name; those of a namesake that is gone have another uid. */
  ofDevice: LedgerEntry[];
  /** Entries of any Device for a key. */
  ofKey: (spki: string) => LedgerEntry[];
  pendingOfKey: (spki: string) => PendingEntry | undefined;
  /** Whoever has the serial number or the key of this Device and was first. */
  firstWithSerial: string | undefined;
  firstWithKey: string | undefined;
  /** Another Device whose spec.identity.csr proves that it holds this key. */
  claimantOfKey: (spki: string) => string | undefined;
  /** Another Device for which a request of the EST server is under way with this key; `than` = which must have come before. */
  keyInFlight: (spki: string, than?: RequestFacts) => string | undefined;
  issuer: IssuerFacts;
  /** Identities beside ours that may approve requests to this issuer. */
  openApprovers: string[];
  /** Requests that this Device, or its Certificate, owns. */
  requests: RequestFacts[];
  /** Somebody else's request that has the name of the one we tried to create a moment ago. */
  nameTaker: RequestFacts | undefined;
  managed: ManagedFacts | undefined;
  /** How far the CA that signed an issued request is trusted; `none`: nobody keeps account of it. */
  trust: (request: RequestFacts) => TrustState;
  /** Our own user name at the API server, and cert-manager's. */
  self: string;
  certManager: string;
  /** The user name of the EST server, when there is one. */
  est: string | undefined;
  /** MD5 of the certificate with which the broker shows the Device connected, while it has rules of its own there. */
  connectedWith?: string | undefined;
  /** The caches were compared with the API server for this question. */
  looked: boolean;
};

export type Answer = {
  outcome: Outcome;
  certified: Verdict;
  /** The certificate that status.identity describes. */
  entry?: LedgerEntry | undefined;
  /** PEM for status.certificate. */
  certificate?: string | undefined;
  /** Requests to delete after the status was written. */
  cleanup: RequestFacts[];
};

export type Decision =
  | { do: 'create'; attempt: number }
  | { do: 'approve'; request: RequestFacts }
  | { do: 'deny'; request: RequestFacts; message: string }
  /** Approve after the key was written down: cert-manager hands a Managed certificate out before we can see it. */
  | { do: 'recordKey'; request: RequestFacts; spki: string }
  /** Put the CA that signed it into the bundle of those that brokers trust. */
  | { do: 'announce'; request: RequestFacts }
  | { do: 'record'; request: RequestFacts; pendingId?: string; via?: IssuedVia }
  /** A certificate that another CA made. */
  | { do: 'recordExisting'; existing: Extract<ExistingVerdict, { ok: true }> }
  | { do: 'revoke'; ids: string[]; reason: RevocationReason; by?: string }
  | { do: 'delete'; request: RequestFacts }
  | { do: 'applyCertificate' }
  | { do: 'reissue'; because?: string }
  /** Compare the caches with the API server before something is concluded from absence. */
  | { do: 'look' }
  | { do: 'answer'; answer: Answer };

export function decide(input: Input): Decision {
  const { device, ledger } = input;
  if (ledger.problem !== undefined) return stall(input, 'HR-ID-040', ledger.problem);
  if (!ledger.synced) return wait(input, 'HR-ID-041', 2_000);
  const lost = decideCompromised(input);
  if (lost !== undefined) return lost;
  if (input.lifecycle === 'Revoked') return decideRevoked(input);
  const moved = decideMoved(input);
  if (moved !== undefined) return moved;
  if (input.openApprovers.length > 0) return decideOpenApprovers(input);
  if (device.subject === undefined) return stall(input, 'HR-ID-012');
  return decideEstRequests(input) ?? withTidyUp(input, byEnrollment(input));
}

function byEnrollment(input: Input): Decision {
  const { enrollment } = input.device;
  if (enrollment === 'CSR') return decideCsr(input);
  if (enrollment === 'Managed') return decideManaged(input);
  return enrollment === 'EST' ? decideEst(input) : decideExisting(input);
}

/** Everything the Device ever got is revoked; what is under way is stopped. Cleared only by another lifecycle and a new key. */
function decideRevoked(input: Input): Decision {
  const seen = [input.device.enrollment === 'Managed' ? unrecorded(input) : unrecordedOwn(input), unrecordedEst(input)];
  const record = seen.find((step) => step?.do === 'record');
  if (record !== undefined) return record;
  const mine = input.ofDevice.filter((entry) => entry.deviceUid === input.device.uid);
  // A move left the key of a certificate good; this does not.
  const open = [...valid(input), ...mine.filter((entry) => entry.revoked !== undefined && isGraver('Revoked', entry.revoked))];
  if (open.length > 0) return { do: 'revoke', ids: open.map((entry) => entry.id), reason: 'Revoked' };
  const unfinished =
    input.requests.find((request) => request.owner?.kind === 'Device' && request.username === input.self) ?? unfinishedEst(input);
  if (unfinished !== undefined) return { do: 'delete', request: unfinished };
  const revoked = mine.filter((entry) => entry.revoked !== undefined);
  const message =
    revoked.length === 0
      ? 'the Device is revoked and never had a certificate'
      : `${revoked.length} certificate(s) of this Device are revoked in the ledger${onForeignList(revoked)}`;
  return {
    do: 'answer',
    answer: { outcome: done, certified: { status: 'False', reason: 'Revoked', message }, entry: latest(revoked), cleanup: [] },
  };
}

/** Ban, EST and ledger know it. A list of revoked certificates is made by the CA that signed them (RFC 5280 §5). */
function onForeignList(revoked: LedgerEntry[]): string {
  const serials = revoked.filter((entry) => entry.via === 'Existing').map((entry) => entry.serial);
  return serials.length === 0 ? '' : `; ${serials.slice(0, 3).join(', ')} of another CA is on no CRL of ours: have that CA revoke it too`;
}

/** Nothing that this issuer signs can be told from what somebody else had it sign, so even a good certificate does not make the Device Ready. */
function decideOpenApprovers(input: Input): Decision {
  const who = input.openApprovers.slice(0, 5).join(', ');
  const message = explain('HR-ID-022', `${who} may approve requests to ${input.issuer.key}`);
  const reason = reasonOf('HR-ID-022');
  return answered(input, { kind: 'stalled', reason, message }, { status: 'False', reason, message });
}

/** Unrevoked, unexpired certificates of this very Device. */
export function valid(input: Input): LedgerEntry[] {
  return input.ofDevice.filter((entry) => entry.deviceUid === input.device.uid && isValid(entry, input.now));
}

export function isValid(entry: LedgerEntry, now: number): boolean {
  return entry.revoked === undefined && Date.parse(entry.notAfter) > now;
}

/** The certificate that the Device was given and that still holds. */
export function current(input: Input): LedgerEntry | undefined {
  const { device } = input;
  if (device.enrollment !== 'CSR') return latest(valid(input));
  return device.handedOut === undefined ? undefined : valid(input).find((entry) => entry.sha256 === device.handedOut);
}

/** When the renewal window of a certificate of this Device opens, ms. */
export function windowOf({ device, rotation }: Pick<Input, 'device' | 'rotation'>, entry: LedgerEntry): number {
  return opensAt(entry, device, rotation);
}

export function latest(entries: LedgerEntry[]): LedgerEntry | undefined {
  let last: LedgerEntry | undefined;
  for (const entry of entries) if (last === undefined || Date.parse(entry.notBefore) >= Date.parse(last.notBefore)) last = entry;
  return last;
}

/** Only a change helps. A certificate that is valid stays so: a renewal that fails withdraws nothing (design/api.md). */
export function stall(input: Input, code: IdentityCode, found?: string, cure?: string): Decision {
  const reason = reasonOf(code);
  const message = found?.startsWith(code) ? found : explain(code, found, cure);
  return answered(input, { kind: 'stalled', reason, message }, withholding(input, reason, message));
}

/** It goes on by itself. */
export function wait(input: Input, code: IdentityCode | undefined, afterMs: number, found?: string, reason?: string): Decision {
  const why = reason ?? (code === undefined ? 'Issuing' : ERRORS[code].title);
  const message = code === undefined ? (found ?? '') : explain(code, found);
  return answered(input, { kind: 'waiting', afterMs, reason: why, message }, withholding(input, why, message));
}

/** Nothing is wrong with it; others are served first. */
export function inLine(input: Input, afterMs: number): Answer {
  const message = 'other devices are served first';
  const certified = withholding(input, 'Queued', message);
  const outcome = { kind: 'waiting' as const, afterMs, reason: 'Queued', message };
  return { outcome, certified, entry: current(input), certificate: input.device.certificate, cleanup: [] };
}

export function certifiedVerdict(entry: LedgerEntry): Verdict {
  return { status: 'True', reason: 'Issued', message: `certificate ${entry.serial} is valid until ${entry.notAfter}` };
}

/** No certificate, and nothing that the operator could do about it. */
export function withoutCertificate(code: IdentityCode, cure?: string): Verdict {
  return { status: 'False', reason: reasonOf(code), message: explain(code, undefined, cure) };
}

function withholding(input: Input, reason: string, message: string): Verdict {
  const entry = current(input);
  if (entry === undefined) return { status: 'False', reason, message };
  return entry.via === 'Existing' ? existingVerdict(entry) : certifiedVerdict(entry);
}

function answered(input: Input, outcome: Outcome, certified: Verdict): Decision {
  return { do: 'answer', answer: { outcome, certified, entry: current(input), certificate: input.device.certificate, cleanup: [] } };
}
