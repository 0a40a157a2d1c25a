import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { generate, type Packet, parser } from 'mqtt-packet';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FakeClock, systemClock } from '../../../operator/runtime/clock.ts';
import { silentLog } from '../../../operator/runtime/log.ts';
import { type DeviceCa, type Identity, makeDeviceCa, SERVER_AUTH } from '../../../test/broker/testing/pki.ts';
import type { Publish } from './reader.ts';
import { type Subscription, subscribe } from './subscription.ts';

let ca: DeviceCa;
let server: Identity;
let client: Identity;
beforeAll(async () => {
  ca = await makeDeviceCa('site');
  server = await ca.issue([[{ type: 'CN', value: 'localhost' }]], { usages: [SERVER_AUTH] });
  client = await ca.issue([[{ type: 'CN', value: 'gateway.berlin' }]]);
});

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** A broker that does what the test says: it hears packets, and sends what it is given. */
async function broker() {
  const heard: { from: number; packet: Packet }[] = [];
  const sockets: TLSSocket[] = [];
  const tls: Server = createServer({ key: server.keyPem, cert: server.certPem, ca: ca.certPem, requestCert: true }, (socket) => {
    const from = sockets.push(socket) - 1;
    const read = parser({ protocolVersion: 5 });
    read.on('packet', (packet) => heard.push({ from, packet }));
    socket.on('data', (chunk) => read.parse(chunk));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      tls.close();
    },
  });
  return {
    port: (tls.address() as AddressInfo).port,
    send: (to: number, ...packets: Packet[]) =>
      sockets[to]?.write(Buffer.concat(packets.map((packet) => generate(packet, { protocolVersion: 5 })))),
    cut: (to: number) => sockets[to]?.destroy(),
    of: <Cmd extends Packet['cmd']>(cmd: Cmd, from: number) =>
      heard.flatMap((one) => (one.from === from && one.packet.cmd === cmd ? [one.packet as Packet & { cmd: Cmd }] : [])),
  };
}

function follow(port: number, received: Publish[], more: Partial<Parameters<typeof subscribe>[0]> = {}): Subscription & { said: string[] } {
  const said: string[] = [];
  const one = subscribe({
    ...{ host: '127.0.0.1', port, servername: 'localhost', clientId: 'gateway.berlin', filters: ['dt/air.berlin/#'] },
    credentials: () => ({ ca: ca.certPem, cert: client.certPem, key: client.keyPem }),
    ...{ receiveMaximum: 10, maximumPacketBytes: 10_000, sessionExpirySeconds: 3_600, keepAliveSeconds: 60 },
    receive: (message) => received.push({ ...message, payload: Buffer.from(message.payload) }),
    changed: ({ why }) => said.push(why),
    ...{ clock: systemClock, random: () => 0, log: silentLog },
    ...more,
  });
  open.push({ close: () => one.stop() });
  return Object.assign(one, { said });
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};
const connack: Packet = { cmd: 'connack', reasonCode: 0, sessionPresent: false };
const message = (messageId: number): Packet => ({
  cmd: 'publish',
  topic: 'dt/air.berlin/a.berlin/air',
  payload: `${messageId}`,
  qos: 1,
  messageId,
  dup: false,
  retain: false,
});

