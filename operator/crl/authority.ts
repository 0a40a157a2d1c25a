// A CA that signs CRLs, from its certificate and its key. What is wrong with them is said by a code, never in a library's words: those might quote the key.
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { Certificate, KeyUsage, KeyUsageFlags } from '@peculiar/asn1-x509';
import { oid, TAG, tlv } from './der.ts';
import type { Problem } from './errors.ts';

export type Authority = {
  /** sha256 of the SubjectPublicKeyInfo, hex: two certificates of one key are one CA to a CRL. */
  spki: string;
  /** Name, DER, as it stands in the certificate. */
  issuer: Buffer;
  keyId: Buffer;
  /** AlgorithmIdentifier, DER. */
  algorithm: Buffer;
  sign(unsigned: Buffer): Buffer;
};

/** From tls.crt (the CA first) and tls.key of cert-manager's Secret, both PEM. */
export function readAuthority(certificatePem: string, keyPem: string): Authority | Problem {
  const certificate = attempt(() => new X509Certificate(certificatePem));
  const parsed = certificate === undefined ? undefined : attempt(() => AsnConvert.parse(certificate.raw, Certificate));
  if (certificate === undefined || parsed === undefined) return { code: 'HR-CRL-010' };
  const key = attempt(() => createPrivateKey(keyPem));
  if (key === undefined) return { code: 'HR-CRL-011' };
  if (!attempt(() => certificate.checkPrivateKey(key))) return { code: 'HR-CRL-012' };
  if (!certificate.ca || !maySignCrls(parsed)) return { code: 'HR-CRL-013' };
  const signer = signerOf(key);
  if (signer === undefined) return { code: 'HR-CRL-014' };
  const issuer = Buffer.from(AsnConvert.serialize(parsed.tbsCertificate.subject));
  // Clients compare names, some byte for byte: a name that the parser did not give back as it was must not be signed.
  if (!certificate.raw.includes(issuer)) return { code: 'HR-CRL-010', found: 'the subject of the CA certificate is not encoded in DER' };
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const keyId = keyIdOf(parsed);
  if (keyId === undefined) return { code: 'HR-CRL-010', found: 'the subject key identifier of the CA certificate does not read' };
  return { spki: createHash('sha256').update(spki).digest('hex'), issuer, keyId, ...signer };
}

export const isProblem = (read: Authority | Problem): read is Problem => 'code' in read;

/** A certificate without the extension may do everything (RFC 5280 §4.2.1.3). */
function maySignCrls(certificate: Certificate): boolean {
  const value = extensionOf(certificate, '2.5.29.15');
  if (value === undefined) return true;
  const usage = attempt(() => AsnConvert.parse(value, KeyUsage).toNumber());
  return usage !== undefined && (usage & KeyUsageFlags.cRLSign) !== 0;
}

/** As the CA says it, or by method 1 of RFC 5280 §4.2.1.2; undefined when it says something that does not read. */
function keyIdOf(certificate: Certificate): Buffer | undefined {
  const value = extensionOf(certificate, '2.5.29.14');
  if (value !== undefined) return attempt(() => Buffer.from(AsnConvert.parse(value, OctetString).buffer));
  return createHash('sha1').update(Buffer.from(certificate.tbsCertificate.subjectPublicKeyInfo.subjectPublicKey)).digest();
}

function extensionOf(certificate: Certificate, id: string): Buffer | undefined {
  const found = certificate.tbsCertificate.extensions?.find((extension) => extension.extnID === id);
  return found === undefined ? undefined : Buffer.from(found.extnValue.buffer);
}

/** Hash by the strength of the curve (RFC 5758 §3.2); RFC 4055 §5 wants the NULL, RFC 5758 and RFC 8410 none. */
function signerOf(key: KeyObject): Pick<Authority, 'algorithm' | 'sign'> | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const by = (id: string, hash: string | null, ...parameters: Buffer[]) => ({
    algorithm: tlv(TAG.sequence, oid(id), ...parameters),
    sign: (unsigned: Buffer) => sign(hash, unsigned, key),
  });
  if (type === 'rsa') return by('1.2.840.113549.1.1.11', 'sha256', Buffer.from([0x05, 0x00]));
  if (type === 'ed25519') return by('1.3.101.112', null);
  if (type !== 'ec') return undefined;
  switch (details?.namedCurve) {
    case 'prime256v1':
      return by('1.2.840.10045.4.3.2', 'sha256');
    case 'secp384r1':
      return by('1.2.840.10045.4.3.3', 'sha384');
    case 'secp521r1':
      return by('1.2.840.10045.4.3.4', 'sha512');
    default:
      return undefined;
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
