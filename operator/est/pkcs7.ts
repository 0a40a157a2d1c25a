// The two structures that the server answers with, and the way EST puts them on the wire.
import { oid, TAG, tlv } from './der.ts';

const SIGNED_DATA = '1.2.840.113549.1.7.2';
const DATA = '1.2.840.113549.1.7.1';
const IMPLICIT_CERTIFICATES = 0xa0;

/** A "certs-only" PKCS#7 (RFC 5652 §5, degenerate SignedData without signer) in DER, from certificates in DER. */
export function certsOnly(certificates: readonly Uint8Array[]): Buffer {
  const version = tlv(TAG.integer, Buffer.from([1]));
  const signedData = tlv(
    TAG.sequence,
    version,
    tlv(TAG.set),
    tlv(TAG.sequence, oid(DATA)),
    tlv(IMPLICIT_CERTIFICATES, ...certificates),
    tlv(TAG.set),
  );
  return tlv(TAG.sequence, oid(SIGNED_DATA), tlv(TAG.explicit0, signedData));
}

/** What a request should be like (RFC 7030 §4.5.2): a P-256 key, signed with SHA-256. Other keys that `HR-ID-006` allows do too. */
export function csrAttributes(): Buffer {
  const ecPublicKey = tlv(TAG.sequence, oid('1.2.840.10045.2.1'), tlv(TAG.set, oid('1.2.840.10045.3.1.7')));
  return tlv(TAG.sequence, ecPublicKey, oid('1.2.840.10045.4.3.2'));
}

/** base64 in lines of 64 characters, as RFC 8951 §3.1 leaves free and every decoder takes. */
export function base64Lines(der: Buffer): string {
  return `${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n`;
}
