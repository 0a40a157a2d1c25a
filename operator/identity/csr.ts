// The only gate between a stranger's PKCS#10 request and the CA: cert-manager's CA issuer signs subject and extensions as they stand.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import { type Attribute, Extensions, type Name } from '@peculiar/asn1-x509';
import { explain, type IdentityCode } from './errors.ts';
import { uriAttribute } from './new-csr.ts';
import { opensslCommand, relativeNames, type Subject } from './subject.ts';

export type KeyKind = 'P-256' | 'P-384' | 'Ed25519' | 'RSA';

export type CsrVerdict =
  /** `pem` is our own encoding of the DER that was checked: what cert-manager reads is what we read. `hash` = sha256 of that DER, `spki` = sha256 of the SubjectPublicKeyInfo, lower hex. */
  | { ok: true; pem: string; hash: string; spki: string; keyKind: KeyKind }
  /** `spki` is there as soon as a well-formed key was found, so that a caller sees whether the key changed. */
  | { ok: false; code: IdentityCode; message: string; spki?: string };

type Refusal = { code: IdentityCode; found?: string };
type Key = { object: KeyObject; kind: KeyKind; spki: string };

/** RSA 8192 without attributes is 3.0 KiB of PEM; more is not a request that could be accepted. */
export const MAX_CSR_CHARS = 8192;

/** Checks a PEM request against the subject that Hedgerow dictates. Never throws, whatever the bytes. */
export function verifyCsr(pem: string | undefined, subject: Subject): CsrVerdict {
  return lately.of(`${subject.organizationalUnit} ${subject.commonName} ${pem ?? ''}`, pem, () => judge(pem, subject));
}

function judge(pem: string | undefined, subject: Subject): CsrVerdict {
  const der = decodePem(pem);
  if (!Buffer.isBuffer(der)) return refused(der, subject);
  const request = parsed(pem ?? '', der);
  if (request === undefined) return refused({ code: 'HR-ID-004' }, subject);
  const key = readKey(Buffer.from(AsnConvert.serialize(request.certificationRequestInfo.subjectPKInfo)));
  if ('code' in key) return refused(key, subject);
  const refusal =
    checkSignature(request, key) ??
    checkSubject(request.certificationRequestInfo.subject, subject) ??
    checkAttributes([...request.certificationRequestInfo.attributes]);
  if (refusal !== undefined) return { ...refused(refusal, subject), spki: key.spki };
  return { ok: true, pem: encodePem(der), hash: sha256(der), spki: key.spki, keyKind: key.kind };
}

/** Checks a PEM request for one URI and no subject, in exactly the form in which Hedgerow writes it. Never throws, whatever the bytes. */
export function verifyUriCsr(pem: string, uri: string): { ok: true; spki: string; keyKind: KeyKind } | { ok: false; code: IdentityCode } {
  const der = decodePem(pem);
  if (!Buffer.isBuffer(der)) return { ok: false, code: der.code };
  const request = parsed(pem, der);
  if (request === undefined) return { ok: false, code: 'HR-ID-004' };
  const { subjectPKInfo, subject, attributes } = request.certificationRequestInfo;
  const key = readKey(Buffer.from(AsnConvert.serialize(subjectPKInfo)));
  if ('code' in key) return { ok: false, code: key.code };
  const unsigned = checkSignature(request, key);
  if (unsigned !== undefined) return { ok: false, code: unsigned.code };
  if (subject.length > 0) return { ok: false, code: 'HR-ID-009' };
  const [only, ...others] = attributes;
  const asWritten = only !== undefined && others.length === 0 && Buffer.from(AsnConvert.serialize(only)).equals(uriAttribute(uri));
  return asWritten ? { ok: true, spki: key.spki, keyKind: key.kind } : { ok: false, code: 'HR-ID-010' };
}

/** sha256 of the SubjectPublicKeyInfo of a request whose signature nobody looked at; undefined when it does not read. */
export function keyOfCsr(pem: string): string | undefined {
  return keysLately.of(pem, pem, () => readKeyOf(pem));
}

/** A request is looked at in each of its states, and before each step: an answer is remembered for that long. Reading costs about a millisecond. */
const lately = memory<CsrVerdict>(512);
const keysLately = memory<string | undefined>(512);
/** The server of strangers asks for the names first and for everything else a moment later. These are large. */
const requestsLately = memory<CertificationRequest | undefined>(64);

function memory<V>(most: number) {
  const known = new Map<string, V>();
  return {
    of(key: string, pem: string | undefined, read: () => V): V {
      const found = known.get(key);
      if (found !== undefined || (pem?.length ?? 0) > MAX_CSR_CHARS) return found ?? read();
      const value = read();
      if (known.size >= most) known.clear();
      known.set(key, value);
      return value;
    },
  };
}

function readKeyOf(pem: string): string | undefined {
  const der = decodePem(pem);
  const request = Buffer.isBuffer(der) ? parsed(pem, der) : undefined;
  return request === undefined ? undefined : sha256(Buffer.from(AsnConvert.serialize(request.certificationRequestInfo.subjectPKInfo)));
}

