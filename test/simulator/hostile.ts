// What an attacker with network access tries first. Each attempt resolves to how the broker answered; none of them throws.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { PemConverter, X509CertificateGenerator } from '@peculiar/x509';
import type { IClientOptions } from 'mqtt';
import { type Answer, answerOfError } from './answer.ts';
import { type BrokerAddress, connectOptions, open, type SimulatedDevice } from './device.ts';
import type { DeviceIdentity, DeviceKey } from './key.ts';

/** `refused` only where the broker said no, in TLS or in MQTT: a broker that is not there refuses nobody. */
export type Attempt = { refused: boolean; how: string };

/** CONNECT without any client certificate: TLS must end it (RFC 8446 §4.4.2.4 certificate_required). */
export async function connectWithoutCertificate(address: BrokerAddress): Promise<Attempt> {
  const { key: _key, cert: _cert, ...anonymous } = connectOptions(address, { privateKeyPem: '' }, '');
  return attemptConnect(anonymous);
}

/** CONNECT with the given certificate and key, whatever they are: revoked, foreign, expired. */
export function connectWith(
  address: BrokerAddress,
  key: Pick<DeviceKey, 'privateKeyPem'>,
  certificatePem: string,
  options: IClientOptions = {},
): Promise<Attempt> {
  return attemptConnect({ ...connectOptions(address, key, certificatePem), ...options });
}

/** A certificate with the victim's subject, to the letter, that the attacker signed himself. */
export async function forge(who: DeviceIdentity): Promise<{ certificatePem: string; privateKeyPem: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '4711',
      name: [{ O: ['hedgerow'] }, { OU: [`${who.segment}.${who.namespace}`] }, { CN: [`${who.device}.${who.namespace}`] }],
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(Date.now() + 86_400_000),
      keys,
      signingAlgorithm: algorithm,
    },
    webcrypto,
  );
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificatePem: certificate.toString('pem'), privateKeyPem: PemConverter.encode(pkcs8, 'PRIVATE KEY') };
}

export async function publishInTheNameOf(attacker: SimulatedDevice, victim: SimulatedDevice): Promise<Attempt> {
  const topic = `dt/${victim.who.segment}.${victim.who.namespace}/${victim.name}/temperature`;
  return attemptOf(await attacker.tryPublish(topic, JSON.stringify({ v: 1, boot: 1, seq: 1, ts: Date.now(), m: { celsius: -40 } })));
}

export async function eavesdrop(attacker: SimulatedDevice, filter: string): Promise<Attempt> {
  return attemptOf(await attacker.trySubscribe(filter));
}

function attemptOf({ given, how }: Answer): Attempt {
  return { refused: given === 'refused', how };
}

async function attemptConnect(options: IClientOptions): Promise<Attempt> {
  try {
    const client = await open(options);
    await client.endAsync(true);
    // TLS 1.3: the server judges the client's certificate after the client thinks the handshake done; but CONNACK came, so it was let in.
    return { refused: false, how: 'connected' };
  } catch (error) {
    return refusalOf(error);
  }
}

/** Of the error of a connection that did not come about: was it the broker that said no, and in which words? */
export function refusalOf(error: unknown): Attempt {
  const answer = answerOfError('CONNACK', error);
  if (answer.given === 'refused') return { refused: true, how: answer.how };
  const alert = tlsAlertOf(error);
  if (alert !== undefined) return { refused: true, how: `TLS alert: ${alert}` };
  return answer.how === CLOSED
    ? { refused: true, how: 'connection closed by the broker before CONNACK' }
    : { refused: false, how: answer.how };
}

/** The library's words for an orderly end after TCP was connected: some servers judge a certificate after the handshake and send no alert. */
const CLOSED = "Couldn't connect to server";

/** The alert as OpenSSL words it, undefined when the connection ended in another way. */
function tlsAlertOf(error: unknown): string | undefined {
  const { code = '', message = '' } = error as { code?: unknown; message?: string };
  const words = /alert ([a-z ]+):/.exec(message)?.[1];
  if (words !== undefined) return words;
  return typeof code === 'string' && code.startsWith('ERR_SSL_')
    ? code.slice('ERR_SSL_'.length).toLowerCase().replaceAll('_', ' ')
    : undefined;
}
