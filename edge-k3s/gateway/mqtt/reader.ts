// Reads the packets of a broker (MQTT 5). PUBLISH is read here, since there are tens of thousands a second of it and a payload need not be copied; the few others by
// mqtt-packet. Bytes that are no packet, or one larger than was allowed, throw: the connection is of no more use (§4.13).
import { type Packet, parser } from 'mqtt-packet';

export type Publish = {
  topic: string;
  /** Bytes of the socket's buffer: to be read before the next packets come, or copied. */
  payload: Buffer;
  qos: 0 | 1;
  retain: boolean;
  /** 0 with QoS 0. */
  packetId: number;
  /** See acks.ts. */
  isDone: boolean;
};

export type Handler = { publish(packet: Publish): void; other(packet: Packet): void };

const PUBLISH = 3;
/** §2.1.4: four bytes of seven bits. */
const LENGTH_BYTES = 4;

export function createReader(maximumBytes: number, handler: Handler): { read(chunk: Buffer): void } {
  const others = parser({ protocolVersion: 5 });
  others.on('packet', (packet) => handler.other(packet));
  others.on('error', (error) => {
    throw error;
  });
  let rest: Buffer | undefined;
  return {
    read(chunk) {
      const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
      let at = 0;
      for (;;) {
        const head = lengthAt(bytes, at + 1);
        if (head === undefined) break;
        const end = head.at + head.value;
        if (end - at > maximumBytes) throw new Error(`a packet of ${end - at} bytes, ${maximumBytes} are allowed`);
        if (end > bytes.length) break;
        if ((bytes[at] ?? 0) >> 4 === PUBLISH) handler.publish(publishOf(bytes, at, head.at, end));
        else others.parse(bytes.subarray(at, end));
        at = end;
      }
      rest = at === bytes.length ? undefined : bytes.subarray(at);
    },
  };
}

function publishOf(bytes: Buffer, start: number, at: number, end: number): Publish {
  const flags = bytes[start] ?? 0;
  const qos = (flags >> 1) & 3;
  // No QoS 2 was asked for (§3.8.4), and no topic alias offered (§3.1.2.11.5): an empty topic is one.
  if (qos > 1) throw new Error('a message with QoS 2 or 3');
  const topicEnd = at + 2 + (at + 2 <= end ? bytes.readUInt16BE(at) : end);
  const idEnd = topicEnd + (qos === 1 ? 2 : 0);
  if (idEnd >= end || topicEnd === at + 2) throw new Error('a message without a topic, an identifier or a length of properties');
  const packetId = qos === 1 ? bytes.readUInt16BE(topicEnd) : 0;
  if (qos === 1 && packetId === 0) throw new Error('a message with the identifier 0');
  const properties = bytes[idEnd] === 0 ? { value: 0, at: idEnd + 1 } : lengthAt(bytes, idEnd);
  const payloadAt = properties === undefined ? end + 1 : properties.at + properties.value;
  if (payloadAt > end) throw new Error('a message whose properties are longer than itself');
  return {
    topic: bytes.toString('utf8', at + 2, topicEnd),
    payload: bytes.subarray(payloadAt, end),
    qos: qos === 1 ? 1 : 0,
    retain: (flags & 1) === 1,
    packetId,
    isDone: false,
  };
}

/** A variable byte integer and where it ends; undefined when not all of it is there. */
function lengthAt(bytes: Buffer, from: number): { value: number; at: number } | undefined {
  let [value, scale] = [0, 1];
  for (let place = from; place < from + LENGTH_BYTES; place++) {
    const byte = bytes[place];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, at: place + 1 };
    scale *= 0x80;
  }
  throw new Error('a length of more than four bytes');
}
