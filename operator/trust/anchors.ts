// The server anchors as an administrator writes them: current.pem, next.pem, previous.pem. Pure: text in, certificates or a complaint out.
import { createHash, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Problem } from './errors.ts';

/** The files of the folder as text; what is not there is undefined. */
export type AnchorTexts = {
  current: string | undefined;
  next: string | undefined;
  previous: string | undefined;
  /** `Issuer/NAME` or `ClusterIssuer/NAME`. */
  nextIssuer: string | undefined;
  /** Public keys in PEM that will sign later messages. */
  nextKeys: string | undefined;
};

export type IssuerName = { kind: 'Issuer' | 'ClusterIssuer'; name: string };

export type Anchors = {
  /** All that devices are to trust, each once, in DER, in the order of their SHA-256. */
  trusted: readonly Buffer[];
  /** next.pem has a certificate that is not among the current ones: a rotation goes on. */
  rotating: boolean;
  nextIssuer: IssuerName | undefined;
  /** Further keys in DER (SubjectPublicKeyInfo). */
  nextKeys: readonly Buffer[];
};

export type ReadAnchors = { ok: true; anchors: Anchors } | { ok: false; problem: Problem };

const MOST_ANCHORS = 8;
/** The signing key itself is one more. */
const MOST_NEXT_KEYS = 3;
const MOST_BYTES = 4096;

export function readAnchors(texts: AnchorTexts, now: number): ReadAnchors {
  const read: Record<'current' | 'next' | 'previous', X509Certificate[]> = { current: [], next: [], previous: [] };
  for (const name of ['current', 'next', 'previous'] as const) {
    const found = certificates(texts[name] ?? '');
    if (found === undefined) return refused('HR-TRU-001', `${name}.pem holds something that is no certificate in PEM`);
    const wrong = found.map((one) => problemOf(one, name, now)).find((problem) => problem !== undefined);
    if (wrong !== undefined) return { ok: false, problem: wrong };
    read[name] = found;
  }
  if (read.current.length === 0) return refused('HR-TRU-001', 'current.pem is not there or is empty');
  const trusted = unique([...read.current, ...read.next, ...read.previous].map(({ raw }) => raw));
  if (trusted.length > MOST_ANCHORS) return refused('HR-TRU-004', `there are ${trusted.length} anchors, and devices keep ${MOST_ANCHORS}`);
  const issuer = (texts.nextIssuer ?? '').trim();
  const nextIssuer = issuer === '' ? undefined : issuerName(issuer);
  if (issuer !== '' && nextIssuer === undefined) return refused('HR-TRU-005');
  const nextKeys = publicKeys(texts.nextKeys ?? '');
  if (nextKeys === undefined) return refused('HR-TRU-006');
  if (nextKeys.length > MOST_NEXT_KEYS) return refused('HR-TRU-004', `next-keys.pem holds ${nextKeys.length} keys`);
  const rotating = read.next.some((one) => !read.current.some(({ raw }) => raw.equals(one.raw)));
  return { ok: true, anchors: { trusted, rotating, nextIssuer, nextKeys } };
}

/** Each once, in the order of their SHA-256: the same set is always the same text. */
export function unique(ders: readonly Buffer[]): Buffer[] {
  return [...new Map(ders.map((der) => [sha256(der).toString('hex'), der])).entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, der]) => der);
}

export function isP256(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
}

export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

function problemOf(certificate: X509Certificate, file: string, now: number): Problem | undefined {
  const name = `${certificate.subject.replaceAll('\n', ', ')} in ${file}.pem`;
  if (!certificate.ca) return { code: 'HR-TRU-002', found: `${name} is no CA` };
  if (certificate.validFromDate.getTime() > now) return { code: 'HR-TRU-003', found: `${name} begins on ${certificate.validFrom}` };
  if (certificate.validToDate.getTime() <= now) return { code: 'HR-TRU-003', found: `${name} ended on ${certificate.validTo}` };
  if (certificate.raw.length > MOST_BYTES) return { code: 'HR-TRU-004', found: `${name} has ${certificate.raw.length} bytes` };
  return undefined;
}

/** Undefined when something in it is not what it should be: half a bundle would lock devices out as surely as none. */
function certificates(text: string): X509Certificate[] | undefined {
  try {
    return blocks(text, 'CERTIFICATE').map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}

function publicKeys(text: string): Buffer[] | undefined {
  try {
    const keys = blocks(text, 'PUBLIC KEY').map((block) => createPublicKey(block));
    return keys.every(isP256) ? unique(keys.map((key) => key.export({ type: 'spki', format: 'der' }))) : undefined;
  } catch {
    return undefined;
  }
}

/** Throws when there is a block of another kind or one that does not end; text between blocks is a comment (RFC 7468 §2). */
function blocks(text: string, label: string): string[] {
  const found = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g)];
  const begun = text.match(/-----BEGIN /g) ?? [];
  if (begun.length !== found.length || found.some((match) => match[1] !== label)) throw new Error(`not only ${label}`);
  if (found.length === 0 && text.trim() !== '') throw new Error('no PEM');
  return found.map((match) => match[0]);
}

function issuerName(text: string): IssuerName | undefined {
  const [, kind, name] = /^(Issuer|ClusterIssuer)\/([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)$/.exec(text) ?? [];
  return kind === undefined || name === undefined ? undefined : { kind: kind as IssuerName['kind'], name };
}

function refused(code: Problem['code'], found?: string): ReadAnchors {
  return { ok: false, problem: { code, ...(found === undefined ? {} : { found }) } };
}
