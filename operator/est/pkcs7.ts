// The two structures that the server answers with, and the way EST puts them on the wire.
import { der, type Subject, subjectNames } from '../identity/identity.ts';

const { oid, TAG, tlv } = der;

const SIGNED_DATA = '1.2.840.113549.1.7.2';
const DATA = '1.2.840.113549.1.7.1';
const UTF8_STRING = 0x0c;
const IMPLICIT_ATTRIBUTES = 0xa1;
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
export function csrAttributes(subject?: Subject): Buffer {
  const ecPublicKey = tlv(TAG.sequence, oid('1.2.840.10045.2.1'), tlv(TAG.set, oid('1.2.840.10045.3.1.7')));
  const template = subject === undefined ? [] : [requestTemplate(subject)];
  return tlv(TAG.sequence, ecPublicKey, oid('1.2.840.10045.4.3.2'), ...template);
}

/** The subject that a device has to ask for, where it has shown who it is: a CertificationRequestInfoTemplate (RFC 9908 §3.4) with nothing but version and subject. */
function requestTemplate(subject: Subject): Buffer {
  const names = subjectNames(subject).map(({ oid: type, value }) =>
    tlv(TAG.set, tlv(TAG.sequence, oid(type), tlv(UTF8_STRING, Buffer.from(value)))),
  );
  const version = tlv(TAG.integer, Buffer.from([0]));
  const template = tlv(TAG.sequence, version, tlv(TAG.sequence, ...names), tlv(IMPLICIT_ATTRIBUTES));
  return tlv(TAG.sequence, oid('1.2.840.113549.1.9.16.2.61'), tlv(TAG.set, template));
}

/** base64 in lines of 64 characters, as RFC 8951 §3.1 leaves free and every decoder takes. */
export function base64Lines(der: Buffer): string {
  return `${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n`;
}
