// Directive CAs and the certificates of sites, made in code. Nothing of it is trusted outside the test.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const DAY_MS = 86_400_000;

export type DirectiveCa = { certificate: X509Certificate; pem: string; keys: CryptoKeyPair };
export type DirectiveKey = { keyPem: string; chainPem: string };

type CryptoKeyPair = webcrypto.CryptoKeyPair;

/** What a certificate should be; each default is right. */
export type Wanted = {
  site?: string;
  uris?: string[];
  usages?: string[];
  isCa?: boolean;
  notBefore?: number;
  notAfter?: number;
  algorithm?: 'P-256' | 'Ed25519' | 'P-384';
};

/** `under`: the CA that signs it; without one it signs itself. `isCa`: false for one that only pretends. */
export async function directiveCa(name: string, now: number, under?: DirectiveCa, isCa = true): Promise<DirectiveCa> {
  const keys = await keyPair('P-256');
  const extensions = [
    new BasicConstraintsExtension(isCa, undefined, true),
    new KeyUsagesExtension(isCa ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature, true),
  ];
  const certificate = await certify(
    `CN=${name}`,
    keys,
    under ?? { keys, subject: `CN=${name}` },
    extensions,
    now - DAY_MS,
    now + 36_500 * DAY_MS,
  );
  return { certificate, pem: certificate.toString('pem'), keys };
}

/** The key of a site with its chain, leaf first, as cert-manager writes them. */
export async function directiveKey(
  ca: DirectiveCa,
  now: number,
  wanted: Wanted = {},
  between: readonly DirectiveCa[] = [],
): Promise<DirectiveKey> {
  const { site = 'berlin', uris = [`urn:hedgerow:firmware:directive:${site}`], usages = [CODE_SIGNING], isCa = false } = wanted;
  const keys = await keyPair(wanted.algorithm ?? 'P-256');
  const extensions = [
    new BasicConstraintsExtension(isCa, undefined, true),
    new KeyUsagesExtension(isCa ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature, true),
    ...(usages.length === 0 ? [] : [new ExtendedKeyUsageExtension(usages)]),
    new SubjectAlternativeNameExtension(uris.map((value) => ({ type: 'url' as const, value }))),
  ];
  const [notBefore, notAfter] = [wanted.notBefore ?? now - 3_600_000, wanted.notAfter ?? now + 36_000 * DAY_MS];
  const leaf = await certify(`CN=firmware of ${site}`, keys, ca, extensions, notBefore, notAfter);
  const keyPem = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { keyPem, chainPem: [leaf, ...between.map(({ certificate }) => certificate)].map((one) => one.toString('pem')).join('\n') };
}

type Issuer = DirectiveCa | { keys: CryptoKeyPair; subject: string };

function certify(
  subject: string,
  keys: CryptoKeyPair,
  issuer: Issuer,
  extensions: Extension[],
  notBefore: number,
  notAfter: number,
): Promise<X509Certificate> {
  return X509CertificateGenerator.create(
    {
      subject,
      issuer: 'certificate' in issuer ? issuer.certificate.subject : issuer.subject,
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      publicKey: keys.publicKey,
      signingKey: issuer.keys.privateKey,
      signingAlgorithm: P256,
      extensions,
    },
    webcrypto,
  );
}

async function keyPair(algorithm: 'P-256' | 'Ed25519' | 'P-384'): Promise<CryptoKeyPair> {
  const asked = algorithm === 'Ed25519' ? { name: 'Ed25519' } : { name: 'ECDSA', namedCurve: algorithm };
  return (await webcrypto.subtle.generateKey(asked, true, ['sign', 'verify'])) as CryptoKeyPair;
}
