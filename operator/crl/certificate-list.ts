// A CRL as bytes: version 2 with AKI and CRL number (RFC 5280 §5). Pure; the signature comes from outside.
import { integer, oid, sequenceLike, TAG, time, tlv } from './der.ts';

/** CRLReason (RFC 5280 §5.3.1): those that the ledger can mean. */
export const REASON_CODES = {
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;
export type CrlReason = keyof typeof REASON_CODES;

export type Revoked = { /** Hex. */ serial: string; revokedAtMs: number; reason: CrlReason };

export type ListFields = {
  /** AlgorithmIdentifier, DER: inside the signed part and beside the signature (RFC 5280 §5.1.1.2). */
  algorithm: Buffer;
  /** Name, DER: byte for byte the subject of the CA. */
  issuer: Buffer;
  /** The CA's subject key identifier. */
  keyId: Buffer;
  number: number;
  thisUpdateMs: number;
  nextUpdateMs: number;
  /** Each as `encodeRevoked` makes it, none twice. */
  entries: readonly Buffer[];
};

export function encodeRevoked({ serial, revokedAtMs, reason }: Revoked): Buffer {
  return tlv(TAG.sequence, integer(serial), time(revokedAtMs), REASON_EXTENSIONS[reason]);
}

/** The TBSCertList: what is signed. */
export function encodeUnsigned(fields: ListFields): Buffer {
  const extensions = tlv(
    TAG.sequence,
    extension('2.5.29.35', tlv(TAG.sequence, tlv(TAG.implicit0, fields.keyId))),
    extension('2.5.29.20', integer(fields.number.toString(16))),
  );
  return tlv(
    TAG.sequence,
    integer('1'),
    fields.algorithm,
    fields.issuer,
    time(fields.thisUpdateMs),
    time(fields.nextUpdateMs),
    // An empty list is left out (RFC 5280 §5.1.2.6).
    ...(fields.entries.length === 0 ? [] : [sequenceLike(TAG.sequence, fields.entries)]),
    tlv(TAG.explicit0, extensions),
  );
}

export function encodeSigned(unsigned: Buffer, algorithm: Buffer, signature: Buffer): Buffer {
  return tlv(TAG.sequence, unsigned, algorithm, tlv(TAG.bitString, Buffer.from([0]), signature));
}

export function pemOf(der: Buffer): Buffer {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return Buffer.from(`-----BEGIN X509 CRL-----\n${lines.join('\n')}\n-----END X509 CRL-----\n`, 'latin1');
}

/** Neither is critical (RFC 5280 §5.2.1, §5.2.3). */
function extension(id: string, value: Buffer): Buffer {
  return tlv(TAG.sequence, oid(id), tlv(TAG.octetString, value));
}

const reasonExtension = (code: number): Buffer => tlv(TAG.sequence, extension('2.5.29.21', tlv(TAG.enumerated, Buffer.from([code]))));
const REASON_EXTENSIONS: Record<CrlReason, Buffer> = {
  keyCompromise: reasonExtension(REASON_CODES.keyCompromise),
  affiliationChanged: reasonExtension(REASON_CODES.affiliationChanged),
  superseded: reasonExtension(REASON_CODES.superseded),
  cessationOfOperation: reasonExtension(REASON_CODES.cessationOfOperation),
  privilegeWithdrawn: reasonExtension(REASON_CODES.privilegeWithdrawn),
};
