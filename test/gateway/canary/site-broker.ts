// As much of a local broker as a gateway notices, in the test's own process: it takes the gateway's session and puts messages of devices into it as fast as they are
// acknowledged. 100,000 messages cost what the gateway costs, and no more for those who sent them.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import mqttPacket, { type Packet } from 'mqtt-packet';

export type Said = { topic: string; payload: Buffer };

export type SiteBroker = {
  port: number;
  /** Resolves when every one was acknowledged, once the gateway is there. */
  deliver(messages: Iterable<Said>): Promise<void>;
  close(): Promise<void>;
};

const FIVE = { protocolVersion: 5 } as const;
const IDS = 0xffff;
/** Packets that go in one write. */
const AT_ONCE = 64;

export async function startSiteBroker(tls: { ca: string; cert: string; key: string }): Promise<SiteBroker> {
  const sessions = new Set<TLSSocket>();
  let subscribed = Promise.withResolvers<{ socket: TLSSocket; most: number }>();
  let acked = (): void => undefined;
  const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: true }, (socket) => {
    sessions.add(socket);
    const send = (packet: Packet): void => void socket.write(mqttPacket.generate(packet, FIVE));
    let most = IDS;
    const parser = mqttPacket.parser(FIVE);
    parser.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connect') {
        most = packet.properties?.receiveMaximum ?? IDS;
        send({ cmd: 'connack', reasonCode: 0, sessionPresent: false });
      } else if (packet.cmd === 'subscribe') {
        send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted: packet.subscriptions.map(() => 1) });
        subscribed.resolve({ socket, most });
      } else if (packet.cmd === 'unsubscribe')
        send({ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted: packet.unsubscriptions.map(() => 0) });
      else if (packet.cmd === 'pingreq') send({ cmd: 'pingresp' });
      else if (packet.cmd === 'puback') acked();
    });
    socket.on('data', (chunk: Buffer) => void parser.parse(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sessions.delete(socket);
      subscribed = Promise.withResolvers();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async deliver(messages) {
      const { socket, most } = await subscribed.promise;
      const source = messages[Symbol.iterator]();
      let [underWay, id, isDone] = [0, 0, false];
      const done = Promise.withResolvers<void>();
      socket.once('close', () => done.reject(new Error('the gateway has left')));
      const fill = (): void => {
        const packets: Buffer[] = [];
        while (!isDone && underWay < most && packets.length < AT_ONCE) {
          const next = source.next();
          if (next.done === true) isDone = true;
          else {
            id = (id % IDS) + 1;
            underWay += 1;
            const { topic, payload } = next.value;
            packets.push(mqttPacket.generate({ cmd: 'publish', topic, payload, qos: 1, dup: false, retain: false, messageId: id }, FIVE));
          }
        }
        if (packets.length > 0) socket.write(Buffer.concat(packets));
        if (isDone && underWay === 0) done.resolve();
        else if (packets.length === AT_ONCE) setImmediate(fill);
      };
      acked = () => {
        underWay -= 1;
        if (underWay === 0 || underWay === most - AT_ONCE) fill();
      };
      fill();
      await done.promise;
    },
    async close() {
      for (const socket of sessions) socket.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
