// The next step of a device that comes with a certificate of another CA: into the ledger, good until it has enrolled by EST. Pure.
import { type Decision, type Input, isValid, stall, type Verdict, wait, windowOf, withoutCertificate } from './decide.ts';
import { decideEst } from './decide-est.ts';
import { explain } from './errors.ts';
import type { ExistingVerdict } from './existing.ts';
import { isKeyRevoked, type LedgerEntry } from './ledger-entry.ts';
import { CLOCK_SKEW_MS } from './x509.ts';

type GoodExisting = Extract<ExistingVerdict, { ok: true }>;

export function decideExisting(input: Input): Decision {
  const { device } = input;
  const { existing } = device;
  const own = input.ofDevice.filter((entry) => entry.via !== 'Existing');
  const hasOwn = own.some((entry) => entry.deviceUid === device.uid && isValid(entry, input.now));
  const hadOwn = own.some((entry) => entry.deviceUid === device.uid && entry.revoked === undefined);
  const entry = existing?.ok ? input.ofKey(existing.facts.spki).find(({ sha256 }) => sha256 === existing.facts.sha256) : undefined;
  const isOver = existing?.ok === true && Date.parse(existing.facts.notAfter) <= input.now;
  // From its first certificate of ours on it is a device like any other that enrols by EST; the old certificate stays in the ledger until it expires.
  const isDoneWith = existing?.ok !== true || entry !== undefined || isOver;
  if ((hasOwn && isDoneWith) || (hadOwn && isOver)) return decideEst({ ...input, ofDevice: own });
  if (existing === undefined || !existing.ok)
    return existing === undefined ? stall(input, 'HR-ID-070') : stall(input, existing.code, existing.message);
  if (entry === undefined) return isOver ? expired(input, existing, undefined) : recordIt(input, existing);
  if (entry.revoked !== undefined) return stall(input, 'HR-ID-032');
  if (entry.deviceUid !== device.uid) return stall(input, 'HR-ID-031', `Device ${entry.device} has this very certificate and was first`);
  return isOver ? expired(input, existing, entry) : inForce(input, entry);
}

/** All that can be wrong with somebody else's certificate but its bytes. Nothing here was proved by the device: the first who shows the certificate's key does that by EST. */
function recordIt(input: Input, existing: GoodExisting): Decision {
  const { spki, notBefore } = existing.facts;
  if (input.firstWithSerial !== undefined)
    return stall(input, 'HR-ID-030', `Device ${input.firstWithSerial} has the same serial number and was first`);
  const entries = input.ofKey(spki);
  if (isKeyRevoked(entries, input.device.uid)) return stall(input, 'HR-ID-032');
  const holder =
    entries.find((entry) => entry.deviceUid !== input.device.uid && isValid(entry, input.now))?.device ??
    input.pendingOfKey(spki)?.device ??
    input.claimantOfKey(spki) ??
    input.firstWithKey ??
    input.keyInFlight(spki);
  if (holder !== undefined) return stall(input, 'HR-ID-031', `Device ${holder} has the same public key`);
  const beginsInMs = Date.parse(notBefore) - input.now;
  if (beginsInMs > CLOCK_SKEW_MS)
    return wait(input, 'HR-ID-076', beginsInMs, `the certificate in spec.identity.existing is valid from ${notBefore}`);
  return { do: 'recordExisting', existing };
}

function inForce(input: Input, entry: LedgerEntry): Decision {
  const due = [windowOf(input, entry), Date.parse(entry.notAfter)].find((at) => at > input.now) ?? input.now;
  const outcome = { kind: 'requeue' as const, afterMs: due - input.now, reason: 'RenewalDue' };
  return { do: 'answer', answer: { outcome, certified: existingVerdict(entry), entry, certificate: undefined, cleanup: [] } };
}

/** Its certificate of another CA counts. */
export function existingVerdict({ serial, notAfter }: LedgerEntry): Verdict {
  const message = `certificate ${serial} of another CA counts until ${notAfter}; before that the device has to enrol by EST with it (docs/guides/existing-fleet.md)`;
  return { status: 'True', reason: 'Existing', message };
}

/** Within spec.offlineBudget it may still enrol, if the ledger had it in time. */
function expired(input: Input, { facts }: GoodExisting, entry: LedgerEntry | undefined): Decision {
  const { device, now } = input;
  const mayUntil = entry === undefined ? 0 : Date.parse(facts.notAfter) + device.offlineBudgetMs;
  const found = `the certificate in spec.identity.existing expired at ${facts.notAfter}`;
  if (mayUntil <= now) return stall(input, 'HR-ID-075', found);
  const certified = withoutCertificate('HR-ID-075');
  const message = explain(
    'HR-ID-075',
    found,
    `let the device enrol by EST with it until ${new Date(mayUntil).toISOString()} (spec.offlineBudget)`,
  );
  const outcome = { kind: 'requeue' as const, afterMs: mayUntil - now, reason: 'RenewalDue' };
  return { do: 'answer', answer: { outcome, certified: { ...certified, message }, entry, certificate: undefined, cleanup: [] } };
}
