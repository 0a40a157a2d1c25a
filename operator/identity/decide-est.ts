// What the EST server asked for: approve or deny, record, show, tidy up; and how a device stands that enrols by EST. Pure.
// The EST server makes the same checks before it asks. They are made again here, because that process talks with strangers (docs/adr/0009-est.md).
import { done } from '../runtime/outcome.ts';
import { verifyCsr } from './csr.ts';
import {
  type Answer,
  certifiedVerdict,
  type Decision,
  type Input,
  isValid,
  latest,
  stall,
  valid,
  wait,
  windowOf,
  withoutCertificate,
} from './decide.ts';
import { untrustedCa } from './decide-ca.ts';
import type { DeviceFacts } from './device-facts.ts';
import { explain, type IdentityCode } from './errors.ts';
import { isKeyRevoked, type LedgerEntry, type PendingEntry } from './ledger-entry.ts';
import { estRequestName, type RequestFacts, registrationRequestName, USAGES } from './request-facts.ts';
import { certificateProblem, readCertificate } from './x509.ts';

/** So long the EST server finds the answer to a request, and a client that lost it may ask again. */
const KEPT_MS = 600_000;
const ISSUING_MS = 5_000;

/** The next step for a request of the EST server for this Device, however the Device enrols; undefined = none is due. */
export function decideEstRequests(input: Input): Decision | undefined {
  for (const request of estRequests(input)) {
    const step = stepFor(input, request);
    if (step !== undefined) return step;
  }
  return newlyIssued(input);
}

/** An answer, made again when the kept requests are to be tidied up. */
export function withTidyUp(input: Input, decision: Decision): Decision {
  const ages = estRequests(input).flatMap((request) => tidyAt(request) ?? []);
  if (ages.length === 0 || decision.do !== 'answer') return decision;
  const { outcome } = decision.answer;
  if (outcome.kind !== 'done' && outcome.kind !== 'requeue') return decision;
  const soonest = Math.max(0, Math.min(...ages) - input.now);
  if (outcome.kind === 'requeue' && outcome.afterMs <= soonest) return decision;
  return { do: 'answer', answer: { ...decision.answer, outcome: { kind: 'requeue', afterMs: soonest, reason: 'TidyUp' } } };
}

/** A device whose first certificate comes by EST: the EST server and the device do the rest. */
export function decideEst(input: Input): Decision {
  const now = latest(valid(input));
  if (now !== undefined) {
    const due = [windowOf(input, now), Date.parse(now.notAfter)].find((at) => at > input.now) ?? input.now;
    const outcome = { kind: 'requeue' as const, afterMs: due - input.now, reason: 'RenewalDue' };
    return answer(input, { outcome, certified: certifiedVerdict(now), entry: now });
  }
  if (input.est === undefined) return stall(input, 'HR-ID-064');
  const foreign = estRequests(input).find((request) => request.state === 'issued');
  if (foreign !== undefined && !isRecorded(input, foreign)) return notAsAsked(input, foreign);
  if (input.firstWithSerial !== undefined)
    return stall(input, 'HR-ID-030', `Device ${input.firstWithSerial} has the same serial number and was first`);
  // It goes on when cert-manager has signed; for that moment a status that says "awaiting enrolment" would be one more write.
  if (estRequests(input).some(({ state }) => state === 'new' || state === 'approved'))
    return wait(input, undefined, ISSUING_MS, 'the certificate is being made', 'Issuing');
  const mine = input.ofDevice.filter((entry) => entry.deviceUid === input.device.uid);
  const expired = latest(mine.filter((entry) => entry.revoked === undefined));
  const code =
    expired !== undefined ? 'HR-ID-062' : mine.some((entry) => entry.revoked?.reason === 'Compromised') ? 'HR-ID-065' : 'HR-ID-061';
  return answer(input, { outcome: done, certified: withoutCertificate(code), entry: expired });
}

