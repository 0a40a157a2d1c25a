// The online key of a site: it says to which device, when and in which order, and never what may run. Its certificate limits it to the devices of one namespace.
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { siteUri } from '../api/names.ts';
import type { Problem } from './errors.ts';
import { digestFor, kindOf } from './signature.ts';

export type DirectiveSigner = {
  /** SHA-256 of the SubjectPublicKeyInfo, hex. */
  keyId: string;
  /** The namespace whose devices obey it. */
  site: string;
  /** Leaf first, DER. */
  x5c: readonly Buffer[];
  sign(bytes: Uint8Array): Buffer;
};

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const MOST_CERTIFICATES = 3;
const MOST_CERTIFICATE_BYTES = 2048;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export function readDirectiveSigner(
  { keyPem, chainPem }: { keyPem: string; chainPem: string },
  { site, now }: { site: string; now: number },
): { ok: true; signer: DirectiveSigner } | { ok: false; problem: Problem } {
  const read = parse(keyPem, chainPem);
  if (read === undefined) return { ok: false, problem: { code: 'HR-FW-121' } };
  const { key, chain } = read;
  const [leaf] = chain;
  const kind = kindOf(key);
  if (leaf === undefined || kind === undefined || !leaf.checkPrivateKey(key)) return { ok: false, problem: { code: 'HR-FW-121' } };
  const unfit = reasonAgainst(leaf, chain, site, now);
  if (unfit !== undefined) return { ok: false, problem: { code: 'HR-FW-122', found: unfit } };
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const keyId = createHash('sha256').update(spki).digest('hex');
  const x5c = chain.map(({ raw }) => raw);
  return { ok: true, signer: { keyId, site, x5c, sign: (bytes) => sign(digestFor(kind), bytes, key) } };
}

/** The same that devices look at: docs/reference/firmware-protocol.md. */
function reasonAgainst(leaf: X509Certificate, chain: readonly X509Certificate[], site: string, now: number): string | undefined {
  if (leaf.ca) return 'the certificate is that of a CA';
  if (leaf.subjectAltName !== `URI:${siteUri(site)}`) return `its names are not exactly the URI ${siteUri(site)}`;
  if (!(leaf.keyUsage ?? []).includes(CODE_SIGNING)) return 'its usages have no code signing';
  if (chain.length > MOST_CERTIFICATES) return `the chain has more than ${MOST_CERTIFICATES} certificates`;
  if (chain.some(({ raw }) => raw.length > MOST_CERTIFICATE_BYTES))
    return `a certificate of the chain is longer than ${MOST_CERTIFICATE_BYTES} bytes`;
  if (now < leaf.validFromDate.getTime() || now >= leaf.validToDate.getTime()) return 'it is not valid now';
  return undefined;
}

function parse(keyPem: string, chainPem: string): { key: KeyObject; chain: X509Certificate[] } | undefined {
  try {
    return { key: createPrivateKey(keyPem), chain: (chainPem.match(PEM) ?? []).map((pem) => new X509Certificate(pem)) };
  } catch {
    // Never the library's words: they are about a key.
    return undefined;
  }
}
