// When a certificate is to be renewed, spread over the fleet; what a Rotate changes about it; when a renewal is overdue. Pure.
import { createHash } from 'node:crypto';
import type { DeviceFacts } from './device-facts.ts';
import type { LedgerEntry } from './ledger-entry.ts';

/**
 * Interventions of action Rotate that stand for a Device. `at`: when the newest was created, as the API server says it (RFC 3339); `compromised`: the newest that says so,
 * never later than `at`, with who is named in the ledger.
 */
export type Rotation = { at: string; compromised?: { at: string; by: string } };

type Lifetime = Pick<LedgerEntry, 'notBefore' | 'notAfter' | 'via'>;
type Renewing = Pick<DeviceFacts, 'uid' | 'durationMs' | 'renewBeforeMs'>;

/** 10,000 devices that were certified in one hour renew over the last tenth of the time before the window (of 480 h by default: 48 h, four a minute). */
const SPREAD = 0.1;
/** From here on somebody is told: half of what is left when the renewal begins has gone by. */
const OVERDUE_SHARE = 0.5;

/**
 * When renewal begins, ms: at renewBefore before the end or up to a tenth of the time before that earlier, never later. The same for a Device at each restart and each
 * renewal, so that a fleet that was enrolled in one burst drifts apart. An issuer that signs for less time than renewBefore must not make us renew for ever: then the
 * last third counts.
 */
export function renewAt(entry: Lifetime, device: Renewing): number {
  const end = Date.parse(entry.notAfter);
  const lifetime = end - Date.parse(entry.notBefore);
  const before = (wantedMs: number): number => (wantedMs < lifetime ? wantedMs : lifetime / 3);
  // cert-manager renews these, by what its Certificate says.
  if (entry.via === 'Managed') return end - before(managedRenewBeforeMs(device));
  const stated = before(device.renewBeforeMs);
  return Math.floor(end - stated - earlier(device.uid, lifetime - stated));
}

/** renewBefore of a Managed device's Certificate, in whole seconds; it follows from the Device alone, so it never drifts. */
export function managedRenewBeforeMs(device: Renewing): number {
  const { durationMs, renewBeforeMs } = device;
  return Math.floor((renewBeforeMs + earlier(device.uid, durationMs - renewBeforeMs)) / 1000) * 1000;
}

/** When the renewal window of a certificate opens, ms: a Rotate opens that of every certificate from before it. */
export function opensAt(entry: Lifetime & Pick<LedgerEntry, 'afterRotation'>, device: Renewing, rotation: Rotation | undefined): number {
  const regular = renewAt(entry, device);
  return rotation !== undefined && isBefore(entry, rotation.at) ? Math.min(regular, Date.parse(rotation.at)) : regular;
}

/** Whether a Rotate that was created at `at` is about this certificate. */
export function isBefore(entry: Pick<LedgerEntry, 'afterRotation'>, at: string): boolean {
  return entry.afterRotation === undefined || Date.parse(entry.afterRotation) < Date.parse(at);
}

/**
 * What is written into the ledger with a new certificate: the newest Rotate that it comes after. Only times of the API server are compared, and of two in one second the
 * certificate counts as the older. Of a request of the operator's own what counts is its key: it is the one in the manifest.
 */
export function rotationBefore(
  rotation: Rotation | undefined,
  request: { createdAt: string; own: boolean; keyRevoked: boolean },
): string | undefined {
  if (rotation === undefined || request.keyRevoked) return undefined;
  const times = [rotation.at, ...(rotation.compromised === undefined ? [] : [rotation.compromised.at])];
  return times
    .filter((at) => request.own || Date.parse(request.createdAt) > Date.parse(at))
    .sort((a, b) => Date.parse(b) - Date.parse(a))[0];
}

/** When a renewal that has not come is worth telling, ms. */
export function overdueAt(opens: number, entry: Lifetime): number {
  const end = Date.parse(entry.notAfter);
  return opens >= end ? end : Math.floor(opens + (end - opens) * OVERDUE_SHARE);
}

function earlier(uid: string, timeBeforeMs: number): number {
  return Math.max(0, timeBeforeMs) * SPREAD * placeOf(uid);
}

/** 0 to 1, evenly over uids. */
function placeOf(uid: string): number {
  return createHash('sha256').update(uid).digest().readUInt32BE(0) / 2 ** 32;
}