function answer(input: Input, made: Pick<Answer, 'outcome' | 'certified' | 'entry'>): Decision {
  return { do: 'answer', answer: { ...made, certificate: input.device.certificate, cleanup: [] } };
}

function notAsAsked(input: Input, request: RequestFacts): Decision {
  const problem = problemOf(input, request) ?? 'it was not recorded';
  return stall(input, 'HR-ID-026', `the certificate of CertificateRequest ${request.name} was not handed out: ${problem}`);
}

/** Those that the EST server made for this very Device, the oldest first. */
export function estRequests(input: Input): RequestFacts[] {
  return input.requests
    .filter((request) => isFromEst(input, request) && isFor(input.device, request))
    .sort((a, b) => (a.createdAt + a.uid < b.createdAt + b.uid ? -1 : 1));
}

/** Owned by this very Device; or the one that this very Device was made for, just in time. */
function isFor(device: DeviceFacts, request: RequestFacts): boolean {
  if (request.owner !== undefined) return request.owner.kind === 'Device' && request.owner.uid === device.uid;
  const { name, namespace, factory } = device;
  return request.registers?.device === name && request.namespace === namespace && request.uid === factory?.request;
}

export function isFromEst(input: Pick<Input, 'est'>, request: RequestFacts): boolean {
  return input.est !== undefined && request.username === input.est;
}

function stepFor(input: Input, request: RequestFacts): Decision | undefined {
  const tidy = tidyAt(request);
  const forgettable = tidy !== undefined && tidy <= input.now;
  switch (request.state) {
    case 'new': {
      if (hasBusySibling(input, request)) return undefined;
      const refusal = refusalOf(input, request);
      return refusal === undefined ? { do: 'approve', request } : { do: 'deny', request, message: refusal };
    }
    case 'approved':
      return undefined;
    case 'issued':
      if (!isRecorded(input, request) && problemOf(input, request) === undefined)
        return untrustedCa(input, request) ?? { do: 'record', request, via: 'EST' };
      return forgettable ? { do: 'delete', request } : undefined;
    default:
      return forgettable ? { do: 'delete', request } : undefined;
  }
}

/** When a request has served, ms; counted from the answer to it. */
function tidyAt(request: RequestFacts): number | undefined {
  if (request.state === 'new' || request.state === 'approved') return undefined;
  return Date.parse(request.failedAt ?? request.createdAt) + KEPT_MS;
}

/** Two requests for one key: the second is looked at when the certificate of the first is known. */
function hasBusySibling(input: Input, request: RequestFacts): boolean {
  return estRequests(input).some(
    (other) =>
      other.uid !== request.uid &&
      other.spki === request.spki &&
      (other.state === 'approved' || (other.state === 'issued' && !isRecorded(input, other) && problemOf(input, other) === undefined)),
  );
}

/** Why a request is not approved, with its code; undefined when it is exactly what the EST server may ask for. */
function refusalOf(input: Input, request: RequestFacts): string | undefined {
  const { device } = input;
  const verdict = verdictOf(device, input.issuer.key, request);
  if (typeof verdict === 'string') return verdict;
  const wrong = proofProblem(input, request);
  if (wrong !== undefined) return notApproved(request, wrong);
  if (input.firstWithSerial !== undefined)
    return explain('HR-ID-030', `Device ${input.firstWithSerial} has the same serial number and was first`);
  const refusal = keyRefusal({
    now: input.now,
    device,
    entries: input.ofKey(verdict.spki),
    pending: input.pendingOfKey(verdict.spki),
    claimant: input.claimantOfKey(verdict.spki),
    inFlight: input.keyInFlight(verdict.spki, request),
    opensAt: (entry) => windowOf(input, entry),
  });
  return refusal === undefined ? undefined : explain(refusal.code, refusal.found);
}

