// The next step of a device whose key cert-manager makes: Certificate, approval of the requests cert-manager makes for it, ledger. Pure.
import { done } from '../runtime/outcome.ts';
import { verifyCsr } from './csr.ts';
import { certifiedVerdict, current, type Decision, type Input, isValid, stall, wait } from './decide.ts';
import { unannouncedCa } from './decide-ca.ts';
import { issuerObstacle } from './decide-csr.ts';
import { ERRORS } from './errors.ts';
import { isKeyRevoked, type LedgerEntry, pendingEntryId } from './ledger-entry.ts';
import { desiredCertificate, isAsDesired } from './managed-facts.ts';
import { isBefore } from './renewal.ts';
import { type RequestFacts, USAGES } from './request-facts.ts';
import type { Subject } from './subject.ts';
import { certificateProblem, readCertificate } from './x509.ts';

/** cert-manager's own limits for a Certificate (pkg/apis/certmanager/v1, MinimumCertificateDuration and MinimumRenewBefore). */
const LEAST_DURATION_MS = 3_600_000;
const LEAST_RENEW_BEFORE_MS = 300_000;

export function decideManaged(input: Input): Decision {
  const { device, managed, issuer } = input;
  const { subject } = device;
  if (subject === undefined) return stall(input, 'HR-ID-012');
  if (device.durationMs < LEAST_DURATION_MS || device.renewBeforeMs < LEAST_RENEW_BEFORE_MS || device.renewBeforeMs >= device.durationMs)
    return stall(input, 'HR-ID-051');
  if (input.firstWithSerial !== undefined)
    return stall(input, 'HR-ID-030', `Device ${input.firstWithSerial} has the same serial number and was first`);
  if (managed !== undefined && managed.ownerUid !== device.uid)
    return stall(input, 'HR-ID-050', `Certificate ${managed.name} does not belong to this Device`);
  if (managed === undefined || !isAsDesired(managed, desiredCertificate(device, subject, issuer.ref))) {
    // An issuer that is not there is said before anything is made for it.
    return (current(input) === undefined ? issuerObstacle(input) : undefined) ?? { do: 'applyCertificate' };
  }
  return unannounced(input) ?? unrecorded(input) ?? unapproved(input, subject) ?? decideCertificate(input);
}

/** A certificate that cert-manager signed and handed out and that the ledger has not seen: also of a Device that was revoked meanwhile, so that it can be banned. */
export function unrecorded(input: Input): Decision | undefined {
  for (const request of ofCertificate(input)) {
    const facts = request.state === 'issued' ? readCertificate(request.certificate ?? '') : undefined;
    if (facts === undefined || input.ofKey(facts.spki).some((entry) => entry.sha256 === facts.sha256)) continue;
    const { subject } = input.device;
    const asked = { spki: facts.spki, durationMs: request.durationMs ?? input.device.durationMs, now: input.now };
    const problem = subject === undefined ? undefined : certificateProblem(facts, { ...asked, subject: subjectOf(facts.subject, subject) });
    if (problem !== undefined) return stall(input, 'HR-ID-026', `the certificate of CertificateRequest ${request.name}: ${problem}`);
    return { do: 'record', request, pendingId: pendingEntryId(facts.spki) };
  }
  return undefined;
}

/** Its CA goes into the bundle before the entry that needs it there. */
function unannounced(input: Input): Decision | undefined {
  const step = unrecorded(input);
  return step?.do === 'record' ? unannouncedCa(input, step.request) : undefined;
}

/** A certificate of the segment before a move carries the OU of then: it is recorded all the same, under the OU that it has. */
function subjectOf(found: string, subject: Subject): Subject {
  const organizationalUnit = /^O=hedgerow\nOU=([a-z0-9.-]+)\nCN=/.exec(found)?.[1];
  return organizationalUnit === undefined ? subject : { ...subject, organizationalUnit };
}

