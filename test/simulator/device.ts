// A device as a real MQTT client: mutual TLS with its own key, telemetry in the envelope of design/api.md, and an account of what happened to its connection.
import { connectAsync, type IClientOptions, type IClientPublishOptions, type MqttClient } from 'mqtt';
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
  connect(address: BrokerAddress, certificatePem: string, options?: IClientOptions): Promise<void>;
  /** Publishes one reading per stream with QoS 1 and resolves to the number the broker accepted (a refused one is not counted). */
  publishReadings(tick: number): Promise<number>;
  /** QoS 1 and not retained unless `options` says otherwise. QoS 0 has no answer and so counts as refused. */
  publish(topic: string, payload: string, options?: Pick<IClientPublishOptions, 'qos' | 'retain'>): Promise<'accepted' | 'refused'>;
  subscribe(filter: string): Promise<'granted' | 'refused'>;
  received: { topic: string; payload: string }[];
  close(): Promise<void>;
};

/** MQTT 5 reason codes from 0x80 on are refusals (§2.4). */
const FIRST_REFUSAL = 0x80;
const CONNECT_TIMEOUT_MS = 10_000;

export async function createDevice(who: DeviceIdentity, seed: number, marker = ''): Promise<SimulatedDevice> {
  const key = await makeDeviceKey(who);
  const name = `${who.device}.${who.namespace}`;
  const received: { topic: string; payload: string }[] = [];
  let client: MqttClient | undefined;
  let endedAt: number | undefined;
  let seq = 0;
  const waiting = new Set<() => void>();

  /** `refused` also when the connection ends before the answer comes: the library would wait for a reconnect that never happens. */
  function unlessClosed<T>(refused: T, ask: (open: MqttClient) => Promise<T>): Promise<T> {
    const open = client;
    if (open === undefined || !open.connected) return Promise.resolve(refused);
    return new Promise((resolve) => {
      const give = (): void => resolve(refused);
      waiting.add(give);
      ask(open)
        .then(resolve, give)
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
    async connect(address, certificatePem, options = {}) {
      endedAt = undefined;
      client = await connectAsync({ ...connectOptions(address, key, certificatePem), ...options });
      client.on('close', () => {
        endedAt ??= performance.now();
        for (const give of waiting) give();
      });
      client.on('error', () => {}); // a kicked connection also reports an error: `close` above is what counts
      client.on('message', (topic, payload) => received.push({ topic, payload: payload.toString() }));
    },
    async publishReadings(tick) {
      let accepted = 0;
      for (const { stream, m } of readings(seed, tick)) {
        seq += 1;
        const envelope = { v: 1, boot: 1, seq, ts: Date.now(), m, ...(marker === '' ? {} : { note: marker }) };
        const topic = `dt/${who.segment}.${who.namespace}/${name}/${stream}`;
        if ((await device.publish(topic, JSON.stringify(envelope))) === 'accepted') accepted += 1;
      }
      return accepted;
    },
    publish: (topic, payload, options = {}) =>
      unlessClosed('refused', async (open) => {
        const packet = await open.publishAsync(topic, payload, { qos: 1, ...options });
        const reason = packet !== undefined && 'reasonCode' in packet ? (packet.reasonCode as number | undefined) : undefined;
        return (reason ?? 0) >= FIRST_REFUSAL ? 'refused' : 'accepted';
      }),
    subscribe: (filter) =>
      unlessClosed('refused', async (open) => {
        const grants = await open.subscribeAsync(filter, { qos: 1 });
        return grants.every((grant) => grant.qos < FIRST_REFUSAL) ? 'granted' : 'refused';
      }),
    async close() {
      await client?.endAsync(true).catch(() => {});
    },
  };
  return device;
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
