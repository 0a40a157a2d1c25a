// Messages of CoAP over TCP and TLS (RFC 8323 §3.2): length, code, token, options, payload. Hostile input: what does not add up throws `Broken`, and the connection is
// aborted (§5.6). Pure.

export class Broken extends Error {
  override readonly name = 'Broken';
}

export type Option = { number: number; value: Buffer };
export type CoapMessage = {
  /** `class.detail` as one byte: 0.02 is 0x02, 7.01 is 0xe1. */
  code: number;
  token: Buffer;
  options: Option[];
  payload: Buffer;
};

/** RFC 7252 §12.1, RFC 8323 §5. */
export const CODE = {
  ...{ EMPTY: 0x00, GET: 0x01, POST: 0x02, PUT: 0x03 },
  ...{ CHANGED: 0x44, BAD_REQUEST: 0x80, BAD_OPTION: 0x82, FORBIDDEN: 0x83, NOT_FOUND: 0x84, NOT_ALLOWED: 0x85, CONFLICT: 0x89 },
  ...{ TOO_LARGE: 0x8d, UNSUPPORTED_FORMAT: 0x8f, UNPROCESSABLE: 0x96, TOO_MANY: 0x9d, UNAVAILABLE: 0xa3 },
  ...{ CSM: 0xe1, PING: 0xe2, PONG: 0xe3, RELEASE: 0xe4, ABORT: 0xe5 },
} as const;

const LONGEST_TOKEN = 8;
const PAYLOAD_MARKER = 0xff;
const MOST_OPTIONS = 32;
/** Nibbles 13, 14, 15 say that one, two or four bytes follow, and what is added to them. */
const LENGTHS: Readonly<Record<number, { bytes: number; from: number }>> = {
  13: { bytes: 1, from: 13 },
  14: { bytes: 2, from: 269 },
  15: { bytes: 4, from: 65_805 },
};

/** The first message in the bytes and where it ends; undefined when not all of it is there. `maximumBytes`: of options and payload, as the CSM has said. */
export function readMessage(bytes: Buffer, maximumBytes: number): { message: CoapMessage; end: number } | undefined {
  const first = bytes[0];
  if (first === undefined) return undefined;
  const tokenLength = first & 15;
  if (tokenLength > LONGEST_TOKEN) throw new Broken('a token of more than eight bytes');
  const more = LENGTHS[first >> 4];
  const headEnd = 1 + (more?.bytes ?? 0);
  if (bytes.length < headEnd) return undefined;
  const length = more === undefined ? first >> 4 : more.from + bytes.readUIntBE(1, more.bytes);
  if (length > maximumBytes) throw new Broken(`a message of ${length} bytes, ${maximumBytes} are allowed`);
  const bodyAt = headEnd + 1 + tokenLength;
  if (bytes.length < bodyAt + length) return undefined;
  const token = bytes.subarray(headEnd + 1, bodyAt);
  return { message: { code: bytes[headEnd] ?? 0, token, ...bodyOf(bytes.subarray(bodyAt, bodyAt + length)) }, end: bodyAt + length };
}

/** RFC 7252 §3.1. */
function bodyOf(bytes: Buffer): { options: Option[]; payload: Buffer } {
  const options: Option[] = [];
  let [at, number] = [0, 0];
  const extended = (nibble: number): number => {
    if (nibble < 13) return nibble;
    const size = nibble === 13 ? 1 : 2;
    if (nibble === 15 || at + size > bytes.length) throw new Broken('an option that does not read');
    at += size;
    return size === 1 ? bytes.readUInt8(at - 1) + 13 : bytes.readUInt16BE(at - 2) + 269;
  };
  while (at < bytes.length) {
    const head = bytes[at++] ?? 0;
    if (head === PAYLOAD_MARKER) {
      if (at === bytes.length) throw new Broken('a payload marker and no payload');
      return { options, payload: bytes.subarray(at) };
    }
    number += extended(head >> 4);
    const length = extended(head & 15);
    if (at + length > bytes.length) throw new Broken('an option that is longer than its message');
    if (options.length === MOST_OPTIONS) throw new Broken('more options than any request has');
    options.push({ number, value: bytes.subarray(at, at + length) });
    at += length;
  }
  return { options, payload: Buffer.alloc(0) };
}

/** `options`: in the order of their numbers. */
export function writeMessage({ code, token, options, payload }: CoapMessage): Buffer {
  const body: Buffer[] = [];
  let before = 0;
  for (const { number, value } of options) {
    const [delta, deltaMore] = nibbled(number - before);
    const [length, lengthMore] = nibbled(value.length);
    body.push(Buffer.from([(delta << 4) | length]), deltaMore, lengthMore, value);
    before = number;
  }
  if (payload.length > 0) body.push(Buffer.from([PAYLOAD_MARKER]), payload);
  const bytes = Buffer.concat(body);
  const [length, lengthMore] = nibbled(bytes.length);
  return Buffer.concat([Buffer.from([(length << 4) | token.length]), lengthMore, Buffer.from([code]), token, bytes]);
}

function nibbled(value: number): [nibble: number, more: Buffer] {
  if (value < 13) return [value, Buffer.alloc(0)];
  if (value < 269) return [13, Buffer.from([value - 13])];
  const more = Buffer.alloc(value < 65_805 ? 2 : 4);
  if (value < 65_805) more.writeUInt16BE(value - 269);
  else more.writeUInt32BE(value - 65_805);
  return [value < 65_805 ? 14 : 15, more];
}
