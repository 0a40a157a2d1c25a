// Ranges of IP addresses as NetworkPolicies cut them: CIDR in, closed intervals out. Pure.

/** From `from` to `to`, both included. */
export type AddressRange = { family: 4 | 6; from: bigint; to: bigint };

const BITS = { 4: 32, 6: 128 } as const;

export const wholeFamily = (family: 4 | 6): AddressRange => ({ family, from: 0n, to: (1n << BigInt(BITS[family])) - 1n });

/** The range of a CIDR (RFC 4632, RFC 4291 §2.3), or undefined when it is none. Host bits are ignored, as Go's net.ParseCIDR does. */
export function parseCidr(text: string): AddressRange | undefined {
  const [address = '', prefix = '', ...rest] = text.split('/');
  if (rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(prefix)) return undefined;
  const family = address.includes(':') ? 6 : 4;
  const value = family === 4 ? parseV4(address) : parseV6(address);
  const length = Number(prefix);
  if (value === undefined || length > BITS[family]) return undefined;
  const hostBits = BigInt(BITS[family] - length);
  const from = (value >> hostBits) << hostBits;
  return { family, from, to: from + (1n << hostBits) - 1n };
}

/** The range of a CIDR, or of one address. */
export const rangeOf = (text: string): AddressRange | undefined =>
  parseCidr(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);

/** The network of a CIDR without host bits, or undefined when it is none: `10.1.2.3/8` is `10.0.0.0/8`. */
export function networkOf(text: string): string | undefined {
  const range = parseCidr(text);
  return range === undefined ? undefined : `${addressText(range.family, range.from)}/${Number(text.split('/')[1])}`;
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

function parseV6(text: string): bigint | undefined {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const v4 = parseV4(dotted[2] ?? '');
    return v4 === undefined ? undefined : parseV6(`${dotted[1]}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`);
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const groups = halves.length === 2 ? [...head, ...Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0'), ...tail] : head;
  if (groups.length !== 8 || (halves.length === 2 && head.length + tail.length > 7)) return undefined;
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** The ranges that no rule tells apart any further: everything of the family, cut at both ends of every given range. In order. */
export function partition(family: 4 | 6, cuts: Iterable<AddressRange>): AddressRange[] {
  const whole = wholeFamily(family);
  const starts = new Set([whole.from]);
  for (const cut of cuts) {
    if (cut.family !== family) continue;
    starts.add(cut.from);
    if (cut.to < whole.to) starts.add(cut.to + 1n);
  }
  const sorted = [...starts].sort((a, b) => (a < b ? -1 : 1));
  return sorted.map((from, at) => ({ family, from, to: (sorted[at + 1] ?? whole.to + 1n) - 1n }));
}

export function contains(outer: AddressRange, inner: AddressRange): boolean {
  return outer.family === inner.family && outer.from <= inner.from && inner.to <= outer.to;
}

/** What is left of `from` without any of the others, in order. */
export function subtract(from: AddressRange, others: readonly AddressRange[]): AddressRange[] {
  let left = [from];
  for (const other of others) {
    left = left.flatMap((range) => {
      if (range.family !== other.family || other.to < range.from || range.to < other.from) return [range];
      const before = { ...range, to: other.from - 1n };
      const after = { ...range, from: other.to + 1n };
      return [before, after].filter((part) => part.from <= part.to);
    });
  }
  return left.sort(compareRanges);
}

/** Neighbours become one; for ranges that do not overlap. */
export function mergeNeighbours(ranges: readonly AddressRange[]): AddressRange[] {
  const merged: AddressRange[] = [];
  for (const range of [...ranges].sort(compareRanges)) {
    const last = merged.at(-1);
    if (last !== undefined && last.family === range.family && last.to + 1n === range.from) last.to = range.to;
    else merged.push({ ...range });
  }
  return merged;
}

export function compareRanges(a: AddressRange, b: AddressRange): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.from < b.from ? -1 : a.from > b.from ? 1 : 0;
}

/** `10.0.0.0-10.255.255.255`; of IPv6 in full groups. */
export function rangeText({ family, from, to }: AddressRange): string {
  return `${addressText(family, from)}-${addressText(family, to)}`;
}

function addressText(family: 4 | 6, value: bigint): string {
  const [count, bits, base] = family === 4 ? [4, 8n, 10] : [8, 16n, 16];
  const part = (at: number): string => ((value >> (bits * BigInt(count - 1 - at))) & ((1n << bits) - 1n)).toString(base);
  return Array.from({ length: count }, (_, at) => part(at)).join(family === 4 ? '.' : ':');
}