/** The request as it may be for this Device, whatever the Device proved; or why it is none, with the code. */
export function verdictOf(device: DeviceFacts, issuer: string, request: RequestFacts): { spki: string } | string {
  if (device.subject === undefined) return explain('HR-ID-012');
  const verdict = verifyCsr(request.pem, device.subject);
  if (!verdict.ok) return explain(verdict.code);
  const nameOf = request.registers === undefined ? estRequestName : registrationRequestName;
  const wrong =
    (verdict.pem === request.pem ? undefined : 'it is not in our encoding') ??
    (request.name === nameOf(device, verdict.hash, request.issuer) ? undefined : 'its name does not belong to its content') ??
    (request.isCa ? 'it asks for a CA certificate' : undefined) ??
    (request.usages === USAGES.join(',') ? undefined : 'it asks for other usages') ??
    (request.issuer === issuer ? undefined : `it goes to ${request.issuer}`) ??
    (request.durationMs === device.durationMs ? undefined : 'it asks for another duration');
  return wrong === undefined ? { spki: verdict.spki } : notApproved(request, wrong);
}

function notApproved(request: RequestFacts, wrong: string): string {
  return explain('HR-ID-063', `CertificateRequest ${request.name} was not approved: ${wrong}`);
}

function proofProblem({ device, ofDevice }: Input, { est }: RequestFacts): string | undefined {
  if (est === undefined) return 'it does not say how the device proved itself';
  if (est.how !== 'Certificate' && device.bootstrap !== est.how) return `the device may not prove itself by ${est.how}`;
  if (est.how === 'Token') return undefined;
  if (est.how === 'Manufacturer') return isFactoryOf(device, est) ? undefined : 'the factory certificate is not the one of this device';
  const known = ofDevice.find((entry) => entry.sha256 === est.sha256 && entry.deviceUid === device.uid);
  if (known === undefined) return 'the certificate that the device came with is not in the ledger';
  return known.revoked === undefined ? undefined : 'the certificate that the device came with is revoked';
}

/** Whether a factory certificate under this CA, with this key, may speak for the Device: where it stands for a certain one, for that one only. */
export function isFactoryOf({ factory }: Pick<DeviceFacts, 'factory'>, found: { ca: string; key: string }): boolean {
  return (factory?.ca === undefined || factory.ca === found.ca) && (factory?.key === undefined || factory.key === found.key);
}

export type KeyFacts = {
  now: number;
  device: DeviceFacts;
  /** Of the ledger, for this key. */
  entries: LedgerEntry[];
  pending: PendingEntry | undefined;
  /** Another Device whose spec.identity.csr has this key. */
  claimant: string | undefined;
  /** Another Device that asks for a certificate of this key at this moment. */
  inFlight: string | undefined;
  /** When the renewal window of a certificate of this Device opens, ms. */
  opensAt: (entry: LedgerEntry) => number;
};

/** One key, one Device, one certificate inside one validity (docs/adr/0006-ledger-and-issuance.md). The EST server asks too, before it asks for anything. */
export function keyRefusal(facts: KeyFacts): { code: IdentityCode; found?: string } | undefined {
  const { device, entries, now } = facts;
  if (isKeyRevoked(entries, device.uid)) return { code: 'HR-ID-032' };
  const holder =
    entries.find((entry) => entry.deviceUid !== device.uid && isValid(entry, now))?.device ??
    facts.pending?.device ??
    facts.claimant ??
    facts.inFlight;
  if (holder !== undefined) return { code: 'HR-ID-031', found: `Device ${holder} has the same public key` };
  // Another CA's certificate for this key is what ours takes the place of.
  const last = latest(entries.filter((entry) => isValid(entry, now) && entry.via !== 'Existing'));
  if (last === undefined || now >= facts.opensAt(last)) return undefined;
  const opens = new Date(facts.opensAt(last)).toISOString();
  return {
    code: 'HR-ID-033',
    found: `this key has certificate ${last.serial} until ${last.notAfter}; its renewal window opens at ${opens}`,
  };
}

