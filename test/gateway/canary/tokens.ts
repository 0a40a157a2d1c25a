// Texts and numbers that occur nowhere else, and the search for them in bytes that somebody may have encoded.

/** Longer than three bytes, so that base64 has a part that does not depend on what stands beside it. */
const MARK = 'zqcanary';
const TEXT = new RegExp(`${MARK}[0-9a-z]{8}`, 'gi');

/** The `index`-th text: 16 characters, good in a topic level, a name and a JSON key. */
export const textToken = (index: number): string => `${MARK}${index.toString(36).padStart(8, '0')}`;

/** All texts of the kind that stand in `bytes` as they are or in base64, in lower case. */
export function textsIn(bytes: Buffer): Set<string> {
  const text = bytes.toString('latin1');
  const decoded = (text.match(/[A-Za-z0-9+/_-]{20,}/g) ?? []).flatMap((run) =>
    [0, 1, 2, 3].map((from) => Buffer.from(run.slice(from), 'base64').toString('latin1')),
  );
  return new Set([text, ...decoded].flatMap((one) => one.match(TEXT) ?? []).map((one) => one.toLowerCase()));
}

/** The numbers of `wanted` that stand in `bytes` in decimal, or as an IEEE 754 double or a 64-bit integer in either order of bytes. */
export function numbersIn(bytes: Buffer, wanted: ReadonlySet<number>): Set<number> {
  const found = new Set<number>();
  for (const [text] of bytes.toString('latin1').matchAll(/-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g))
    if (wanted.has(Number(text))) found.add(Number(text));
  const patterns = new Map<bigint, number>();
  const eight = Buffer.alloc(8);
  for (const number of wanted) {
    eight.writeDoubleBE(number);
    patterns.set(eight.readBigUInt64BE(), number);
    patterns.set(eight.readBigUInt64LE(), number);
    if (!Number.isInteger(number) || number < 0) continue;
    eight.writeBigUInt64BE(BigInt(number));
    patterns.set(eight.readBigUInt64BE(), number);
    patterns.set(eight.readBigUInt64LE(), number);
  }
  for (let at = 0; at + 8 <= bytes.length; at++) {
    const number = patterns.get(bytes.readBigUInt64BE(at));
    if (number !== undefined) found.add(number);
  }
  return found;
}

/** Names of encodings in which the mark stands in `bytes`: nobody has to know which token it was. */
export function encodingsIn(bytes: Buffer): string[] {
  const text = bytes.toString('latin1');
  const wide = (order: 'utf16le' | 'be'): string => {
    const two = Buffer.from(MARK, 'utf16le');
    return (order === 'be' ? two.swap16() : two).toString('latin1');
  };
  const base64 = [0, 1, 2].map((before) => {
    const whole = Buffer.from(`${'\0'.repeat(before)}${MARK}`)
      .toString('base64')
      .replaceAll('=', '');
    // The first characters depend on what stands before, the last one on what comes behind.
    return whole.slice(before === 0 ? 0 : before + 1, -1);
  });
  const marks: [string, string[]][] = [
    ['hex', [Buffer.from(MARK).toString('hex')]],
    ['base64', base64],
    ['UTF-16', [wide('utf16le'), wide('be')]],
    ['percent', [[...Buffer.from(MARK)].map((byte) => `%${byte.toString(16)}`).join('')]],
    ['reversed', [[...MARK].reverse().join('')]],
  ];
  return marks
    .filter(([name, all]) => all.some((mark) => (name === 'hex' || name === 'percent' ? text.toLowerCase() : text).includes(mark)))
    .map(([name]) => name);
}
