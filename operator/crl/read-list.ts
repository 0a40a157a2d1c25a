// A CRL as it was served, read and held to a signature (RFC 5280 §5). Pure and total; linear in its size, because a list may have 100,000 entries.
import { verify, type X509Certificate } from 'node:crypto';

export type ReadList = {
  thisUpdateMs: number;
  nextUpdateMs: number;
  /** Serial numbers in hex, without zeros in front. */
  serials: ReadonlySet<string>;
  /** For `isSignedBy`. */
  signed: { issuer: Buffer; unsigned: Buffer; algorithm: string; signature: Buffer };
};

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  explicit0: 0xa0,
} as const;
/** OID in hex to the hash of the signature (RFC 5758 §3.2, RFC 4055 §5); Ed25519 hashes by itself (RFC 8410). */
const HASHES: Readonly<Record<string, string | null>> = {
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2b6570': null,
};

/** Undefined for what is no complete list: damaged bytes, no nextUpdate, a delta, or any critical extension, which would narrow what the list is about (§5.2). */
export function readList(der: Buffer): ReadList | undefined {
  const whole = only(der, read(der, 0, der.length), TAG.sequence);
  if (whole === undefined) return undefined;
  const [tbs, algorithm, signature, ...rest] = children(der, whole) ?? [];
  if (tbs?.tag !== TAG.sequence || algorithm?.tag !== TAG.sequence || signature?.tag !== TAG.bitString || rest.length > 0) return undefined;
  const fields = children(der, tbs) ?? [];
  // Version 1 says no version and has no extensions; ours and everybody's is 2.
  const [version, inner, issuer, thisUpdate, nextUpdate, ...optional] = fields;
  if (version?.tag !== TAG.integer || inner?.tag !== TAG.sequence || issuer?.tag !== TAG.sequence) return undefined;
  if (!bytesOf(der, inner).equals(bytesOf(der, algorithm))) return undefined;
  const [thisUpdateMs, nextUpdateMs] = [timeOf(der, thisUpdate), timeOf(der, nextUpdate)];
  if (thisUpdateMs === undefined || nextUpdateMs === undefined) return undefined;
  const revoked = optional[0]?.tag === TAG.sequence ? optional.shift() : undefined;
  const extensions = optional[0]?.tag === TAG.explicit0 ? optional.shift() : undefined;
  if (optional.length > 0 || !bearable(der, extensions)) return undefined;
  const serials = revoked === undefined ? new Set<string>() : serialsOf(der, revoked);
  const oid = read(der, algorithm.start, algorithm.end);
  if (serials === undefined || oid?.tag !== TAG.oid || der[signature.start] !== 0) return undefined;
  return {
    thisUpdateMs,
    nextUpdateMs,
    serials,
    signed: {
      issuer: bytesOf(der, issuer),
      unsigned: bytesOf(der, tbs),
      algorithm: der.toString('hex', oid.start, oid.end),
      signature: der.subarray(signature.start + 1, signature.end),
    },
  };
}

/** Of the same name and by its key. */
export function isSignedBy({ signed }: ReadList, authority: X509Certificate): boolean {
  const hash = HASHES[signed.algorithm];
  // The name stands in the certificate byte for byte; whether there as its subject, the signature decides.
  if (hash === undefined || !authority.ca || !authority.raw.includes(signed.issuer)) return false;
  try {
    return verify(hash, signed.unsigned, authority.publicKey, signed.signature);
  } catch {
    return false;
  }
}

/** As `ReadList.serials` spells it. */
export const plainSerial = (hex: string): string => hex.toLowerCase().replace(/^0+(?=.)/, '');

type Element = { tag: number; from: number; start: number; end: number };

/** The element at this place: lengths of the shortest form (X.690 §10.1), within the bounds. */
function read(bytes: Buffer, from: number, bound: number): Element | undefined {
  const tag = bytes[from];
  const head = bytes[from + 1];
  if (tag === undefined || head === undefined || from + 2 > bound || (tag & 0x1f) === 0x1f) return undefined;
  if (head < 0x80) return within({ tag, from, start: from + 2, end: from + 2 + head }, bound);
  const more = head & 0x7f;
  if (more === 0 || more > 4 || from + 2 + more > bound) return undefined;
  const length = bytes.readUIntBE(from + 2, more);
  if (length < 0x80 || (more > 1 && bytes[from + 2] === 0)) return undefined;
  return within({ tag, from, start: from + 2 + more, end: from + 2 + more + length }, bound);
}

const within = (element: Element, bound: number): Element | undefined => (element.end <= bound ? element : undefined);

function only(bytes: Buffer, element: Element | undefined, tag: number): Element | undefined {
  return element?.tag === tag && element.end === bytes.length ? element : undefined;
}

const bytesOf = (bytes: Buffer, { from, end }: Element): Buffer => bytes.subarray(from, end);

function children(bytes: Buffer, parent: Element): Element[] | undefined {
  const found: Element[] = [];
  for (let at = parent.start; at < parent.end; ) {
    const child = read(bytes, at, parent.end);
    if (child === undefined) return undefined;
    found.push(child);
    at = child.end;
  }
  return found;
}

function serialsOf(bytes: Buffer, revoked: Element): Set<string> | undefined {
  const serials = new Set<string>();
  for (let at = revoked.start; at < revoked.end; ) {
    const entry = read(bytes, at, revoked.end);
    const serial = entry?.tag === TAG.sequence ? read(bytes, entry.start, entry.end) : undefined;
    if (entry === undefined || serial?.tag !== TAG.integer || serial.start === serial.end) return undefined;
    serials.add(plainSerial(bytes.toString('hex', serial.start, serial.end)));
    at = entry.end;
  }
  return serials;
}

/** None of them critical; absent will do. */
function bearable(bytes: Buffer, wrapper: Element | undefined): boolean {
  if (wrapper === undefined) return true;
  const [list, ...more] = children(bytes, wrapper) ?? [];
  if (list?.tag !== TAG.sequence || more.length > 0) return false;
  const extensions = children(bytes, list);
  return (
    extensions?.every((extension) => {
      const parts = children(bytes, extension) ?? [];
      return parts[0]?.tag === TAG.oid && parts[1]?.tag !== TAG.boolean;
    }) === true
  );
}

function timeOf(bytes: Buffer, element: Element | undefined): number | undefined {
  if (element === undefined || (element.tag !== TAG.utcTime && element.tag !== TAG.generalizedTime)) return undefined;
  const text = bytes.toString('latin1', element.start, element.end);
  const [, year = '', rest = ''] = (element.tag === TAG.utcTime ? /^(\d\d)(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/).exec(text) ?? [];
  const full = year.length === 2 ? `${Number(year) < 50 ? '20' : '19'}${year}` : year;
  const parts = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(rest);
  if (parts === null) return undefined;
  const ms = Date.parse(`${full}-${parts[1]}-${parts[2]}T${parts[3]}:${parts[4]}:${parts[5]}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