function problemOf({ device, now }: Input, request: RequestFacts): string | undefined {
  const facts = readCertificate(request.certificate ?? '');
  if (facts === undefined || device.subject === undefined) return 'it does not read';
  // The segment of then: a device that moved meanwhile has this certificate all the same, and it is recorded under the OU that it has.
  const organizationalUnit = /^OU=([a-z0-9-]+\.[a-z0-9-]+)$/m.exec(facts.subject)?.[1] ?? device.subject.organizationalUnit;
  return certificateProblem(facts, {
    subject: { ...device.subject, organizationalUnit },
    spki: request.spki ?? '',
    durationMs: request.durationMs ?? 0,
    now,
  });
}

function isRecorded(input: Input, request: RequestFacts): boolean {
  return entryOf(input, request) !== undefined;
}

function entryOf(input: Input, request: RequestFacts): LedgerEntry | undefined {
  const facts = readCertificate(request.certificate ?? '');
  return facts === undefined ? undefined : input.ofKey(facts.spki).find((entry) => entry.sha256 === facts.sha256);
}

/** A recorded certificate that is newer than the one the status shows: the status shall show it. */
function newlyIssued(input: Input): Decision | undefined {
  const { device } = input;
  // What a Managed device has in its Secret is what its status tells of.
  if (device.enrollment === 'Managed') return undefined;
  const requests = estRequests(input).filter((request) => request.state === 'issued');
  const shownEntry = valid(input).find((entry) => entry.sha256 === device.handedOut);
  let newest: Issued | undefined;
  let last: Issued | undefined = shownEntry && {
    entry: shownEntry,
    request: requests.find((request) => entryOf(input, request)?.sha256 === shownEntry.sha256),
  };
  for (const request of requests) {
    const entry = entryOf(input, request);
    if (entry === undefined || entry.deviceUid !== device.uid || !isValid(entry, input.now)) continue;
    if (last === undefined || isNewer({ entry, request }, last)) last = newest = { entry, request };
  }
  if (newest === undefined) return undefined;
  const { request, entry } = newest;
  const outcome = {
    kind: 'requeue' as const,
    afterMs: Math.max(1_000, windowOf(input, entry) - input.now),
    reason: 'RenewalDue',
  };
  return {
    do: 'answer',
    answer: { outcome, certified: certifiedVerdict(entry), entry, certificate: request?.certificate, cleanup: [] },
  };
}

type Issued = { entry: LedgerEntry; request: RequestFacts | undefined };

/** Certificates begin at whole seconds. Of two in one second the later answer counts; one whose request is gone is older than one whose request is there. */
function isNewer(a: Issued, b: Issued): boolean {
  const [from, to] = [Date.parse(b.entry.notBefore), Date.parse(a.entry.notBefore)];
  if (from !== to) return to > from;
  // Resource versions of one kind may be compared as numbers (KEP-5504).
  return Number(a.request?.resourceVersion ?? 0) > Number(b.request?.resourceVersion ?? 0);
}

/** What a revoked Device asked for by EST and did not get yet. */
export function unfinishedEst(input: Input): RequestFacts | undefined {
  return estRequests(input)[0];
}

/** A certificate that was signed for the EST server and that the ledger has not seen: so that the revocation finds it. */
export function unrecordedEst(input: Input): Decision | undefined {
  for (const request of estRequests(input)) {
    if (request.state !== 'issued' || isRecorded(input, request)) continue;
    if (readCertificate(request.certificate ?? '') !== undefined) return { do: 'record', request, via: 'EST' };
  }
  return undefined;
}

/** Whether the key of spec.identity.csr has given way to one that the device enrolled by EST: the manifest is not a wish to go back. */
export function isRenewedByEst(entry: LedgerEntry, csrKey: string | undefined): boolean {
  return entry.via === 'EST' && entry.replaces === csrKey;
}
