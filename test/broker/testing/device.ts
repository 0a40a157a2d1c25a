/** One MQTT client of a test, and what it saw in the words of the recordings: `accepted`, `refused 135`, `granted 1`. */

import { type EventEmitter, once } from 'node:events';
import mqtt, { type IClientOptions, type IConnackPacket, type MqttClient } from 'mqtt';
import type { Identity } from './pki.ts';

export type BrokerAddress = { host: string; port: number; caPem: string };
export type DeviceOptions = {
  protocol?: 4 | 5;
  clientId?: string;
  clean?: boolean;
  expirySeconds?: number;
  keepalive?: number;
  username?: string;
  will?: { topic: string; payload: string; qos?: 0 | 1 | 2; retain?: boolean };
};
export type PublishOptions = { qos?: 0 | 1 | 2; retain?: boolean; payload?: string };

// Far beyond anything a working broker needs, also on a busy machine.
const DEADLINE_MS = 30_000;

export class Device {
  readonly client: MqttClient;
  readonly connack: IConnackPacket;
  readonly received: { topic: string; payload: string; qos: number; retain: boolean; properties?: object }[] = [];
  /** Of the broker's DISCONNECT; null as long as there was none. */
  disconnectReason: number | null = null;
  closed = false;

  constructor(client: MqttClient, connack: IConnackPacket) {
    this.client = client;
    this.connack = connack;
    client.on('disconnect', (packet) => {
      this.disconnectReason = packet.reasonCode ?? 0;
    });
    client.on('close', () => {
      this.closed = true;
    });
    client.on('message', (topic, payload, { qos, retain, properties }) => {
      this.received.push({ topic, payload: payload.toString(), qos, retain, ...(properties ? { properties } : {}) });
    });
    client.on('error', () => undefined);
  }

  async publish(topic: string, { qos = 1, retain = false, payload = 'x' }: PublishOptions = {}): Promise<string> {
    if (this.closed) return 'connection closed';
    const answered = this.client.publishAsync(topic, payload, { qos, retain }).then(
      () => (qos === 0 ? 'sent' : 'accepted'),
      (error: { code?: number }) => `refused ${error.code}`,
    );
    return this.#orClosed(answered);
  }

  async subscribe(topic: string, qos: 0 | 1 | 2 = 1): Promise<string> {
    if (this.closed) return 'connection closed';
    const answered = new Promise<string>((resolve) => {
      this.client.subscribe(topic, { qos }, (error, granted, packet) => {
        const code = (packet?.granted as number[] | undefined)?.[0] ?? granted?.[0]?.qos;
        resolve(code === undefined ? `failed ${error?.message}` : code >= 0x80 ? `refused ${code}` : `granted ${code}`);
      });
    });
    return this.#orClosed(answered);
  }

  /** The broker may end the connection instead of answering. */
  #orClosed(answered: Promise<string>): Promise<string> {
    let onClose: () => void = () => undefined;
    const closed = new Promise<string>((resolve) => {
      onClose = () => resolve(JSON.stringify({ closed: true, disconnect: this.disconnectReason }));
      this.client.once('close', onClose);
    });
    return Promise.race([closed, answered]).finally(() => this.client.off('close', onClose));
  }

  async waitClosed(): Promise<void> {
    if (!this.closed) await this.#next('close');
  }

  async waitMessages(count: number): Promise<void> {
    while (this.received.length < count) await this.#next('message');
  }

  async #next(event: 'close' | 'message'): Promise<void> {
    await once(this.client as unknown as EventEmitter, event, { signal: AbortSignal.timeout(DEADLINE_MS) });
  }

  /** Nothing that was sent to this client before is still on its way after this: its own answer comes behind it. */
  async settle(): Promise<void> {
    await this.subscribe('settle/nowhere', 0);
  }

  async end(): Promise<void> {
    if (!this.closed) await this.client.endAsync(false);
  }

  /** Without DISCONNECT: the broker publishes the will. */
  drop(): void {
    this.client.stream.destroy();
  }
}

export type Attempt = { ok: true; device: Device } | { ok: false; code: number | undefined; error: string };

export async function tryConnect(broker: BrokerAddress, identity: Identity | undefined, options: DeviceOptions = {}): Promise<Attempt> {
  const client = mqtt.connect(mqttOptions(broker, identity, options));
  return new Promise((resolve) => {
    const fail = (error: { code?: unknown; message: string }) => {
      client.end(true);
      resolve({ ok: false, code: typeof error.code === 'number' ? error.code : undefined, error: String(error.code ?? error.message) });
    };
    let connack: IConnackPacket | undefined;
    // The session's queue follows at the heels of the CONNACK: whoever listens only after `connect` misses it.
    client.once('packetreceive', (packet) => {
      if (packet.cmd === 'connack') connack = packet;
      if (packet.cmd === 'connack' && (packet.reasonCode ?? packet.returnCode) === 0)
        resolve({ ok: true, device: new Device(client, packet) });
    });
    client.once('error', fail);
    client.once('close', () => connack ?? fail({ message: 'closed' }));
  });
}

function mqttOptions(broker: BrokerAddress, identity: Identity | undefined, options: DeviceOptions): IClientOptions {
  const { protocol = 5, clean = true, expirySeconds = 0 } = options;
  return {
    protocol: 'mqtts',
    host: broker.host,
    port: broker.port,
    servername: 'localhost',
    ca: broker.caPem,
    ...(identity ? { cert: identity.certPem, key: identity.keyPem } : {}),
    protocolVersion: protocol,
    clientId: options.clientId ?? 'i-chose-this',
    clean,
    keepalive: options.keepalive ?? 60,
    reconnectPeriod: 0,
    connectTimeout: DEADLINE_MS,
    resubscribe: false,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(protocol === 5 ? { properties: { sessionExpiryInterval: expirySeconds } } : {}),
    ...(options.will
      ? {
          will: {
            topic: options.will.topic,
            payload: Buffer.from(options.will.payload),
            qos: options.will.qos ?? 1,
            retain: options.will.retain ?? false,
          },
        }
      : {}),
  };
}
