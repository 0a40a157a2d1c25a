// The revoked certificates of every issuer, as the pages of the ledger bring them. What was revoked stays until it expires, also when a page goes: nothing un-revokes.
import type { RevokedCertificate } from '../identity/identity.ts';
import { type CrlReason, encodeRevoked } from './certificate-list.ts';

/** `Revoked` is somebody's word without a reason of X.509's kind; `Moved` gave the certificate another OU. */
const REASONS: Record<RevokedCertificate['reason'], CrlReason> = {
  Revoked: 'privilegeWithdrawn',
  Retired: 'cessationOfOperation',
  Moved: 'affiliationChanged',
  Compromised: 'keyCompromise',
  Superseded: 'superseded',
};

type Kept = { der: Buffer; leavesAtMs: number };
type OfIssuer = { kept: Map<string, Kept> /** Keys of `kept`, sorted but for the newest. */; order: string[] };

export class Revocations {
  readonly #issuers = new Map<string, OfIssuer>();
  readonly #keepMs: number;

  /** `keepMs`: how long an entry stays after its certificate expired. It has to be on one list made after that (RFC 5280 §3.3). */
  constructor(keepMs: number) {
    this.#keepMs = keepMs;
  }

  /** Takes in what a page holds; gives the issuers whose list becomes another one. */
  take(revoked: readonly RevokedCertificate[], nowMs: number): Set<string> {
    const changed = new Set<string>();
    for (const certificate of revoked) {
      const leavesAtMs = certificate.notAfterMs + this.#keepMs;
      if (leavesAtMs < nowMs) continue;
      const own = this.#of(certificate.issuer);
      const key = sortableSerial(certificate.serial);
      if (own.kept.has(key)) continue;
      const { serial, revokedAtMs, reason } = certificate;
      own.kept.set(key, { der: encodeRevoked({ serial, revokedAtMs, reason: REASONS[reason] }), leavesAtMs });
      own.order.push(key);
      changed.add(certificate.issuer);
    }
    return changed;
  }

  /** By serial number, so that the same ledger gives the same list whatever page an entry is on. Expired ones are forgotten. */
  entries(issuer: string, nowMs: number): Buffer[] {
    const own = this.#of(issuer);
    for (const [key, { leavesAtMs }] of own.kept) if (leavesAtMs < nowMs) own.kept.delete(key);
    if (own.order.length !== own.kept.size) own.order = own.order.filter((key) => own.kept.has(key));
    own.order.sort();
    return own.order.map((key) => own.kept.get(key)?.der ?? Buffer.alloc(0));
  }

  #of(issuer: string): OfIssuer {
    const known = this.#issuers.get(issuer);
    if (known !== undefined) return known;
    const fresh: OfIssuer = { kept: new Map(), order: [] };
    this.#issuers.set(issuer, fresh);
    return fresh;
  }
}

/** 64 hex digits are the most that the ledger takes: all of one length sort as numbers do. */
const sortableSerial = (serial: string): string => serial.padStart(64, '0');