/** The common name that a request asks for, if it has exactly one of an ordinary string type: only to find out whom it is about. */
export function commonNameOfCsr(pem: string): string | undefined {
  return onlyName(pem, '2.5.4.3');
}

/** Its organizational unit, in the same way. */
export function organizationalUnitOfCsr(pem: string): string | undefined {
  return onlyName(pem, '2.5.4.11');
}

function onlyName(pem: string, type: string): string | undefined {
  const der = decodePem(pem);
  const request = Buffer.isBuffer(der) ? parsed(pem, der) : undefined;
  const names = [...(request?.certificationRequestInfo.subject ?? [])].flatMap((values) => [...values]).filter((v) => v.type === type);
  const value = names[0]?.value;
  return names.length === 1 ? (value?.utf8String ?? value?.printableString) : undefined;
}

function refused(refusal: Refusal, subject: Subject): { ok: false; code: IdentityCode; message: string } {
  return { ok: false, code: refusal.code, message: `${explain(refusal.code, refusal.found)}: ${opensslCommand(subject)}` };
}

function decodePem(pem: string | undefined): Buffer | Refusal {
  if (pem === undefined || pem.trim() === '') return { code: 'HR-ID-001' };
  if (pem.length > MAX_CSR_CHARS)
    return { code: 'HR-ID-003', found: `spec.identity.csr has ${pem.length} characters, the limit is ${MAX_CSR_CHARS}` };
  const match = /^\s*-----BEGIN CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE REQUEST-----\s*$/.exec(pem);
  if (match?.[1] === undefined) return { code: 'HR-ID-002' };
  const text = match[1].replace(/[\r\n]/g, '');
  const der = Buffer.from(text, 'base64');
  // Node skips what it does not understand; encoding again shows whether it skipped anything.
  return der.length > 0 && der.toString('base64') === text ? der : { code: 'HR-ID-002' };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function encodePem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}

function parsed(pem: string, der: Buffer): CertificationRequest | undefined {
  return requestsLately.of(pem, pem, () => parse(der));
}

/** The library reads BER generously; only what it writes back byte for byte is DER, so no other parser can see another meaning in it. */
function parse(der: Buffer): CertificationRequest | undefined {
  try {
    const request = AsnConvert.parse(der, CertificationRequest);
    if (request.certificationRequestInfo.version !== 0) return undefined;
    return Buffer.from(AsnConvert.serialize(request)).equals(der) ? request : undefined;
  } catch {
    return undefined;
  }
}

