// As much of DER (X.690) as the answers of EST and the lists of revocations need to be written, and as HardwareModuleName needs to be read.

export const TAG = { integer: 0x02, octetString: 0x04, oid: 0x06, sequence: 0x30, set: 0x31, explicit0: 0xa0 } as const;

export function tlv(tag: number, ...content: readonly Uint8Array[]): Buffer {
  return sequenceLike(tag, content);
}

/** The same for many parts: a call takes no hundred thousand arguments. */
export function sequenceLike(tag: number, content: readonly Uint8Array[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(length)]), ...content]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

/** `1.2.840.113549.1.7.2` as OBJECT IDENTIFIER. */
export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left % 128) | 0x80);
    return groups;
  });
  return tlv(TAG.oid, Buffer.from(bytes));
}

/** The elements that the bytes are made of, nothing before, between or after them; undefined when they are not DER of that shape. */
export function elements(bytes: Buffer): { tag: number; content: Buffer }[] | undefined {
  const found: { tag: number; content: Buffer }[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] as number;
    const head = bytes[at + 1];
    if (head === undefined || head > 0x82 || head === 0x80 || (tag & 0x1f) === 0x1f) return undefined;
    const more = head < 0x80 ? 0 : head & 0x7f;
    if (at + 2 + more > bytes.length) return undefined;
    const length = more === 0 ? head : bytes.readUIntBE(at + 2, more);
    const start = at + 2 + more;
    // The shortest form only (X.690 §10.1).
    if (start + length > bytes.length || lengthOf(length).length !== 1 + more) return undefined;
    found.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}
