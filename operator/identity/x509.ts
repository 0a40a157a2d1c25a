// What a signed certificate says, read once when it arrives, and whether it is what was asked for.
import { createHash, X509Certificate } from 'node:crypto';
import { type CertificateParts, certificateParts, inside, oidContent } from './certificate-der.ts';
import { isDictatedUsage } from './csr.ts';
import { relativeNames, type Subject } from './subject.ts';

export type CertificateFacts = {
  /** Lower hex. */
  serial: string;
  /** Of the leaf's DER, lower hex: the user name that the broker forces from the certificate. */
  md5: string;
  /** Of the leaf's DER, lower hex. */
  sha256: string;
  /** sha256 of the SubjectPublicKeyInfo, lower hex. */
  spki: string;
  /** ISO 8601. */
  notBefore: string;
  notAfter: string;
  /** One relative name a line, as node prints it: `O=hedgerow\nOU=…\nCN=…`. */
  subject: string;
  isCa: boolean;
  /** Exactly digitalSignature and exactly clientAuth. */
  dictatedUsages: boolean;
};

/** A chain of at most this many characters goes into a status. */
const MAX_CHAIN_CHARS = 32_768;

/** Reads the leaf, the first certificate of a PEM chain; undefined when it is none. Never throws. */
export function readCertificate(pemChain: string): CertificateFacts | undefined {
  if (pemChain.length > MAX_CHAIN_CHARS) return undefined;
  const known = lately.get(pemChain);
  if (known !== undefined) return known;
  const facts = read(pemChain);
  if (facts === undefined) return undefined;
  if (lately.size >= MOST_REMEMBERED) lately.clear();
  lately.set(pemChain, facts);
  return facts;
}

/** An issuance asks three times within a second: before it records, to record, and before it hands out. Reading costs 1.5 ms. */
const lately = new Map<string, CertificateFacts>();
const MOST_REMEMBERED = 512;

function read(pemChain: string): CertificateFacts | undefined {
  try {
    const leaf = new X509Certificate(pemChain);
    const { spki, extensions } = certificateParts(leaf.raw);
    return {
      serial: leaf.serialNumber.toLowerCase(),
      md5: digest('md5', leaf.raw),
      sha256: digest('sha256', leaf.raw),
      spki: digest('sha256', spki),
      notBefore: leaf.validFromDate.toISOString(),
      notAfter: leaf.validToDate.toISOString(),
      subject: leaf.subject,
      isCa: leaf.ca || saysCa(extensions),
      dictatedUsages: hasDictatedUsages(extensions),
    };
  } catch {
    return undefined;
  }
}

/** Clocks of issuer and operator may differ by this much. */
export const CLOCK_SKEW_MS = 5 * 60_000;

/** What is wrong with a certificate that came back, in words; undefined when it is what was asked for. Issuers may sign for less time, not for more. */
export function certificateProblem(
  facts: CertificateFacts,
  asked: { subject: Subject; spki: string; durationMs: number; now: number },
): string | undefined {
  const wanted = relativeNames(asked.subject)
    .map((name) => `${name.short}=${name.value}`)
    .join('\n');
  if (facts.subject !== wanted) return 'its subject is another one';
  if (facts.spki !== asked.spki) return 'its public key is another one';
  if (facts.isCa) return 'it is a CA certificate';
  if (!facts.dictatedUsages) return 'its usages are not exactly digital signature and client auth';
  return termProblem(facts, asked);
}

/** The same for its time alone. */
export function termProblem(facts: CertificateFacts, asked: { durationMs: number; now: number }): string | undefined {
  const notBefore = Date.parse(facts.notBefore);
  const notAfter = Date.parse(facts.notAfter);
  if (notAfter <= asked.now) return 'it has expired already';
  if (notBefore > asked.now + CLOCK_SKEW_MS) return 'it is not valid yet';
  // Measured from now, not from notBefore: some issuers backdate notBefore and keep the end.
  if (notAfter > asked.now + asked.durationMs + CLOCK_SKEW_MS) return 'it is valid for longer than was asked';
  return undefined;
}

type FoundExtension = CertificateParts['extensions'][number];

const BOOLEAN = 0x01;
/** KeyUsage and ExtendedKeyUsage. */
const USAGES = ['2.5.29.15', '2.5.29.37'].map((oid) => ({ oid, content: oidContent(oid) }));
const BASIC_CONSTRAINTS = oidContent('2.5.29.19');

function hasDictatedUsages(extensions: FoundExtension[]): boolean {
  return USAGES.every(({ oid, content }) => {
    const [found, ...others] = extensions.filter((extension) => extension.oid === content);
    return found !== undefined && others.length === 0 && isDictatedUsage(oid, found.value);
  });
}

/** OpenSSL, and so `X509Certificate.ca`, says no where the KeyUsage forbids to sign certificates; not every verifier reads both. */
function saysCa(extensions: FoundExtension[]): boolean {
  return extensions.some(({ oid, value }) => {
    const [first] = oid === BASIC_CONSTRAINTS ? inside(inside(value)[0]?.content) : [];
    return first?.tag === BOOLEAN && first.content[0] !== 0;
  });
}

function digest(algorithm: 'md5' | 'sha256', bytes: Buffer): string {
  return createHash(algorithm).update(bytes).digest('hex');
}