/** SubjectPublicKeyInfo up to the point, RFC 5480 §2.1 with named curve and uncompressed point (§2.2), RFC 8410 §4. */
const FIXED_FORMS: readonly { kind: KeyKind; prefix: Buffer; length: number }[] = [
  { kind: 'P-256', prefix: Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex'), length: 91 },
  { kind: 'P-384', prefix: Buffer.from('3076301006072a8648ce3d020106052b8104002203620004', 'hex'), length: 120 },
  { kind: 'Ed25519', prefix: Buffer.from('302a300506032b6570032100', 'hex'), length: 44 },
];
const RSA_BITS = { least: 3072, most: 8192 };
/** Smaller exponents have a history of attacks, larger ones Go's crypto/x509 refuses. */
const RSA_EXPONENT = { least: 65537n, most: 2n ** 31n - 1n };

/** One key has one encoding here, so that its hash finds every certificate it ever had. */
function readKey(spki: Buffer): Key | Refusal {
  let object: KeyObject;
  try {
    object = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    if (!object.export({ format: 'der', type: 'spki' }).equals(spki)) return { code: 'HR-ID-006' };
  } catch {
    return { code: 'HR-ID-006' };
  }
  const hash = sha256(spki);
  const fixed = FIXED_FORMS.find((form) => spki.length === form.length && spki.subarray(0, form.prefix.length).equals(form.prefix));
  if (fixed !== undefined) return { object, kind: fixed.kind, spki: hash };
  if (object.asymmetricKeyType !== 'rsa')
    return { code: 'HR-ID-006', found: `the key is ${object.asymmetricKeyDetails?.namedCurve ?? object.asymmetricKeyType}` };
  const { modulusLength: bits = 0, publicExponent: exponent = 0n } = object.asymmetricKeyDetails ?? {};
  if (bits < RSA_BITS.least || bits > RSA_BITS.most) return { code: 'HR-ID-007', found: `the RSA key has ${bits} bits` };
  if (exponent < RSA_EXPONENT.least || exponent > RSA_EXPONENT.most || exponent % 2n === 0n)
    return { code: 'HR-ID-007', found: 'the RSA key has an unusual exponent' };
  return { object, kind: 'RSA', spki: hash };
}

/** RFC 5758 §3.2, RFC 4055 §5, RFC 8410 §3. `parameters` as the algorithm demands them: absent, or NULL for RSA. */
const SIGNATURES: Record<string, { key: 'ec' | 'rsa' | 'ed25519'; hash: string | null }> = {
  '1.2.840.10045.4.3.2': { key: 'ec', hash: 'sha256' },
  '1.2.840.10045.4.3.3': { key: 'ec', hash: 'sha384' },
  '1.2.840.10045.4.3.4': { key: 'ec', hash: 'sha512' },
  '1.2.840.113549.1.1.11': { key: 'rsa', hash: 'sha256' },
  '1.2.840.113549.1.1.12': { key: 'rsa', hash: 'sha384' },
  '1.2.840.113549.1.1.13': { key: 'rsa', hash: 'sha512' },
  '1.3.101.112': { key: 'ed25519', hash: null },
};

/** Proof of possession, RFC 2986 §4.2. */
function checkSignature(request: CertificationRequest, key: Key): Refusal | undefined {
  const algorithm = SIGNATURES[request.signatureAlgorithm.algorithm];
  const parameters = request.signatureAlgorithm.parameters;
  const isNull = parameters === null || (parameters !== undefined && Buffer.from(parameters).equals(Buffer.from('0500', 'hex')));
  if (
    algorithm === undefined ||
    algorithm.key !== key.object.asymmetricKeyType ||
    isNull !== (algorithm.key === 'rsa') ||
    (parameters !== undefined && !isNull)
  ) {
    return { code: 'HR-ID-008' };
  }
  const signed = request.certificationRequestInfoRaw;
  if (signed === undefined) return { code: 'HR-ID-004' };
  try {
    return verify(algorithm.hash, Buffer.from(signed), key.object, Buffer.from(request.signature)) ? undefined : { code: 'HR-ID-005' };
  } catch {
    return { code: 'HR-ID-005' };
  }
}

/** Exact order, one value per relative name, and only the two string types that every later reader takes for the same characters. */
function checkSubject(found: Name, subject: Subject): Refusal | undefined {
  const wanted = relativeNames(subject);
  const same =
    found.length === wanted.length &&
    wanted.every((name, i) => {
      const values = found[i];
      const value = values?.[0];
      return values?.length === 1 && value?.type === name.oid && (value.value.utf8String ?? value.value.printableString) === name.value;
    });
  return same ? undefined : { code: 'HR-ID-009', found: `the subject is ${shown(found)}` };
}

function shown(name: Name): string {
  const short: Record<string, string> = { '2.5.4.10': 'O', '2.5.4.11': 'OU', '2.5.4.3': 'CN' };
  const text = [...name].map((values) => [...values].map((v) => `${short[v.type] ?? v.type}=${valueText(v.value)}`).join(' + ')).join(', ');
  // A stranger's bytes go into a status and into terminals: printable ASCII only, and not much of it.
  const safe = text.replace(/[^\x20-\x7e]/g, '?');
  return safe === '' ? 'empty' : `"${safe.length > 200 ? `${safe.slice(0, 200)}…` : safe}"`;
}

function valueText(value: { utf8String?: string; printableString?: string }): string {
  return value.utf8String ?? value.printableString ?? '(other string type)';
}

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';

function checkAttributes(attributes: Attribute[]): Refusal | undefined {
  const [attribute, ...others] = attributes;
  if (attribute === undefined) return undefined;
  const value = attribute.values[0];
  if (others.length > 0 || attribute.type !== EXTENSION_REQUEST || attribute.values.length !== 1 || value === undefined) {
    const types = attributes.slice(0, 4).map((a) => a.type);
    return { code: 'HR-ID-011', found: `the request carries the attributes ${types.join(', ')}` };
  }
  return checkExtensions(Buffer.from(value));
}

/** Both usages or none: cert-manager's admission refuses a request whose extensions name other usages than the CertificateRequest does. */
function checkExtensions(der: Buffer): Refusal | undefined {
  try {
    const extensions = AsnConvert.parse(der, Extensions);
    if (!Buffer.from(AsnConvert.serialize(extensions)).equals(der)) return { code: 'HR-ID-010' };
    const ids = [...extensions].map((extension) => extension.extnID);
    if (ids.length === 0) return undefined;
    const other = ids.filter((id) => id !== KEY_USAGE && id !== EXTENDED_KEY_USAGE);
    if (other.length > 0) return { code: 'HR-ID-010', found: `the request asks for the extensions ${ids.slice(0, 6).join(', ')}` };
    const right =
      ids.length === 2 &&
      new Set(ids).size === 2 &&
      [...extensions].every((e) => isDictatedUsage(e.extnID, Buffer.from(e.extnValue.buffer)));
    return right ? undefined : { code: 'HR-ID-010' };
  } catch {
    return { code: 'HR-ID-010' };
  }
}

/** digitalSignature is bit 0: BIT STRING with 7 unused bits; and the SEQUENCE of clientAuth alone. RFC 5280 §4.2.1.3 and §4.2.1.12, of DER there is one form each. */
const DICTATED: ReadonlyMap<string, Buffer> = new Map([
  [KEY_USAGE, Buffer.from('03020780', 'hex')],
  [EXTENDED_KEY_USAGE, Buffer.from('300a06082b06010505070302', 'hex')],
]);

/** The value of a KeyUsage or ExtendedKeyUsage extension is exactly what Hedgerow asks for. */
export function isDictatedUsage(oid: string, value: Buffer): boolean {
  return DICTATED.get(oid)?.equals(value) === true;
}