describe('a subscription', () => {
  it('asks for a session that lasts, with a bound on what is unacknowledged, and for what it is to hear', async () => {
    const at = await broker();
    follow(at.port, []);
    await until(() => at.of('connect', 0).length === 1);
    expect(at.of('connect', 0)[0]).toMatchObject({
      ...{ clientId: 'gateway.berlin', clean: false, protocolVersion: 5 },
      properties: { sessionExpiryInterval: 3_600, receiveMaximum: 10, maximumPacketSize: 10_000 },
    });
    expect(at.of('subscribe', 0)).toEqual([]);
    at.send(0, connack);
    await until(() => at.of('subscribe', 0).length === 1);
    expect(at.of('subscribe', 0)[0]?.subscriptions).toMatchObject([{ topic: 'dt/air.berlin/#', qos: 1, rh: 2 }]);
  });

  it('acknowledges what is done, in the order in which it came', async () => {
    const [at, received]: [Awaited<ReturnType<typeof broker>>, Publish[]] = [await broker(), []];
    const mine = follow(at.port, received, { receive: (one) => received.push(one) });
    await until(() => at.of('connect', 0).length === 1);
    at.send(0, connack, message(3), message(1), message(2));
    await until(() => received.length === 3);
    mine.acknowledge(received[1] as Publish);
    mine.acknowledge(received[0] as Publish);
    await until(() => at.of('puback', 0).length === 2);
    expect(at.of('puback', 0).map(({ messageId }) => messageId)).toEqual([3, 1]);
  });

  it('comes back when it is cut off, and says nothing there of what an old connection brought', async () => {
    const [at, received]: [Awaited<ReturnType<typeof broker>>, Publish[]] = [await broker(), []];
    const mine = follow(at.port, received, { receive: (one) => received.push(one) });
    await until(() => at.of('connect', 0).length === 1);
    at.send(0, connack, message(1));
    await until(() => received.length === 1);
    at.cut(0);
    await until(() => at.of('connect', 1).length === 1);
    at.send(1, { ...connack, sessionPresent: true }, message(2));
    await until(() => received.length === 2);
    mine.acknowledge(received[0] as Publish);
    mine.acknowledge(received[1] as Publish);
    await until(() => at.of('puback', 1).length === 1);
    await mine.stop();
    expect(at.of('puback', 1).map(({ messageId }) => messageId)).toEqual([2]);
  });

  it('sends a message of its own with an end, and hears what the broker says of it; nothing when the connection ends first', async () => {
    const at = await broker();
    const mine = follow(at.port, []);
    const outgoing = { topic: 'cmd/fans.berlin/fan-1.berlin/speed', payload: Buffer.from('x'), expirySeconds: 60 };
    expect(await mine.publish(outgoing)).toBeUndefined();
    await until(() => at.of('connect', 0).length === 1);
    at.send(0, connack);
    await until(() => mine.connected);
    const [first, second, third] = [1, 2, 3].map(() => mine.publish(outgoing));
    await until(() => at.of('publish', 0).length === 3);
    const sent = at.of('publish', 0);
    expect(sent[0]).toMatchObject({ topic: outgoing.topic, qos: 1, retain: false, properties: { messageExpiryInterval: 60 } });
    at.send(0, ...[1, 0].map((n): Packet => ({ cmd: 'puback', messageId: sent[n]?.messageId ?? 0, reasonCode: n === 0 ? 0 : 0x87 })));
    expect([await first, await second]).toEqual([0, 0x87]);
    at.cut(0);
    expect(await third).toBeUndefined();
  });

  it('has no more messages of its own under way than the broker takes at once', async () => {
    const at = await broker();
    const mine = follow(at.port, []);
    await until(() => at.of('connect', 0).length === 1);
    at.send(0, { ...connack, properties: { receiveMaximum: 2 } } as Packet);
    await until(() => mine.connected);
    const one = { topic: 'latest/panels.berlin/panel-1.berlin', payload: Buffer.from('x'), expirySeconds: 30 };
    const first = mine.publish(one);
    void mine.publish(one);
    expect(await mine.publish(one)).toBeUndefined();
    await until(() => at.of('publish', 0).length === 2);
    at.send(0, { cmd: 'puback', messageId: at.of('publish', 0)[0]?.messageId ?? 0, reasonCode: 0 });
    expect(await first).toBe(0);
    void mine.publish(one);
    await until(() => at.of('publish', 0).length === 3);
  });

  it('follows other filters', async () => {
    const at = await broker();
    const mine = follow(at.port, []);
    await until(() => at.of('connect', 0).length === 1);
    at.send(0, connack);
    await until(() => mine.connected);
    mine.setFilters(['dt/doors.berlin/#']);
    await until(() => at.of('unsubscribe', 0).length === 1);
    expect(at.of('subscribe', 0)[1]?.subscriptions).toMatchObject([{ topic: 'dt/doors.berlin/#' }]);
    expect(at.of('unsubscribe', 0)[0]?.unsubscriptions).toEqual(['dt/air.berlin/#']);
  });

  it.each<[string, Packet[], string]>([
    ['a refused connection', [{ cmd: 'connack', reasonCode: 0x87, sessionPresent: false }], 'code 135'],
    [
      'a refused subscription',
      [connack, { cmd: 'suback', messageId: 1, granted: [0x87] }],
      'the subscription of dt/air.berlin/# with code 135',
    ],
    ['a broker that disconnects', [connack, { cmd: 'disconnect', reasonCode: 0x8b }], 'code 139'],
    ['more messages than were asked for', [connack, ...Array.from({ length: 11 }, (_, n) => message(n + 1))], 'more messages'],
    ['a packet that no subscriber is sent', [connack, { cmd: 'pingreq' }], 'pingreq'],
  ])('says of %s why', async (_name, packets, why) => {
    const at = await broker();
    const mine = follow(at.port, []);
    await until(() => at.of('connect', 0).length === 1);
    at.send(0, ...packets);
    await until(() => mine.said.some((one) => one.includes(why)));
  });

  it('asks again for what was refused: the right may come later', async () => {
    const at = await broker();
    const [clock, received]: [FakeClock, Publish[]] = [new FakeClock(), []];
    const filters = ['dt/air.berlin/#', 'dt/doors.berlin/#'];
    const mine = follow(at.port, received, { filters, clock, keepAliveSeconds: 65_535 });
    const asked = (): string[][] => at.of('subscribe', 0).map(({ subscriptions }) => subscriptions.map(({ topic }) => topic));
    const answer = async (...granted: number[]): Promise<void> => {
      const nth = asked().length;
      at.send(0, { cmd: 'suback', messageId: at.of('subscribe', 0).at(-1)?.messageId ?? 0, granted });
      while (asked().length === nth) await clock.advance(1_000);
    };
    await until(() => at.of('connect', 0).length === 1);
    at.send(0, connack);
    await until(() => asked().length === 1);
    await answer(0, 0x87);
    await answer(0x87);
    await answer(0x87);
    expect(asked().slice(1)).toEqual([['dt/doors.berlin/#'], ['dt/doors.berlin/#'], ['dt/doors.berlin/#']]);
    // Said once.
    expect(mine.said.filter((why) => why.includes('refused'))).toEqual([
      'the broker refused the subscription of dt/doors.berlin/# with code 135',
    ]);
    at.send(0, { cmd: 'suback', messageId: at.of('subscribe', 0).at(-1)?.messageId ?? 0, granted: [0] }, message(7));
    await until(() => received.length === 1);
    for (let n = 0; n < 20; n++) await clock.advance(10_000);
    expect(asked()).toHaveLength(4);
  });

  it('leaves a broker that says nothing any more', async () => {
    const at = await broker();
    const mine = follow(at.port, [], { keepAliveSeconds: 1 });
    await until(() => at.of('connect', 0).length === 1);
    at.send(0, connack);
    await until(() => mine.said.includes('the broker says nothing any more'));
    expect(at.of('pingreq', 0).length).toBeGreaterThan(0);
  });

  it('that is stopped disconnects in good order, after its last acknowledgement', async () => {
    const [at, received]: [Awaited<ReturnType<typeof broker>>, Publish[]] = [await broker(), []];
    const mine = follow(at.port, received, { receive: (one) => received.push(one) });
    await until(() => at.of('connect', 0).length === 1);
    at.send(0, connack, message(5));
    await until(() => received.length === 1);
    mine.acknowledge(received[0] as Publish);
    await mine.stop();
    await until(() => at.of('disconnect', 0).length === 1);
    expect(at.of('puback', 0).map(({ messageId }) => messageId)).toEqual([5]);
    expect(at.of('connect', 1)).toEqual([]);
  });
});
