// What the devices of the bench send: PUBLISH packets of MQTT 5 (§3.3) made from a template of each device, of which only digits change. Making one costs less than
// a microsecond, so that whoever takes them is what is measured.

/** As the office's air sensors send it (test/simulator/office.ts); the numbers have the same width in each message. */
const BODY = '{"v":1,"boot":1,"seq":1000000,"ts":1000000000000,"m":{"co2":000.0,"humidity":00.0}}';
const [SEQ_AT, TS_AT, CO2_AT, HUMIDITY_AT] = ['1000000,', '1000000000000', '000.0', '00.0}'].map((text) => BODY.indexOf(text)) as [
  number,
  number,
  number,
  number,
];
/** A word in the place of a number: no schema takes it. */
const NO_NUMBER = '"hot"';
const FIRST_SEQ = 1_000_000;
/** QoS 1, neither DUP nor RETAIN. */
const PUBLISH_QOS_1 = 0x32;
/** Park and Miller's generator: noise that is the same in each run. */
const MULTIPLIER = 48_271;
const MODULUS = 2 ** 31 - 1;

export type Kind = 'ordinary' | 'crossing' | 'malformed';
export type Messages = {
  /** Bytes of each packet; all are equally long. */
  readonly size: number;
  /** Writes the next packet of this device at `at`. */
  write(into: Buffer, at: number, device: number, packetId: number, tsMs: number, kind: Kind): void;
};

/** `topics`: one of each device, all of one length. */
export function createMessages(topics: readonly string[]): Messages {
  const templates = topics.map(templateOf);
  const size = templates[0]?.length ?? 0;
  if (templates.some(({ length }) => length !== size)) throw new Error('the topics are not equally long');
  const body = size - BODY.length;
  const idAt = body - 3;
  const seqs = new Uint32Array(topics.length).fill(FIRST_SEQ);
  let random = 1;
  return {
    size,
    write(into, at, device, packetId, tsMs, kind) {
      templates[device]?.copy(into, at);
      into.writeUInt16BE(packetId, at + idAt);
      const seq = seqs[device] ?? FIRST_SEQ;
      seqs[device] = seq + 1;
      digits(into, at + body + SEQ_AT, seq, 7);
      digits(into, at + body + TS_AT, tsMs, 13);
      random = (random * MULTIPLIER) % MODULUS;
      if (kind === 'malformed') into.write(NO_NUMBER, at + body + CO2_AT, 'latin1');
      // 430 to 469 ppm; 900 is above the limit of the bench.
      else decimal(into, at + body + CO2_AT, kind === 'crossing' ? 9_000 : 4_300 + (random % 400), 4);
      decimal(into, at + body + HUMIDITY_AT, 400 + ((random >> 10) % 30), 3);
    },
  };
}

/** Above 469 and below 900 ppm. */
export const LIMIT_PPM = 800;

function templateOf(topic: string): Buffer {
  const name = Buffer.from(topic);
  const remaining = 2 + name.length + 2 + 1 + BODY.length;
  if (remaining < 128 || remaining > 16_383) throw new Error(`${topic} gives a packet whose length is not of two bytes`);
  const header = Buffer.from([PUBLISH_QOS_1, (remaining % 128) | 0x80, Math.floor(remaining / 128), name.length >> 8, name.length & 0xff]);
  // Packet identifier, and no properties.
  return Buffer.concat([header, name, Buffer.from([0, 0, 0]), Buffer.from(BODY)]);
}

function digits(into: Buffer, at: number, value: number, width: number): void {
  let rest = value;
  for (let place = width - 1; place >= 0; place--) {
    const next = Math.floor(rest / 10);
    into[at + place] = 48 + (rest - next * 10);
    rest = next;
  }
}

/** One decimal. */
function decimal(into: Buffer, at: number, tenths: number, width: number): void {
  digits(into, at, Math.floor(tenths / 10), width - 1);
  into[at + width] = 48 + (tenths % 10);
}
