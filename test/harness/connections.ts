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
  /** How often the broker answered CONNECT with a refusal. */
  refused(): number;
  /** How often a connection ended: refused, broken off in the handshake, or closed. */
  ended(): number;
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
  let ended = 0;
  client.on('close', () => {
    ended += 1;
  });
  client.on('connect', () => {
    accepted += 1;
    options.onConnected?.(client);
  });
  client.on('error', (error) => {
    // ErrorWithReasonCode of a CONNACK carries its code as a number; network and TLS errors have a text or none.
    if ('code' in error && typeof error.code === 'number') refused += 1;
  });
  return {
    name: `${device.name}.${device.namespace}`,
    connected: () => client.connected,
    accepted: () => accepted,
    refused: () => refused,
    ended: () => ended,
    close: () => client.endAsync(true).catch(() => undefined),
  };
}
