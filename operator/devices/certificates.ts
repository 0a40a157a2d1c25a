// Which of a Device's certificates is used at the broker, against which should be: use of a superseded one, and a copy that was banned. Pure.
import type { Condition } from '../api/meta.ts';
import type { LedgerEntry } from '../identity/identity.ts';
import { findCondition } from '../runtime/conditions.ts';
import type { SummaryInput } from './summary.ts';

type Verdict = SummaryInput['segmented'];

/** `revoked.by` of a certificate that was used beside its successor. The ledger is the memory: condition and ban follow from it after any crash. */
export const COPIED = 'hedgerow: used beside its successor';
/** `revoked.by` of one that had to go so that the flapping detector of EMQX does not lock the device out. */
export const FLAPPING = 'hedgerow: flapping at the broker';

/** From its issue a device has this share of the new certificate's lifetime to take it into use, 72 h of 30 days. */
const GRACE_SHARE = 0.1;
const MOST_GRACE_MS = 7 * 86_400_000;

export type Sight = {
  /** Of this very Device. */
  entries: readonly LedgerEntry[];
  /** MD5 of the certificate that it is connected with; undefined when it is away, or nobody knows. */
  inUse: string | undefined;
  before: readonly Condition[] | undefined;
  now: number;
};

export type CertificatesInUse = {
  superseded: Verdict | undefined;
  copied: Verdict | undefined;
  /** When this reads differently by itself, ms. */
  changesAt: number | undefined;
};

export function certificatesInUse(sight: Sight): CertificatesInUse {
  const use = supersededUse(sight);
  const copies = sight.entries.filter((entry) => entry.revoked?.by === COPIED && Date.parse(entry.notAfter) > sight.now);
  const times = [...copies.map((entry) => Date.parse(entry.notAfter)), ...(use.reportAt === undefined ? [] : [use.reportAt])];
  return {
    superseded: use.verdict,
    copied: copies.length === 0 ? undefined : copied(copies),
    changesAt: times.length === 0 ? undefined : Math.min(...times),
  };
}

export function isValid(entry: LedgerEntry, now: number): boolean {
  return entry.revoked === undefined && Date.parse(entry.notAfter) > now;
}

export function newestOf(entries: Iterable<LedgerEntry>): LedgerEntry | undefined {
  let newest: LedgerEntry | undefined;
  for (const entry of entries) if (newest === undefined || isNewer(entry, newest)) newest = entry;
  return newest;
}

/** Certificates begin at whole seconds. Of two in one second it is the one that came after a later Rotate; without one neither is. */
export function isNewer(a: LedgerEntry, b: LedgerEntry): boolean {
  const laterMs = Date.parse(a.notBefore) - Date.parse(b.notBefore);
  return laterMs === 0 ? rotatedAt(a) > rotatedAt(b) : laterMs > 0;
}

function rotatedAt({ afterRotation }: LedgerEntry): number {
  return afterRotation === undefined ? 0 : Date.parse(afterRotation);
}

/** A Device that is away keeps what was said of it: the state has not changed, only nobody sees it. */
function supersededUse({ entries, inUse, before, now }: Sight): { verdict?: Verdict; reportAt?: number } {
  const valid = entries.filter((entry) => isValid(entry, now));
  const newest = newestOf(valid);
  if (newest === undefined || !valid.some((entry) => isNewer(newest, entry))) return {};
  const used = valid.find((entry) => entry.md5 === inUse);
  if (used === undefined) {
    const said = findCondition(before, 'SupersededCertificateUsed');
    return said === undefined ? {} : { verdict: { status: said.status, reason: said.reason, message: said.message } };
  }
  if (!isNewer(newest, used)) return {};
  const lifetime = Date.parse(newest.notAfter) - Date.parse(newest.notBefore);
  const reportAt = Date.parse(newest.notBefore) + Math.min(MOST_GRACE_MS, lifetime * GRACE_SHARE);
  return now < reportAt ? { reportAt } : { verdict: superseded(used, newest) };
}

function superseded(used: LedgerEntry, newest: LedgerEntry): Verdict {
  const message = `the device uses certificate ${used.serial}, which ends at ${used.notAfter}, and not ${newest.serial}, which it was given at ${newest.notBefore}. Cure: let the device take the new one into use, or see whether its firmware went back or somebody else has the old one`;
  return { status: 'True', reason: 'SupersededCertificateUsed', message };
}

function copied(copies: readonly LedgerEntry[]): Verdict {
  const which = copies.map((entry) => `${entry.serial} (until ${entry.notAfter})`).join(', ');
  const message = `two certificates of this device pushed each other off the broker, so the older was banned: ${which}. Cure: find out who else uses it; if the key is in other hands, kubectl hedgerow rotate --compromised and give the device a new key`;
  return { status: 'True', reason: 'CertificateCopied', message };
}
