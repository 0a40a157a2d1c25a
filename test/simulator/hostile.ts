// What an attacker with network access tries first. Each attempt resolves to how the broker answered; none of them throws.
import { connectAsync, type IClientOptions } from 'mqtt';
import { type BrokerAddress, connectOptions, type SimulatedDevice } from './device.ts';
import type { DeviceKey } from './key.ts';

export type Attempt = { refused: boolean; how: string };

/** CONNECT without any client certificate: TLS must end it (RFC 8446 §4.4.2.4 certificate_required). */
export async function connectWithoutCertificate(address: BrokerAddress): Promise<Attempt> {
  const { key: _key, cert: _cert, ...anonymous } = connectOptions(address, { privateKeyPem: '' }, '');
  return attemptConnect(anonymous);
}

/** CONNECT with the given certificate and key, whatever they are: revoked, foreign, expired. */
export function connectWith(address: BrokerAddress, key: DeviceKey, certificatePem: string): Promise<Attempt> {
  return attemptConnect(connectOptions(address, key, certificatePem));
}

export async function publishInTheNameOf(attacker: SimulatedDevice, victim: SimulatedDevice): Promise<Attempt> {
  const topic = `dt/${victim.who.segment}.${victim.who.namespace}/${victim.name}/temperature`;
  const answer = await attacker.publish(topic, JSON.stringify({ v: 1, boot: 1, seq: 1, ts: Date.now(), m: { celsius: -40 } }));
  return { refused: answer === 'refused', how: answer === 'refused' ? 'PUBACK not authorized' : 'accepted' };
}

export async function eavesdrop(attacker: SimulatedDevice, filter: string): Promise<Attempt> {
  const answer = await attacker.subscribe(filter);
  return { refused: answer === 'refused', how: answer === 'refused' ? 'SUBACK not authorized' : 'granted' };
}

async function attemptConnect(options: IClientOptions): Promise<Attempt> {
  try {
    const client = await connectAsync(options);
    // TLS 1.3: the server judges the client's certificate after the client thinks the handshake done, so the end can come a moment later.
    await client.endAsync(true);
    return { refused: false, how: 'connected' };
  } catch (error) {
    return { refused: true, how: error instanceof Error ? error.message : String(error) };
  }
}