/** Only cert-manager's own request for our own Certificate is approved: anybody who may create requests could name our Certificate as owner. */
function unapproved(input: Input, subject: Subject): Decision | undefined {
  const request = ofCertificate(input).find((candidate) => candidate.state === 'new');
  if (request === undefined) return undefined;
  const verdict = verifyCsr(request.pem, subject);
  const wrong =
    (request.username === input.certManager
      ? undefined
      : `it was made by ${request.username ?? 'somebody else'}, not by ${input.certManager}`) ??
    (verdict.ok ? undefined : `${verdict.code}, ${ERRORS[verdict.code].cause}`) ??
    (request.isCa ? 'it asks for a CA certificate' : undefined) ??
    (request.usages === USAGES.join(',') ? undefined : 'it asks for other usages') ??
    (request.issuer === input.issuer.key ? undefined : `it goes to ${request.issuer}`) ??
    ((request.durationMs ?? Number.POSITIVE_INFINITY) <= input.device.durationMs ? undefined : 'it asks for another duration');
  if (wrong !== undefined || !verdict.ok) return stall(input, 'HR-ID-052', `CertificateRequest ${request.name} was not approved: ${wrong}`);
  const entries = input.ofKey(verdict.spki);
  if (isKeyRevoked(entries, input.device.uid)) return stall(input, 'HR-ID-032');
  const pending = input.pendingOfKey(verdict.spki);
  const other =
    entries.find((entry) => entry.deviceUid !== input.device.uid && isValid(entry, input.now)) ??
    (pending?.deviceUid === input.device.uid ? undefined : pending);
  if (other !== undefined) return stall(input, 'HR-ID-031', `Device ${other.device} has the same public key`);
  return pending === undefined ? { do: 'recordKey', request, spki: verdict.spki } : { do: 'approve', request };
}

function decideCertificate(input: Input): Decision {
  const { managed } = input;
  const inSecret = entryInSecret(input);
  const now = inSecret ?? current(input);
  // The Secret outlives its Certificate: one that is found there without a request of ours behind it may be retired or revoked, so a new one is made.
  if (managed?.ready && !managed.issuing && inSecret === undefined)
    return tooSoon(input) ?? (input.looked ? { do: 'reissue' } : { do: 'look' });
  if (managed?.ready && !managed.issuing && inSecret !== undefined && input.rotation !== undefined && isBefore(inSecret, input.rotation.at))
    return tooSoon(input) ?? { do: 'reissue', because: 'a new key was asked for by hand' };
  if (managed?.ready && now !== undefined)
    return { do: 'answer', answer: { outcome: done, certified: certifiedVerdict(now), entry: now, cleanup: [] } };
  const issuer = issuerObstacle(input);
  if (issuer !== undefined) return issuer;
  return wait(input, undefined, 60_000, `Certificate ${input.device.name}: ${managed?.message || 'waiting for cert-manager'}`, 'Issuing');
}

/** Times of objects are whole seconds: a request of the same second as the Rotate would not count as later. */
function tooSoon(input: Input): Decision | undefined {
  const leftMs = Date.parse(input.rotation?.at ?? '') + SECOND_MS - input.now;
  return leftMs > 0 && leftMs <= SECOND_MS ? wait(input, undefined, leftMs, 'a new key is asked for in a second', 'Issuing') : undefined;
}
const SECOND_MS = 1_000;

/** The ledger's entry of what cert-manager put into the Secret last, if it still holds. */
function entryInSecret(input: Input): LedgerEntry | undefined {
  const request = ofCertificate(input)
    .filter((candidate) => candidate.state === 'issued')
    .sort((a, b) => b.revision - a.revision)[0];
  const facts = readCertificate(request?.certificate ?? '');
  if (facts === undefined) return undefined;
  return input
    .ofKey(facts.spki)
    .find((entry) => entry.sha256 === facts.sha256 && entry.deviceUid === input.device.uid && isValid(entry, input.now));
}

function ofCertificate(input: Input): RequestFacts[] {
  return input.requests.filter((request) => request.owner?.kind === 'Certificate' && request.owner.uid === input.managed?.uid);
}
