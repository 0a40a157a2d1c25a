// The certificate of another CA that a manifest brings (enrollment: Existing): read, and held to the rules that matter before the ledger gets it. Who signed it is
// not asked: the manifest names this very certificate (docs/adr/0017-existing-certificates.md).
import { type KeyObject, X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate, ExtendedKeyUsage, KeyUsage, KeyUsageFlags, type Name } from '@peculiar/asn1-x509';
import { explain, type IdentityCode } from './errors.ts';
import { relativeNames, type Subject } from './subject.ts';
import { type CertificateFacts, readCertificate } from './x509.ts';

export type ExistingVerdict =
  | {
      ok: true;
      facts: CertificateFacts;
      /** `External//<name of the CA>`, for people: nothing is decided by it. */
      issuer: string;
      /** The OU where the subject has our form, so that a broker that trusts the CA lets it in; undefined for any other subject. */
      organizationalUnit: string | undefined;
    }
  | { ok: false; code: IdentityCode; message: string };

type Refusal = { code: IdentityCode; found?: string };

/** As many as the schema takes. */
export const MAX_EXISTING_CHARS = 16_384;

/** Never throws, whatever the bytes. Its times are judged where there is a clock. */
export function verifyExisting(pem: string | undefined, subject: Subject): ExistingVerdict {
  const read = readPem(pem);
  if ('code' in read) return refused(read);
  const { facts, certificate, key } = read;
  const form = subjectForm(certificate.tbsCertificate.subject, subject);
  const refusal = keyProblem(key) ?? usageProblem(facts, certificate) ?? (typeof form === 'object' ? form : undefined);
  if (refusal !== undefined) return refused(refusal);
  const organizationalUnit = typeof form === 'string' ? form : undefined;
  return { ok: true, facts, issuer: `External//${shortName(certificate.tbsCertificate.issuer)}`, organizationalUnit };
}

function refused({ code, found }: Refusal): ExistingVerdict {
  return { ok: false, code, message: explain(code, found) };
}

type Read = { facts: CertificateFacts; certificate: Certificate; key: KeyObject };

function readPem(pem: string | undefined): Read | Refusal {
  if (pem === undefined || pem.trim() === '') return { code: 'HR-ID-070' };
  const body = /^\s*-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----\s*$/.exec(pem)?.[1];
  if (body === undefined || pem.length > MAX_EXISTING_CHARS) return { code: 'HR-ID-071' };
  const text = body.replace(/[\r\n]/g, '');
  const der = Buffer.from(text, 'base64');
  if (der.length === 0 || der.toString('base64') !== text) return { code: 'HR-ID-071' };
  try {
    const leaf = new X509Certificate(der);
    const facts = readCertificate(leaf.toString());
    // Hashes are of the bytes that the device sends; bytes that a parser skipped or wrote in another way would have others.
    if (facts === undefined || !leaf.raw.equals(der)) return { code: 'HR-ID-071' };
    return { facts, certificate: AsnConvert.parse(der, Certificate), key: leaf.publicKey };
  } catch {
    return { code: 'HR-ID-071' };
  }
}

const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
/** Weaker than for our own certificates (3072): OpenSSL and Erlang take it, it is what fleets have, and it counts only until the first re-enrolment. */
const RSA_BITS = { least: 2048, most: 8192 };
const LEAST_EXPONENT = 65_537n;

function keyProblem({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): Refusal | undefined {
  if (type === 'ed25519' || (type === 'ec' && CURVES.has(details?.namedCurve ?? ''))) return undefined;
  if (type !== 'rsa') return { code: 'HR-ID-072', found: `the key is ${details?.namedCurve ?? type ?? 'of no known kind'}` };
  const { modulusLength: bits = 0, publicExponent: exponent = 0n } = details ?? {};
  if (bits < RSA_BITS.least || bits > RSA_BITS.most) return { code: 'HR-ID-072', found: `the RSA key has ${bits} bits` };
  return exponent < LEAST_EXPONENT ? { code: 'HR-ID-072', found: 'the RSA key has an unusual exponent' } : undefined;
}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const ANY_USAGE = '2.5.29.37.0';

/** RFC 5280 §4.2.1.3 and §4.2.1.12: an extension that is not there restricts nothing. */
function usageProblem(facts: CertificateFacts, { tbsCertificate }: Certificate): Refusal | undefined {
  if (facts.isCa) return { code: 'HR-ID-073', found: 'it is the certificate of a CA' };
  try {
    for (const { extnID, extnValue } of tbsCertificate.extensions ?? []) {
      if (extnID === '2.5.29.15' && (AsnConvert.parse(extnValue.buffer, KeyUsage).toNumber() & KeyUsageFlags.digitalSignature) === 0)
        return { code: 'HR-ID-073', found: 'its key usage leaves out digital signature' };
      if (extnID !== '2.5.29.37') continue;
      const usages = [...AsnConvert.parse(extnValue.buffer, ExtendedKeyUsage)];
      if (!usages.includes(CLIENT_AUTH) && !usages.includes(ANY_USAGE))
        return { code: 'HR-ID-073', found: 'its extended key usage leaves out client auth' };
    }
    return undefined;
  } catch {
    return { code: 'HR-ID-071' };
  }
}

/** The OU of a subject of our form for this very Device; a refusal for one that could pass for another name at the broker; undefined for any other. */
function subjectForm(found: Name, subject: Subject): string | Refusal | undefined {
  const names = [...found].map((values) => [...values].map(({ type, value }) => ({ oid: type, text: value.toString() })));
  const [organization, unit, common] = relativeNames(subject);
  const isOurs = names.flat().some(({ oid, text }) => oid === organization?.oid && text.trim().toLowerCase() === subject.organization);
  if (!isOurs) return undefined;
  const texts = [...found].map((values) =>
    values.length === 1 ? (values[0]?.value.utf8String ?? values[0]?.value.printableString) : undefined,
  );
  const ou = texts[1] ?? '';
  const [, namespace] = subject.commonName.split('.');
  const isExact =
    names.length === 3 &&
    [organization, unit, common].every((wanted, at) => names[at]?.[0]?.oid === wanted?.oid) &&
    texts[0] === subject.organization &&
    texts[2] === subject.commonName &&
    SEGMENT.exec(ou)?.[1] === namespace;
  return isExact ? ou : { code: 'HR-ID-074' };
}

const LABEL = '[a-z0-9](?:[-a-z0-9]{0,60}[a-z0-9])?';
const SEGMENT = new RegExp(`^${LABEL}\\.(${LABEL})$`);

const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';

/** For people. A stranger's bytes: letters, digits and a few signs, and not many of them. */
function shortName(issuer: Name): string {
  const values = [...issuer].flatMap((relative) => [...relative]);
  const named = [COMMON_NAME, ORGANIZATION].flatMap((oid) => values.filter(({ type }) => type === oid))[0];
  const safe = (named?.value.toString() ?? '').replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 64);
  return /[A-Za-z0-9]/.test(safe) ? safe : 'unnamed';
}
