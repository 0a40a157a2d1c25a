import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import { createReader } from './reader.ts';

type Read = { topic: string; payload: string; qos: number; retain: boolean; packetId: number } | string;

const topics = fc.array(fc.constantFrom('dt', 'air.berlin', 'thermo-17.berlin', 'ä', '水'), { minLength: 1, maxLength: 5 });
const publishes = fc
  .record({
    topic: topics.map((levels) => levels.join('/')),
    payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    qos: fc.constantFrom(0 as const, 1 as const),
    retain: fc.boolean(),
    messageId: fc.integer({ min: 1, max: 65_535 }),
    properties: fc.constantFrom(undefined, { contentType: 'application/cbor', userProperties: { a: 'x'.repeat(150) } }),
  })
  .map(({ properties, ...one }): Packet => ({ cmd: 'publish', dup: false, ...one, ...(properties === undefined ? {} : { properties }) }));
const others = fc.constantFrom<Packet>(
  { cmd: 'pingresp' },
  { cmd: 'connack', reasonCode: 0, sessionPresent: true },
  { cmd: 'suback', messageId: 7, granted: [1, 0x87] },
);

function readAll(chunks: readonly Buffer[], maximumBytes = 100_000): Read[] {
  const read: Read[] = [];
  const reader = createReader(maximumBytes, {
    publish: ({ topic, payload, qos, retain, packetId }) => read.push({ topic, payload: payload.toString('hex'), qos, retain, packetId }),
    other: ({ cmd }) => read.push(cmd),
  });
  for (const chunk of chunks) reader.read(chunk);
  return read;
}

const wanted = (packet: Packet): Read => {
  if (packet.cmd !== 'publish') return packet.cmd;
  const { topic, qos, retain, messageId = 0 } = packet;
  return { topic, payload: Buffer.from(packet.payload).toString('hex'), qos, retain, packetId: qos === 1 ? messageId : 0 };
};

describe('packets of a broker', () => {
  it('are read as they were made, however the network cuts them', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(publishes, others), { maxLength: 20 }), fc.array(fc.nat(3_000), { maxLength: 30 }), (packets, cuts) => {
        const bytes = Buffer.concat(packets.map((packet) => generate(packet, { protocolVersion: 5 })));
        const at = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const chunks = at.slice(1).map((end, n) => bytes.subarray(at[n], end));
        expect(readAll(chunks)).toEqual(packets.map(wanted));
      }),
    );
  });

  it.each<[string, number[]]>([
    ['with QoS 2', [0x34, 6, 0, 1, 97, 0, 1, 0]],
    ['without a topic', [0x32, 5, 0, 0, 0, 1, 0]],
    ['with the identifier 0', [0x32, 6, 0, 1, 97, 0, 0, 0]],
    ['that ends in its topic', [0x30, 3, 0, 9, 97]],
    ['that ends before its properties', [0x32, 5, 0, 1, 97, 0, 1]],
    ['whose properties reach beyond it', [0x32, 6, 0, 1, 97, 0, 1, 9]],
    ['whose length never ends', [0x32, 0xff, 0xff, 0xff, 0xff, 1]],
    ['of nothing', [0x30, 0]],
  ])('a message %s ends the connection', (_name, bytes) => expect(() => readAll([Buffer.from(bytes)])).toThrow());

  it('larger than allowed end it before they are there', () => {
    const packet = generate({ cmd: 'publish', topic: 'a', payload: Buffer.alloc(200), qos: 0, dup: false, retain: false });
    expect(() => readAll([packet.subarray(0, 5)], 100)).toThrow('100 are allowed');
  });

  it('of any other bytes are read or end it, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (chunks) => {
        try {
          readAll(chunks.map((chunk) => Buffer.from(chunk)));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
