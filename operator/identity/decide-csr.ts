// The next step of a device that made its own key: request, approve, check, record, hand out, tidy up. Pure.
import { done } from '../runtime/outcome.ts';
import {
  certifiedVerdict,
  current,
  type Decision,
  type Input,
  isValid,
  latest,
  stall,
  wait,
  windowOf,
  withoutCertificate,
} from './decide.ts';
import { untrustedCa } from './decide-ca.ts';
import { isRenewedByEst } from './decide-est.ts';
import { hasGivenWay } from './decide-rotation.ts';
import { explain } from './errors.ts';
import { isKeyRevoked, type LedgerEntry } from './ledger-entry.ts';
import { type RequestFacts, requestName, USAGES } from './request-facts.ts';
import { certificateProblem, readCertificate } from './x509.ts';

type GoodCsr = { pem: string; hash: string; spki: string };

/** A watch usually tells earlier. Not longer, because a Device that waits for the first time says so only when it is looked at again. */
const SOON_MS = 15_000;

export function decideCsr(input: Input): Decision {
  const { device } = input;
  const now = current(input);
  const why = now === undefined ? 'none yet' : reasonForNext(input, now);
  if (now !== undefined && why === undefined) return enough(input, now);
  const ours = input.requests.filter((request) => request.username === input.self);
  const served = ours.find((request) => hasServed(request, now));
  if (served !== undefined) return { do: 'delete', request: served };
  if (input.firstWithSerial !== undefined)
    return stall(input, 'HR-ID-030', `Device ${input.firstWithSerial} has the same serial number and was first`);
  const { csr } = device;
  if (csr === undefined || !csr.ok) return csr === undefined ? stall(input, 'HR-ID-001') : refusedCsr(input, csr.code, csr.message);
  if (now === undefined && hasGivenWay(input)) return lapsed(input, csr);
  const stale = ours.find((request) => isStale(input, csr, request));
  if (stale !== undefined) return unrecordedOwn(input, [stale]) ?? { do: 'delete', request: stale };
  const [request, older] = ours.sort((a, b) => b.attempt - a.attempt);
  // A later attempt exists: the failed one before it has served as its memory.
  if (older !== undefined) return { do: 'delete', request: older };
  if (request?.state === 'issued') return decideIssued(input, csr, request, now);
  if (request?.state === 'approved') return decideApproved(input, request);
  const obstacle = keyObstacle(input, csr, now) ?? issuerObstacle(input);
  if (obstacle !== undefined) return obstacle;
  if (request === undefined) return create(input, csr, 1);
  if (request.state === 'new') return decideNew(input, csr, request);
  return decideFailed(input, csr, request);
}

/** The certificate by EST that took the place of this request ran out, or was revoked: only EST or a new request brings another. */
function lapsed(input: Input, csr: GoodCsr): Decision {
  const mine = input.ofDevice.filter((entry) => entry.deviceUid === input.device.uid);
  const last = latest(mine.filter((entry) => entry.revoked === undefined));
  if (isKeyRevoked(input.ofKey(csr.spki), input.device.uid) || (last === undefined && mine.length > 0)) return stall(input, 'HR-ID-032');
  const certified = withoutCertificate(
    'HR-ID-062',
    'make a new key and request on the device, or let it re-enrol while spec.offlineBudget lasts',
  );
  return { do: 'answer', answer: { outcome: done, certified, entry: last, certificate: input.device.certificate, cleanup: [] } };
}

/** Why the Device needs another certificate although this one is valid; undefined = it needs none. */
function reasonForNext(input: Input, now: LedgerEntry): string | undefined {
  const { csr, subject } = input.device;
  // A request that does not read has no key: it was changed, and what it was changed to does not work.
  const byEst = isRenewedByEst(now, csr?.spki);
  if (!byEst && csr?.spki !== now.spki) return 're-key';
  if (now.segment !== subject?.organizationalUnit) return 'segment move';
  // The device renews by EST what it got by EST.
  if (byEst) return undefined;
  return input.now >= windowOf(input, now) ? 'renewal' : undefined;
}

/** Its certificate was handed out, and then we were killed before we deleted it. What the Device waits for now, a new request for one, may never come. */
function hasServed(request: RequestFacts, now: LedgerEntry | undefined): boolean {
  return request.state === 'issued' && now !== undefined && readCertificate(request.certificate ?? '')?.sha256 === now.sha256;
}

