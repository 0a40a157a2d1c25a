// A device as a real MQTT client: mutual TLS with its own key, telemetry in the envelope of design/api.md, and an account of what happened to its connection.

import { connectAsync, type IClientOptions, type IClientPublishOptions, type MqttClient } from 'mqtt';
import { type Answer, answerOf, answerOfError } from './answer.ts';
import { type DeviceIdentity, type DeviceKey, makeDeviceKey } from './key.ts';
import { readings } from './office.ts';

export type BrokerAddress = { host: string; port: number; caPem: string };
export type SimulatedDevice = {
  readonly who: DeviceIdentity;
  readonly name: string;
  readonly key: DeviceKey;
  connected(): boolean;
  /** When the last connection ended (ms of `performance.now()`), undefined while connected or before the first. */
  endedAt(): number | undefined;
  /** The reason code of the DISCONNECT with which the broker ended the last connection (MQTT 5 §3.14), undefined when it sent none. */
  endedWith(): number | undefined;
  connect(address: BrokerAddress, certificatePem: string, options?: IClientOptions): Promise<void>;
  /** Publishes one reading per stream with QoS 1 and resolves to the number the broker accepted (a refused one is not counted). */
  publishReadings(tick: number): Promise<number>;
  /** QoS 1 and not retained unless `options` says otherwise. QoS 0 has no answer: there `accepted` only says that it was sent. */
  publish(topic: string, payload: string, options?: Pick<IClientPublishOptions, 'qos' | 'retain'>): Promise<'accepted' | 'refused'>;
  subscribe(filter: string): Promise<'granted' | 'refused'>;
  /** One message in the envelope of design/api.md; tells a refusal from a broken connection. */
  tell(topic: string, m: Record<string, number | string>, options?: { retain?: boolean }): Promise<Answer>;
  tryPublish(topic: string, payload: string, options?: Pick<IClientPublishOptions, 'qos' | 'retain'>): Promise<Answer>;
  trySubscribe(filter: string): Promise<Answer>;
  received: { topic: string; payload: string }[];
  /** Called with each message from now on, over all connections. */
  hear(listener: (topic: string, payload: string) => void): void;
  close(): Promise<void>;
};

const CONNECT_TIMEOUT_MS = 10_000;

/** `ownKey`: the key that it has already (a software device with a Secret); otherwise it makes one. `marker` goes into every message. */
export async function createDevice(who: DeviceIdentity, seed: number, marker = '', ownKey?: DeviceKey): Promise<SimulatedDevice> {
  const key = ownKey ?? (await makeDeviceKey(who));
  const name = `${who.device}.${who.namespace}`;
  const received: { topic: string; payload: string }[] = [];
  const listeners: ((topic: string, payload: string) => void)[] = [];
  let client: MqttClient | undefined;
  let endedAt: number | undefined;
  let endedWith: number | undefined;
  let seq = 0;
  const waiting = new Set<() => void>();

  /** Also when the connection ends before the answer comes: the library would wait for a reconnect that never happens. */
  function ask(packet: 'PUBACK' | 'SUBACK', send: (connection: MqttClient) => Promise<number>): Promise<Answer> {
    const connection = client;
    if (connection === undefined || !connection.connected) return Promise.resolve({ given: 'none', how: 'not connected' });
    return new Promise((resolve) => {
      const give = (): void => resolve({ given: 'none', how: 'the connection ended before the answer' });
      waiting.add(give);
      send(connection)
        .then(
          (code) => resolve(answerOf(packet, code)),
          (error: unknown) => resolve(answerOfError(packet, error)),
        )
        .finally(() => waiting.delete(give));
    });
  }

  const device: SimulatedDevice = {
    who,
    name,
    key,
    received,
    connected: () => client?.connected ?? false,
    endedAt: () => endedAt,
    endedWith: () => endedWith,
    async connect(address, certificatePem, options = {}) {
      endedAt = undefined;
      endedWith = undefined;
      client = await open({ ...connectOptions(address, key, certificatePem), ...options });
      client.on('close', () => {
        endedAt ??= performance.now();
        for (const give of waiting) give();
      });
      client.on('disconnect', (packet) => {
        endedWith = packet.reasonCode;
      });
      client.on('error', () => {}); // a kicked connection also reports an error: `close` above is what counts
      client.on('message', (topic, payload) => {
        received.push({ topic, payload: payload.toString() });
        for (const listener of listeners) listener(topic, payload.toString());
      });
    },
    async publishReadings(tick) {
      let accepted = 0;
      for (const { stream, m } of readings(seed, tick)) {
        const answer = await device.tell(`dt/${who.segment}.${who.namespace}/${name}/${stream}`, m);
        if (answer.given === 'accepted') accepted += 1;
      }
      return accepted;
    },
    tell(topic, m, options) {
      seq += 1;
      const envelope = { v: 1, boot: 1, seq, ts: Date.now(), m, ...(marker === '' ? {} : { note: marker }) };
      return device.tryPublish(topic, JSON.stringify(envelope), options);
    },
    publish: async (topic, payload, options) =>
      (await device.tryPublish(topic, payload, options)).given === 'accepted' ? 'accepted' : 'refused',
    subscribe: async (filter) => ((await device.trySubscribe(filter)).given === 'accepted' ? 'granted' : 'refused'),
    tryPublish: (topic, payload, options) =>
      ask('PUBACK', async (connection) => {
        const packet = await connection.publishAsync(topic, payload, { qos: 1, ...options });
        return (packet as { reasonCode?: number } | undefined)?.reasonCode ?? 0;
      }),
    trySubscribe: (filter) =>
      ask('SUBACK', async (connection) => Math.max(0, ...(await connection.subscribeAsync(filter, { qos: 1 })).map((grant) => grant.qos))),
    hear: (listener) => void listeners.push(listener),
    async close() {
      await client?.endAsync(true).catch(() => {});
    },
  };
  return device;
}

/** Rejects also when the server closes without a word: by itself the library would wait for ever. */
export function open(options: IClientOptions): Promise<MqttClient> {
  return connectAsync(`${options.protocol ?? 'mqtts'}://${options.host}:${options.port}`, options, false);
}

/** Options of one mutual-TLS connection, MQTT 5, no reconnect by itself: the caller decides. */
export function connectOptions(address: BrokerAddress, key: Pick<DeviceKey, 'privateKeyPem'>, certificatePem: string): IClientOptions {
  return {
    protocol: 'mqtts',
    host: address.host,
    port: address.port,
    servername: 'localhost',
    ca: address.caPem,
    key: key.privateKeyPem,
    cert: certificatePem,
    protocolVersion: 5,
    reconnectPeriod: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepalive: 30,
  };
}
