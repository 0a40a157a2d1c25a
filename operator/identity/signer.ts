// Which CA signed a certificate, told by the signature itself: what an issuer says of its CA is a claim.
import { createHash, X509Certificate } from 'node:crypto';

/** `id`: the first 32 hex digits of the SHA-256 of the CA's certificate. `pem`: that certificate alone. */
export type Signer = { id: string; pem: string };

const MAX_CHARS = 32_768;
const MOST_CERTIFICATES = 8;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * The root that signed the first certificate of `chain`, found in the rest of it or in `ca`. Undefined when none of them did, and when the CA stands under another one:
 * to trust that one would be to trust everything that it signs, so its administrator decides. Never throws.
 */
export function signerOf(chain: string, ca: string | undefined): Signer | undefined {
  const text = `${chain}\n${ca ?? ''}`;
  if (text.length > MAX_CHARS) return undefined;
  const known = lately.get(text);
  if (known !== undefined) return known.signer;
  if (lately.size >= MOST_REMEMBERED) lately.clear();
  const signer = find(text);
  lately.set(text, { signer });
  return signer;
}

/** Asked several times in an issuance; a signature costs a tenth of a millisecond to verify. */
const lately = new Map<string, { signer: Signer | undefined }>();
const MOST_REMEMBERED = 512;

function find(text: string): Signer | undefined {
  const [leaf, ...others] = (text.match(PEM) ?? []).slice(0, MOST_CERTIFICATES).map(read);
  if (leaf === undefined) return undefined;
  const root = others.find((other) => other !== undefined && isRoot(other) && signed(other, leaf));
  return root === undefined ? undefined : authorityOf(root);
}

/** A root as it is named and kept here; undefined when the text is not exactly one self-signed CA certificate. Never throws. */
export function readAuthority(pem: string): Signer | undefined {
  const [only, ...more] = pem.length > MAX_CHARS ? [] : (pem.match(PEM) ?? []);
  const root = only === undefined || more.length > 0 ? undefined : read(only);
  return root !== undefined && isRoot(root) ? authorityOf(root) : undefined;
}

function authorityOf(root: X509Certificate): Signer {
  return { id: createHash('sha256').update(root.raw).digest('hex').slice(0, 32), pem: `${root.toString().trim()}\n` };
}

function read(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

const isRoot = (certificate: X509Certificate): boolean => certificate.ca && signed(certificate, certificate);

function signed(issuer: X509Certificate, subject: X509Certificate): boolean {
  try {
    return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  } catch {
    return false;
  }
}
