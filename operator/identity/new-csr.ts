// A PKCS#10 request (RFC 2986) for a P-256 key of this process. Devices make their own; this is for clients that Hedgerow is itself.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { oid, TAG, tlv } from './der.ts';
import { relativeNames, type Subject } from './subject.ts';

const UTF8_STRING = 0x0c;
const BIT_STRING = 0x03;
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const SUBJECT_ALT_NAME = '2.5.29.17';
/** GeneralName uniformResourceIdentifier, context tag 6. */
const URI_NAME = 0x86;

export type OwnKey = { publicKey: KeyObject; privateKey: KeyObject };

export const newKey = (): OwnKey => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** PEM, for a subject and no attributes. */
export function newCsr(subject: Subject, key: OwnKey): string {
  const names = relativeNames(subject).map((name) =>
    tlv(TAG.set, tlv(TAG.sequence, oid(name.oid), tlv(UTF8_STRING, Buffer.from(name.value)))),
  );
  // No attributes, which is not the same as no field (RFC 2986 §4.1).
  return signedRequest(names, tlv(TAG.explicit0), key);
}

/** PEM, for one URI and no subject. */
export function newUriCsr(uri: string, key: OwnKey): string {
  return signedRequest([], tlv(TAG.explicit0, uriAttribute(uri)), key);
}

/** The attribute by which a request asks for exactly one SubjectAltName, this URI (RFC 2985 §5.4.2, RFC 5280 §4.2.1.6). DER. */
export function uriAttribute(uri: string): Buffer {
  const names = tlv(TAG.sequence, tlv(URI_NAME, Buffer.from(uri, 'latin1')));
  const extension = tlv(TAG.sequence, oid(SUBJECT_ALT_NAME), tlv(TAG.octetString, names));
  return tlv(TAG.sequence, oid(EXTENSION_REQUEST), tlv(TAG.set, tlv(TAG.sequence, extension)));
}

function signedRequest(names: readonly Buffer[], attributes: Buffer, key: OwnKey): string {
  const spki = key.publicKey.export({ type: 'spki', format: 'der' });
  const info = tlv(TAG.sequence, tlv(TAG.integer, Buffer.from([0])), tlv(TAG.sequence, ...names), spki, attributes);
  const signature = sign('sha256', info, key.privateKey);
  const der = tlv(TAG.sequence, info, tlv(TAG.sequence, oid(ECDSA_WITH_SHA256)), tlv(BIT_STRING, Buffer.from([0]), signature));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}