/** Nothing to do until the renewal; requests that are left over from before a crash go. */
function enough(input: Input, now: LedgerEntry): Decision {
  const renewal = windowOf(input, now);
  const afterMs = (renewal > input.now ? renewal : Date.parse(now.notAfter)) - input.now;
  const cleanup = input.requests.filter((request) => request.username === input.self);
  const outcome = { kind: 'requeue' as const, afterMs, reason: 'RenewalDue' };
  return {
    do: 'answer',
    answer: { outcome, certified: certifiedVerdict(now), entry: now, certificate: input.device.certificate, cleanup },
  };
}

function refusedCsr(input: Input, code: Parameters<typeof stall>[1], message: string): Decision {
  const now = current(input);
  const moved = now !== undefined && now.segment !== input.device.subject?.organizationalUnit;
  const note = moved
    ? ` (the Device moved to another segment: the certificate of ${now.segment} stays valid until one for the new segment is issued)`
    : '';
  return stall(input, code, `${message}${note}`);
}

/**
 * Made for a wish that changed. What was signed is handed out and what may be signed any moment is waited for, rather than made twice: one key, one certificate.
 * But one that is approved for an issuer that the Device does not name any more may never be signed.
 */
function isStale(input: Input, csr: GoodCsr, request: RequestFacts): boolean {
  if (request.csrHash !== csr.hash) return true;
  if (request.state === 'issued') return false;
  return request.issuer !== input.issuer.key || (request.state !== 'approved' && request.durationMs !== input.device.durationMs);
}

/** Somebody who may create CertificateRequests cannot make us approve one by giving it our name. */
function create(input: Input, csr: GoodCsr, attempt: number): Decision {
  const name = requestName(input.device, csr.hash, input.issuer.key, attempt);
  const foreign =
    input.nameTaker?.name === name
      ? input.nameTaker
      : input.requests.find((request) => request.name === name && request.username !== input.self);
  // Our watch need not show it, so nothing would tell that it is gone: it is looked for again.
  return foreign === undefined ? { do: 'create', attempt } : wait(input, 'HR-ID-025', SOON_MS, foreignText(foreign));
}

function notOurs(input: Input, request: RequestFacts): Decision {
  return stall(input, 'HR-ID-025', foreignText(request));
}

function foreignText(request: RequestFacts): string {
  return `CertificateRequest ${request.name}, made by ${request.username ?? 'nobody known'}, is not what Hedgerow asks for`;
}

function decideIssued(input: Input, csr: GoodCsr, request: RequestFacts, now: LedgerEntry | undefined): Decision {
  const { subject } = input.device;
  const facts = readCertificate(request.certificate ?? '');
  if (facts === undefined || subject === undefined)
    return stall(input, 'HR-ID-026', `CertificateRequest ${request.name} holds no certificate that reads`);
  const recorded = input.ofKey(csr.spki).find((entry) => entry.sha256 === facts.sha256);
  if (recorded !== undefined) {
    // Left over from an issuance that was finished (or revoked) before: only a new request helps.
    if (recorded.sha256 === now?.sha256 || !isValid(recorded, input.now) || recorded.deviceUid !== input.device.uid)
      return { do: 'delete', request };
    return handOut(input, request, recorded);
  }
  if (!asWeMadeIt(input, csr, request)) return notOurs(input, request);
  const problem = certificateProblem(facts, { subject, spki: csr.spki, durationMs: request.durationMs ?? 0, now: input.now });
  if (problem !== undefined)
    return stall(input, 'HR-ID-026', `the certificate of CertificateRequest ${request.name} was not handed out: ${problem}`);
  return keyObstacle(input, csr, now) ?? untrustedCa(input, request) ?? { do: 'record', request };
}

/**
 * A certificate that was signed for a request of ours and that the ledger has not seen. It is recorded also when nobody will be given it: of a revoked Device so that it
 * and its key are revoked too, of a key that was replaced meanwhile so that this key does not get a second one.
 */
export function unrecordedOwn(input: Input, requests = input.requests): Decision | undefined {
  for (const request of requests) {
    if (request.state !== 'issued' || request.username !== input.self || request.owner?.uid !== input.device.uid) continue;
    const facts = readCertificate(request.certificate ?? '');
    if (facts !== undefined && !input.ofKey(facts.spki).some((entry) => entry.sha256 === facts.sha256)) return { do: 'record', request };
  }
  return undefined;
}

function handOut(input: Input, request: RequestFacts, entry: LedgerEntry): Decision {
  const afterMs = Math.max(0, windowOf(input, entry) - input.now);
  const outcome = { kind: 'requeue' as const, afterMs, reason: 'RenewalDue' };
  return {
    do: 'answer',
    answer: { outcome, certified: certifiedVerdict(entry), entry, certificate: request.certificate, cleanup: [request] },
  };
}

