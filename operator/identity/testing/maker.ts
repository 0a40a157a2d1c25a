// A manufacturer in memory: a CA, and devices that leave its factory with an IDevID (IEEE 802.1AR). About a millisecond a device.
import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { oid, TAG, tlv } from '../der.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const BEGIN = new Date('2026-01-01T00:00:00Z');
/** IEEE 802.1AR §8.6: an IDevID does not expire. */
const END = new Date('2049-12-31T00:00:00Z');

/** PEM; `cert` may be a chain. */
export type FactoryDevice = { serial: string; key: string; cert: string };
export type FactoryOptions = {
  /** hwSerialNum of the HardwareModuleName, when it is another than in the subject. */
  moduleSerial?: string;
  /** A device of this key instead of a fresh one. */
  keys?: webcrypto.CryptoKeyPair;
  notBefore?: Date;
  notAfter?: Date;
};

export type Maker = {
  /** PEM of the CA certificate. */
  readonly caPem: string;
  /** SHA-256 of its DER, lower hex. */
  readonly fingerprint: string;
  device(serial: string, options?: FactoryOptions): Promise<FactoryDevice>;
  /** A production line: a CA under this one, whose devices send its certificate along. */
  line(name: string): Promise<Maker>;
};

export async function createMaker(name = 'Maker root'): Promise<Maker> {
  const keys = await newKeys();
  const ca = await certificateOf({ name, keys, issuer: name, signingKey: keys.privateKey, extensions: CA_EXTENSIONS });
  return makerOf(name, keys, ca, []);
}

export const newKeys = (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

const CA_EXTENSIONS = [new BasicConstraintsExtension(true, undefined, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)];

function makerOf(name: string, keys: webcrypto.CryptoKeyPair, ca: X509Certificate, sent: readonly X509Certificate[]): Maker {
  return {
    caPem: `${ca.toString('pem')}\n`,
    fingerprint: createHash('sha256').update(Buffer.from(ca.rawData)).digest('hex'),
    async device(serial, options = {}) {
      const own = options.keys ?? (await newKeys());
      const leaf = await certificateOf({
        name: serial,
        keys: own,
        issuer: name,
        signingKey: keys.privateKey,
        extensions: [new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true), moduleName(options.moduleSerial ?? serial)],
        device: true,
        ...(options.notBefore === undefined ? {} : { notBefore: options.notBefore }),
        ...(options.notAfter === undefined ? {} : { notAfter: options.notAfter }),
      });
      const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', own.privateKey), 'PRIVATE KEY');
      return { serial, key, cert: [leaf, ...sent].map((certificate) => `${certificate.toString('pem')}\n`).join('') };
    },
    async line(lineName) {
      const lineKeys = await newKeys();
      const line = await certificateOf({
        name: lineName,
        keys: lineKeys,
        issuer: name,
        signingKey: keys.privateKey,
        extensions: CA_EXTENSIONS,
      });
      return makerOf(lineName, lineKeys, line, [line, ...sent]);
    },
  };
}

type Wanted = {
  name: string;
  keys: webcrypto.CryptoKeyPair;
  issuer: string;
  signingKey: webcrypto.CryptoKey;
  extensions: Extension[];
  device?: boolean;
  notBefore?: Date;
  notAfter?: Date;
};

async function certificateOf({
  name,
  keys,
  issuer,
  signingKey,
  extensions,
  device,
  notBefore,
  notAfter,
}: Wanted): Promise<X509Certificate> {
  return await X509CertificateGenerator.create(
    {
      serialNumber: createHash('sha256').update(`${issuer}/${name}/${counter++}`).digest('hex').slice(0, 14),
      subject: device === true ? [{ O: ['Maker'] }, { '2.5.4.5': [name] }] : [{ CN: [name] }],
      issuer: [{ CN: [issuer] }],
      notBefore: notBefore ?? BEGIN,
      notAfter: notAfter ?? END,
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: ALGORITHM,
      extensions,
    },
    webcrypto,
  );
}
let counter = 0;

/** RFC 4108 §5, as an otherName (RFC 5280 §4.2.1.6). */
function moduleName(serial: string): Extension {
  const module = tlv(TAG.sequence, oid('1.3.6.1.4.1.99999.1'), tlv(TAG.octetString, Buffer.from(serial)));
  const otherName = tlv(TAG.explicit0, oid('1.3.6.1.5.5.7.8.4'), tlv(TAG.explicit0, module));
  return new Extension('2.5.29.17', false, tlv(TAG.sequence, otherName));
}
