// The certificates of a cluster, made in code: ECDSA P-256, one CA for the API, one for etcd (whoever may talk to the API server may not talk to its store).
import 'reflect-metadata';
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

export type Pem = { cert: string; key: string };
export type Authority = Pem & { name: string };
/** Who a certificate stands for: Kubernetes reads the user from CN and the groups from O. */
export type Subject = { user: string; groups?: readonly string[] };

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** Reads the authority kept in `dir`, or makes it there: the key never leaves the cluster's folder. */
export async function authority(dir: string, name: string): Promise<Authority> {
  const files = { cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) };
  try {
    return { name, cert: await readFile(files.cert, 'utf8'), key: await readFile(files.key, 'utf8') };
  } catch {
    const made = await makeAuthority(name);
    await writePem(dir, name, made);
    return made;
  }
}

/** A certificate for a server, valid for these DNS names and addresses; also a client certificate where `alsoClient` says so (etcd's peers are both). */
export async function serverCertificate(by: Authority, commonName: string, names: readonly string[], alsoClient = false): Promise<Pem> {
  const usages = alsoClient ? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth] : [ExtendedKeyUsage.serverAuth];
  const alternative = names.map((name) => ({ type: /^[\d.]+$|:/.test(name) ? ('ip' as const) : ('dns' as const), value: name }));
  return issue(by, { user: commonName }, usages, [new SubjectAlternativeNameExtension(alternative)]);
}

export async function clientCertificate(by: Authority, subject: Subject): Promise<Pem> {
  return issue(by, subject, [ExtendedKeyUsage.clientAuth], []);
}

/** The key that signs ServiceAccount tokens. */
export function signingKey(): { privateKey: string; publicKey: string } {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
}

export async function writePem(dir: string, name: string, pem: Pem): Promise<{ cert: string; key: string }> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const files = { cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) };
  await writeFile(files.cert, pem.cert);
  await writeFile(files.key, pem.key, { mode: 0o600 });
  return files;
}

async function makeAuthority(name: string): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const cert = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    ...validity(),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return { name, cert: cert.toString('pem'), key: await exportKey(keys.privateKey) };
}

type Extensions = NonNullable<Parameters<typeof X509CertificateGenerator.create>[0]['extensions']>;

async function issue(by: Authority, subject: Subject, usages: ExtendedKeyUsage[], extra: Extensions): Promise<Pem> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const issuer = new X509Certificate(by.cert);
  const name = new Name([...(subject.groups ?? []).map((group) => ({ O: [group] })), { CN: [subject.user] }]);
  const cert = await X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: name.toString(),
    issuer: issuer.subject,
    ...validity(),
    publicKey: keys.publicKey,
    signingKey: await importKey(by.key),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(usages),
      ...extra,
    ],
  });
  return { cert: cert.toString('pem'), key: await exportKey(keys.privateKey) };
}

function validity(): { notBefore: Date; notAfter: Date } {
  // An hour back, so that a clock that is corrected meanwhile does no harm.
  return { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 365 * DAY_MS) };
}

function serial(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)));
  // RFC 5280 §4.1.2.2: positive.
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return bytes.toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = PemConverter.decode(pem);
  if (der === undefined) throw new Error('no private key in the file of the authority');
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}
