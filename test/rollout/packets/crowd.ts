// Thousands of devices in one process, each with a socket of its own to the broker: the device state machine of the virtual fleet, MQTT 5 packets, and mutual TLS where it has
// a certificate. Its time runs faster than the clock.
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { connect as connectPlainly, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { generate, type Packet, parser } from 'mqtt-packet';
import { type Ground, VirtualDevice } from '../../firmware/fleet/device.ts';
import { type Nature, natureOf } from '../../firmware/fleet/nature.ts';
import { between, seeded } from '../../firmware/fleet/random.ts';
import { readerOf } from '../../firmware/fleet/reading.ts';
import { NEW, nameOf, OLD } from '../../firmware/fleet/scene.ts';
import type { CrowdNews, CrowdOrder, Pem } from './messages.ts';

const TELL_MS = 250;
const VERIFIES = 10;
const START_WITHIN_MS = 60_000;
const KEEPALIVE_SECONDS = 600;
/** Away for a short while instead of hours: [0.03, 0.2] h at the pace of the crowd. */
const AWAY_HOURS: [number, number] = [0.03, 0.2];

type Line = { socket: Socket; isUp: boolean; unanswered: Map<number, string>; last: number };
const lines = new Map<VirtualDevice, Line>();
const devices: VirtualDevice[] = [];
const told = new Set<VirtualDevice>();
let packets = 0;

process.on('message', (order: CrowdOrder) => join(order));
process.on('disconnect', () => process.exit(0));

function join(order: CrowdOrder): void {
  const ground = groundOf(order);
  const random = seeded(order.seed);
  const bootKeys = new Map(order.bootKeys);
  for (const at of order.devices) {
    const pem = bootKeys.get(at);
    const privateKey = pem === undefined ? undefined : createPrivateKey(pem);
    const device = new VirtualDevice({
      ...{ name: nameOf(at), nature: nearby(natureOf(at, order.seed)), image: OLD, ground, seed: order.seed * 1_000_003 + at },
      bootKeys: privateKey === undefined ? undefined : { privateKey, publicKey: createPublicKey(privateKey) },
    });
    devices.push(device);
    ground.after(between(random, 0, START_WITHIN_MS), () => device.start());
  }
  setInterval(tell, TELL_MS);
}

const nearby = (nature: Nature): Nature =>
  nature.away?.hours === undefined ? nature : { ...nature, away: { from: 'Start', hours: AWAY_HOURS } };

function tell(): void {
  const news = devices.filter((device) => device.image.digest === NEW.digest && !told.has(device));
  for (const device of news) told.add(device);
  const busy = devices.filter((device) => device.isBusy).length;
  const connected = [...lines.values()].filter(({ isUp }) => isUp).length;
  process.send?.({ kind: 'crowd', busy, connected, packets, runsNew: news.map(({ name }) => name) } satisfies CrowdNews);
}

function groundOf(order: CrowdOrder): Ground {
  const { pace, seed, directiveCaPem } = order;
  const startedAt = Date.now();
  const random = seeded(seed + 1);
  const identities = new Map(order.identities.map(([at, pem]) => [nameOf(at), pem]));
  const after = (ms: number, act: () => void): void => void setTimeout(act, ms / pace);
  return {
    now: () => startedAt + (Date.now() - startedAt) * pace,
    after,
    lie: ({ lie }) => lie?.({ digest: NEW.digest, securityCounter: NEW.securityCounter }),
    read: readerOf([new X509Certificate(directiveCaPem)], VERIFIES),
    connect: (device, take) => open(device, take, order, identities.get(device.name)),
    disconnect(device) {
      const line = lines.get(device);
      lines.delete(device);
      line?.socket.destroy();
    },
    publish(device, topic, payload) {
      const { wire } = device.nature;
      if (wire === 'messages lost' && random() < 0.3) return;
      if (wire === 'out of order and twice') {
        after(between(random, 1, 9000), () => send(device, topic, payload));
        return after(between(random, 1, 9000), () => send(device, topic, payload));
      }
      if (wire === 'slow') return after(4000, () => send(device, topic, payload));
      send(device, topic, payload);
    },
  };
}

const RETRY_MS = 1000;

function open(device: VirtualDevice, take: () => boolean, order: CrowdOrder, pem: Pem | undefined): void {
  const { host, tls, plain, caPem } = order.wire;
  const socket =
    pem === undefined
      ? connectPlainly({ host, port: plain })
      : connectTls({
          host,
          port: tls,
          servername: 'localhost',
          secureContext: createSecureContext({ key: pem.keyPem, cert: pem.certPem, ca: caPem }),
        });
  const line: Line = { socket, isUp: false, unanswered: new Map(), last: 0 };
  const packet = parser({ protocolVersion: 5 });
  const write = (one: Packet): void => void socket.write(generate(one, { protocolVersion: 5 }));
  socket.on(pem === undefined ? 'connect' : 'secureConnect', () =>
    write({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId: device.name, clean: true, keepalive: KEEPALIVE_SECONDS }),
  );
  socket.on('data', (bytes) => {
    packets += 1;
    packet.parse(bytes);
  });
  packet.on('packet', (one: Packet) => {
    if (one.cmd === 'connack') {
      lines.get(device)?.socket.destroy();
      lines.set(device, line);
      line.isUp = true;
      if (!take()) return void socket.destroy();
      // Hello and state go first; what is retained comes after them.
      write({ cmd: 'subscribe', messageId: 65_535, subscriptions: [{ topic: `ota/v1/d/${device.name}/directive`, qos: 1 }] } as Packet);
    } else if (one.cmd === 'publish') {
      if (one.qos === 1) write({ cmd: 'puback', messageId: one.messageId, reasonCode: 0 } as Packet);
      if (line.isUp && lines.get(device) === line) device.receive(one.payload as Buffer);
    } else if (one.cmd === 'puback') answered(device, line, one.messageId ?? 0);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    if (lines.get(device) === line) {
      lines.delete(device);
      device.disconnected();
    } else if (!line.isUp) setTimeout(() => open(device, take, order, pem), RETRY_MS);
  });
}

function answered(device: VirtualDevice, { unanswered }: Line, id: number): void {
  const payload = unanswered.get(id);
  unanswered.delete(id);
  if (payload !== undefined && (device.nature.wire !== 'acknowledgements lost' || id % 2 === 0)) device.acknowledged(payload);
}

function send(device: VirtualDevice, topic: 'hello' | 'state', payload: string): void {
  const line = lines.get(device);
  if (line === undefined || !line.isUp) return;
  line.last = (line.last % 60_000) + 1;
  line.unanswered.set(line.last, payload);
  packets += 1;
  const publish = {
    cmd: 'publish',
    topic: `ota/v1/d/${device.name}/${topic}`,
    payload,
    qos: 1,
    retain: topic === 'state',
    dup: false,
    messageId: line.last,
  };
  line.socket.write(generate(publish as Packet, { protocolVersion: 5 }));
}
