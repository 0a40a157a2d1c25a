// Devices that connect to the broker and come back by themselves whenever the connection ends, as firmware does: refused or not, they try again.
import mqtt from 'mqtt';
import { type BrokerAddress, connectOptions } from '../simulator/device.ts';
import type { FleetDevice } from './fleet.ts';

export type Connection = {
  /** `<device>.<namespace>` */
  readonly name: string;
  connected(): boolean;
  /** How often the broker let it in so far. */
  accepted(): number;
  /** How often the broker answered CONNECT with a refusal, or ended the handshake before it with a TLS alert (RFC 8446 §6.2). */
  refused(): number;
  close(): Promise<void>;
};

const AGAIN_AFTER_MS = 500;

export function keepConnected(
  device: FleetDevice,
  certificatePem: string,
  address: BrokerAddress,
  options: { againAfterMs?: number; onConnected?: (client: mqtt.MqttClient) => void } = {},
): Connection {
  const client = mqtt.connect({
    ...connectOptions(address, device.key, certificatePem),
    reconnectPeriod: options.againAfterMs ?? AGAIN_AFTER_MS,
    reconnectOnConnackError: true,
    resubscribe: false,
  });
  let accepted = 0;
  let refused = 0;
  client.on('connect', () => {
    accepted += 1;
    options.onConnected?.(client);
  });
  client.on('error', (error) => {
    // ErrorWithReasonCode of a CONNACK carries its code as a number; network and TLS errors have a text or none.
    const code: unknown = 'code' in error ? error.code : undefined;
    if (typeof code === 'number' || (typeof code === 'string' && code.includes('ALERT'))) refused += 1;
  });
  return {
    name: `${device.name}.${device.namespace}`,
    connected: () => client.connected,
    accepted: () => accepted,
    refused: () => refused,
    close: () => client.endAsync(true).catch(() => undefined),
  };
}
