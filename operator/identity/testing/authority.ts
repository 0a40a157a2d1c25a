// A certificate authority in memory: what an issuer makes of a request, the right thing or something else.
import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

export type Names = { device?: string; segment?: string; namespace?: string };
export type Signing = {
  notBefore: number;
  notAfter: number;
  /** Instead of the subject of the request, in order. */
  subject?: readonly [short: string, value: string][];
  /** A request whose key is certified instead. */
  keyOf?: string;
  isCa?: boolean;
  usages?: readonly string[];
  keyUsage?: number;
  serial?: string;
  /** SubjectAltNames; what the request asks for does not count. */
  uris?: readonly string[];
  /** Instead of the authority of this file, of which there is no certificate. */
  by?: Root;
};

/** A self-signed CA: its certificate in PEM. */
export type Root = { name: string; pem: string; keys: webcrypto.CryptoKeyPair };

/** A fresh P-256 key and its request for `O=hedgerow, OU=<segment>.<namespace>, CN=<device>.<namespace>`. */
export async function makeCsr({ device = 'thermo-17', segment = 'office', namespace = 'berlin' }: Names = {}): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  return await sign(keys, { device, segment, namespace });
}

/** Requests of one key for several names: a device that moved, or a key that was copied. */
export async function makeCsrsOfOneKey(...all: Names[]): Promise<string[]> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  return await Promise.all(all.map((names) => sign(keys, { device: 'thermo-17', segment: 'office', namespace: 'berlin', ...names })));
}

async function sign(keys: webcrypto.CryptoKeyPair, names: Required<Names>): Promise<string> {
  const { device, segment, namespace } = names;
  const request = await Pkcs10CertificateRequestGenerator.create(
    {
      name: [{ O: ['hedgerow'] }, { OU: [`${segment}.${namespace}`] }, { CN: [`${device}.${namespace}`] }],
      keys,
      signingAlgorithm: ALGORITHM,
    },
    webcrypto,
  );
  return `${request.toString('pem')}\n`;
}

const caKeys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
let signed = 0;

/** A fresh key under this name: two of one name are a CA before and after its rotation. */
export async function makeRoot(name = 'site root', how: { isCa?: boolean } = {}): Promise<Root> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: String(++signed).padStart(4, '0'),
      name: `CN=${name}`,
      notBefore: new Date('2020-01-01'),
      notAfter: new Date('2040-01-01'),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [new BasicConstraintsExtension(how.isCa ?? true, undefined, true)],
    },
    webcrypto,
  );
  return { name, pem: `${certificate.toString('pem')}\n`, keys };
}

/** PEM of a certificate for a request, with exactly the usages that Hedgerow asks for unless told otherwise. */
export async function issue(csrPem: string, how: Signing): Promise<string> {
  const request = new Pkcs10CertificateRequest(csrPem);
  const subject = how.subject?.map(([short, value]) => ({ [short]: [value] }));
  const extensions: Extension[] = [
    new ExtendedKeyUsageExtension([...(how.usages ?? [CLIENT_AUTH])]),
    new KeyUsagesExtension(how.keyUsage ?? KeyUsageFlags.digitalSignature, true),
    ...(how.uris === undefined ? [] : [new SubjectAlternativeNameExtension(how.uris.map((value) => ({ type: 'url', value })))]),
    ...(how.isCa === true ? [new BasicConstraintsExtension(true, 0, true)] : []),
  ];
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: how.serial ?? createHash('sha256').update(`${++signed}`).digest('hex').slice(0, 30),
      subject: subject ?? request.subjectName.toJSON(),
      issuer: `CN=${how.by?.name ?? 'site root'}`,
      notBefore: new Date(how.notBefore),
      notAfter: new Date(how.notAfter),
      publicKey: how.keyOf === undefined ? request.publicKey : new Pkcs10CertificateRequest(how.keyOf).publicKey,
      signingKey: (how.by?.keys ?? caKeys).privateKey,
      signingAlgorithm: ALGORITHM,
      extensions,
    },
    webcrypto,
  );
  return `${certificate.toString('pem')}\n`;
}
