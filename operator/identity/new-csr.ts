// A PKCS#10 request (RFC 2986) for a P-256 key of this process. Devices make their own; this is for the one client that the operator is itself.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { oid, TAG, tlv } from './der.ts';
import { relativeNames, type Subject } from './subject.ts';

const UTF8_STRING = 0x0c;
const BIT_STRING = 0x03;
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';

export type OwnKey = { publicKey: KeyObject; privateKey: KeyObject };

export const newKey = (): OwnKey => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** PEM. */
export function newCsr(subject: Subject, key: OwnKey): string {
  const names = relativeNames(subject).map((name) =>
    tlv(TAG.set, tlv(TAG.sequence, oid(name.oid), tlv(UTF8_STRING, Buffer.from(name.value)))),
  );
  const info = tlv(
    TAG.sequence,
    tlv(TAG.integer, Buffer.from([0])),
    tlv(TAG.sequence, ...names),
    key.publicKey.export({ type: 'spki', format: 'der' }),
    // No attributes, which is not the same as no field (RFC 2986 §4.1).
    tlv(TAG.explicit0),
  );
  const signature = sign('sha256', info, key.privateKey);
  const der = tlv(TAG.sequence, info, tlv(TAG.sequence, oid(ECDSA_WITH_SHA256)), tlv(BIT_STRING, Buffer.from([0]), signature));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}