/** cert-manager signs within a second; the watch tells. The pause is only for a watch that tells nothing. */
function decideApproved(input: Input, request: RequestFacts): Decision {
  if (input.issuer.state !== 'ready') return issuerObstacle(input) as Decision;
  const detail = request.message === '' ? '' : `: ${request.message}`;
  return wait(
    input,
    undefined,
    30_000,
    `CertificateRequest ${request.name} is approved, waiting for cert-manager to sign it${detail}`,
    'Issuing',
  );
}

/** Approved is only what this operator made, for this Device, exactly as it would make it now. */
function decideNew(input: Input, csr: GoodCsr, request: RequestFacts): Decision {
  return asWeMadeIt(input, csr, request) ? { do: 'approve', request } : notOurs(input, request);
}

function asWeMadeIt(input: Input, csr: GoodCsr, request: RequestFacts): boolean {
  return (
    request.username === input.self &&
    request.owner?.uid === input.device.uid &&
    request.pem === csr.pem &&
    request.name === requestName(input.device, csr.hash, request.issuer, request.attempt) &&
    !request.isCa &&
    request.usages === USAGES.join(',')
  );
}

/** 1 min, 2 min, 4 min … 1 h: an issuer that refuses should not be asked 60 times an hour. */
function retryDelayMs(attempt: number): number {
  return Math.min(60_000 * 2 ** (attempt - 1), 3_600_000);
}

/** Failed and Denied are final for a request (cert-manager), so the next try has another name. */
function decideFailed(input: Input, csr: GoodCsr, request: RequestFacts): Decision {
  const due = Date.parse(request.failedAt ?? request.createdAt) + retryDelayMs(request.attempt);
  if (input.now >= due) return create(input, csr, request.attempt + 1);
  const code = request.state === 'denied' ? 'HR-ID-023' : 'HR-ID-024';
  const again = new Date(due).toISOString();
  return wait(
    input,
    code,
    due - input.now,
    `CertificateRequest ${request.name} was ${request.state}: ${request.message || 'no reason given'}; next try at ${again}`,
  );
}

export function issuerObstacle(input: Input): Decision | undefined {
  const { issuer } = input;
  if (issuer.state === 'missing') return stall(input, 'HR-ID-020', `${issuer.key} does not exist`);
  if (issuer.state === 'notReady') return wait(input, 'HR-ID-021', SOON_MS, `${issuer.key} is not ready: ${issuer.message}`);
  return undefined;
}

/** One key, one Device, one certificate inside one validity (docs/adr/0006-ledger-and-issuance.md). */
function keyObstacle(input: Input, csr: GoodCsr, now: LedgerEntry | undefined): Decision | undefined {
  const { device } = input;
  const entries = input.ofKey(csr.spki);
  if (isKeyRevoked(entries, device.uid)) return stall(input, 'HR-ID-032');
  const pending = input.pendingOfKey(csr.spki);
  const foreign = entries.find((entry) => entry.deviceUid !== device.uid && isValid(entry, input.now)) ?? pending;
  if (foreign !== undefined)
    return stall(input, 'HR-ID-031', `Device ${foreign.device} has the same public key and has a certificate for it`);
  if (input.firstWithKey !== undefined)
    return stall(input, 'HR-ID-031', `Device ${input.firstWithKey} has the same public key and was first`);
  const inFlight = input.keyInFlight(csr.spki);
  if (inFlight !== undefined)
    return stall(input, 'HR-ID-031', `Device ${inFlight} has the same public key and asks for a certificate by EST`);
  const last = latest(entries.filter((entry) => isValid(entry, input.now) && entry.via !== 'Existing'));
  if (last === undefined || input.now >= windowOf(input, last)) return undefined;
  if (!input.looked) return { do: 'look' };
  const opens = new Date(windowOf(input, last)).toISOString();
  if (last.sha256 === now?.sha256 || last.segment !== device.subject?.organizationalUnit) {
    return stall(
      input,
      'HR-ID-033',
      `this key has certificate ${last.serial} for ${last.segment} until ${last.notAfter}; its renewal window opens at ${opens}`,
    );
  }
  return stall(
    input,
    'HR-ID-034',
    explain(
      'HR-ID-034',
      `certificate ${last.serial} was issued for this key and is valid until ${last.notAfter}, but nobody has it here any more`,
    ),
  );
}
