// What a CRL needs of one page of the ledger: which certificates are revoked, and of which issuers there are certificates. Pure.
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import { isPending, type RevocationReason } from './ledger-entry.ts';
import { LedgerBroken, readPage } from './ledger-pages.ts';

export type RevokedCertificate = {
  /** `<kind>/<namespace>/<name>`; the namespace is empty for a ClusterIssuer. */
  issuer: string;
  /** Hex. */
  serial: string;
  notAfterMs: number;
  revokedAtMs: number;
  reason: RevocationReason;
};

export type PageRevocations = {
  revoked: RevokedCertificate[];
  /** When the last certificate of an issuer on this page expires, ms. */
  issuers: ReadonlyMap<string, number>;
  /** Why the page does not read, with its code; it then has nothing else. */
  problem: string | undefined;
};

export function revocationsOf(object: CertificateLedger): PageRevocations {
  const revoked: RevokedCertificate[] = [];
  const issuers = new Map<string, number>();
  try {
    for (const entry of readPage(object).entries.values()) {
      // Another CA's list is another CA's (docs/adr/0017-existing-certificates.md).
      if (entry.via === 'Existing') continue;
      const notAfterMs = Date.parse(entry.notAfter);
      issuers.set(entry.issuer, Math.max(notAfterMs, issuers.get(entry.issuer) ?? 0));
      // A key that was approved and then revoked before its certificate was seen has no serial number yet.
      if (entry.revoked === undefined || isPending(entry)) continue;
      const { at, reason } = entry.revoked;
      revoked.push({ issuer: entry.issuer, serial: entry.serial, notAfterMs, revokedAtMs: Date.parse(at), reason });
    }
  } catch (error) {
    if (!(error instanceof LedgerBroken)) throw error;
    return { revoked: [], issuers: new Map(), problem: error.message };
  }
  return { revoked, issuers, problem: undefined };
}
