// The broker's side of one MQTT 5 connection, as little as a subscriber that is measured needs: it is let in, may subscribe and publish, and acknowledges (§4.4).
import type { TLSSocket } from 'node:tls';
import { generate, type Packet, parser } from 'mqtt-packet';

const PUBACK = 0x40;
const LARGEST_PACKET_ID = 65_535;
/** As many as the devices of a site send at once, and fewer than a client may take (§3.1.2.11.3). */
const WINDOW = 4_096;

export type Session = {
  readonly socket: TLSSocket;
  /** A packet identifier that is free, as long as the client may be sent more. */
  take(): number | undefined;
  readonly unacknowledged: number;
  readonly subscribed: boolean;
};

export type SessionEvents = {
  /** So many of the packets that it was sent. */
  acknowledged(count: number): void;
  refused(reasonCode: number): void;
  published(topic: string, payload: Buffer): void;
  ended(why: string): void;
};

export function createSession(socket: TLSSocket, events: SessionEvents): Session {
  const free = Array.from({ length: WINDOW }, (_, n) => n + 1);
  const isOut = new Uint8Array(LARGEST_PACKET_ID + 1);
  let most = WINDOW;
  let out = 0;
  let subscribed = false;
  const read = parser({ protocolVersion: 5 });
  const send = (packet: Packet): void => void socket.write(generate(packet, { protocolVersion: 5 }));

  const acknowledge = (id: number): void => {
    if (isOut[id] !== 1) {
      events.ended(`packet ${id} is acknowledged, and is not out`);
      return;
    }
    isOut[id] = 0;
    free.push(id);
    out -= 1;
  };
  read.on('packet', (packet) => {
    switch (packet.cmd) {
      case 'connect':
        most = Math.min(WINDOW, packet.properties?.receiveMaximum ?? WINDOW);
        return send({ cmd: 'connack', reasonCode: 0, sessionPresent: false, properties: { receiveMaximum: 1_000, maximumQoS: 1 } });
      case 'subscribe':
        subscribed ||= packet.subscriptions.some(({ topic }) => topic.startsWith('dt/'));
        return send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted: packet.subscriptions.map(({ qos }) => Math.min(1, qos)) });
      case 'publish':
        if (packet.qos === 1) send({ cmd: 'puback', messageId: packet.messageId ?? 0, reasonCode: 0 });
        return events.published(packet.topic, Buffer.from(packet.payload));
      case 'puback': // one with a reason: the others never come here
        if ((packet.reasonCode ?? 0) >= 0x80) events.refused(packet.reasonCode ?? 0);
        acknowledge(packet.messageId ?? 0);
        return events.acknowledged(1);
      case 'pingreq':
        return send({ cmd: 'pingresp' });
      case 'disconnect':
        return events.ended(`it disconnected with ${packet.reasonCode ?? 0}`);
      case 'unsubscribe':
        return send({ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted: packet.unsubscriptions.map(() => 0) });
      default:
        return events.ended(`it sent ${packet.cmd}, which it has no reason to`);
    }
  });

  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let [at, count] = [0, 0];
    while (at < bytes.length) {
      const end = endOf(bytes, at);
      if (end === undefined) break;
      if (bytes[at] === PUBACK && end - at === 4) {
        acknowledge(bytes.readUInt16BE(at + 2));
        count += 1;
      } else read.parse(bytes.subarray(at, end));
      at = end;
    }
    rest = bytes.subarray(at);
    if (count > 0) events.acknowledged(count);
  });
  socket.on('error', (error) => events.ended(error.message));
  socket.on('close', () => events.ended('the connection was closed'));

  return {
    socket,
    take() {
      if (out >= most) return undefined;
      const id = free.pop();
      if (id === undefined) return undefined;
      isOut[id] = 1;
      out += 1;
      return id;
    },
    get unacknowledged() {
      return out;
    },
    get subscribed() {
      return subscribed;
    },
  };
}

/** Where the packet that begins at `at` ends; undefined when not all of it is there. §2.1.4 */
function endOf(bytes: Buffer, at: number): number | undefined {
  let [length, scale] = [0, 1];
  for (let place = 1; place <= 4; place++) {
    const byte = bytes[at + place];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 128) return at + place + 1 + length <= bytes.length ? at + place + 1 + length : undefined;
  }
  throw new Error('a packet without a length');
}
