// The wire format of Protocol Buffers, as much as a Sparkplug payload has of it: fields one after the other, each with a number and one of four shapes. Hostile input:
// whatever does not add up throws `Malformed`, and nothing is made larger than the bytes that are there.

export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** `number`: of a varint as it stands (unsigned), of a fixed 32 or 64 the bytes. */
export type Field = { id: number; shape: 'varint'; value: bigint } | { id: number; shape: 'fixed64' | 'bytes' | 'fixed32'; value: Buffer };

const SHAPES = ['varint', 'fixed64', 'bytes', undefined, undefined, 'fixed32'] as const;
/** Ten bytes of seven bits hold 64. */
const VARINT_BYTES = 10;

export function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    // Nearly all are short.
    let small = 0;
    for (let place = 0; place < 4; place++) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Malformed('it ends within a number');
      small |= (byte & 0x7f) << (7 * place);
      if (byte < 0x80) return BigInt(small);
    }
    let value = BigInt(small);
    for (let place = 4; place < VARINT_BYTES; place++) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Malformed('it ends within a number');
      value |= BigInt(byte & 0x7f) << BigInt(7 * place);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Malformed('a number of more than ten bytes');
  };
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new Malformed('it ends within a field');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [id, shape] = [Math.floor(tag / 8), SHAPES[tag % 8]];
    if (id < 1 || shape === undefined) throw new Malformed(`a field ${id} of an unknown shape`);
    if (shape === 'varint') yield { id, shape, value: varint() };
    else if (shape === 'bytes') yield { id, shape, value: take(Number(varint())) };
    else yield { id, shape, value: take(shape === 'fixed64' ? 8 : 4) };
  }
}

/** As it is written. */
export function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}
