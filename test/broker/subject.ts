/**
 * A certificate's subject as EMQX sees it (esockd_ssl.erl): read from the DER itself, because Node's object form loses the order of the
 * RDNs, multi-valued RDNs and escapes.
 */

import { createHash } from 'node:crypto';

export type PeerIdentity = { dn: string; cn?: string; md5: string };

/** Undefined when OTP 25 could not decode the subject (IA5String in a name attribute) and drops the connection, or it is no DER. */
export function readPeer(der: Buffer): PeerIdentity | undefined {
  const rdns = subjectOf(der);
  if (!rdns) return undefined;
  const names = rdns.flat().filter((attribute) => attribute.type === '2.5.4.3');
  const dn = rdns
    .toReversed()
    .map((rdn) => rdn.map((attribute) => `${SHORT[attribute.type] ?? attribute.type}=${escapeValue(attribute.value)}`).join('+'))
    .join(',');
  const md5 = createHash('md5').update(der).digest('hex');
  // Several CNs are joined by a comma: such a certificate gets the client id `a,b`.
  return names.length > 0 ? { dn, cn: names.map((name) => name.value).join(','), md5 } : { dn, md5 };
}

type Attribute = { type: string; value: string };

const SHORT: Record<string, string> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'SERIALNUMBER',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'TITLE',
  '2.5.4.42': 'GIVENNAME',
  '2.5.4.43': 'INITIALS',
  '2.5.4.44': 'GENERATIONQUALIFIER',
  '2.5.4.65': 'PSEUDONYM',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'EMAILADDRESS',
};

function subjectOf(der: Buffer): Attribute[][] | undefined {
  try {
    return readSubject(der);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // a length that leads out of the bytes
    throw error;
  }
}

type Tlv = { tag: number; body: Buffer; end: number };

function tlv(der: Buffer, at: number): Tlv {
  const tag = der[at] ?? 0;
  let length = der[at + 1] ?? 0;
  let start = at + 2;
  if (length > 0x80) {
    const bytes = length & 0x7f;
    length = der.readUIntBE(start, bytes);
    start += bytes;
  }
  const end = start + length;
  if (end > der.length) throw new RangeError('a length beyond the end');
  return { tag, body: der.subarray(start, end), end };
}

function children(body: Buffer): Tlv[] {
  const items: Tlv[] = [];
  for (let at = 0; at < body.length; ) {
    const item = tlv(body, at);
    items.push(item);
    at = item.end;
  }
  return items;
}

function readSubject(der: Buffer): Attribute[][] | undefined {
  const tbs = children(tlv(der, 0).body)[0];
  if (!tbs) return undefined;
  // TBSCertificate: [0] version, serial, signature, issuer, validity, subject (RFC 5280 §4.1); version is absent in v1.
  const fields = children(tbs.body);
  const subject = fields[fields[0]?.tag === 0xa0 ? 5 : 4];
  if (!subject) return undefined;
  const rdns: Attribute[][] = [];
  for (const set of children(subject.body)) {
    const rdn: Attribute[] = [];
    for (const pair of children(set.body)) {
      const [oid, value] = children(pair.body);
      if (!oid || !value) return undefined;
      const type = oidText(oid.body);
      const text = directoryString(value.tag, value.body, type);
      if (text === undefined) return undefined;
      rdn.push({ type, value: text });
    }
    rdns.push(rdn);
  }
  return rdns;
}

function oidText(body: Buffer): string {
  const arcs: number[] = [];
  let value = 0;
  for (const byte of body) {
    value = value * 128 + (byte & 0x7f);
    if (byte & 0x80) continue;
    if (arcs.length === 0) arcs.push(Math.min(Math.floor(value / 40), 2), value - 40 * Math.min(Math.floor(value / 40), 2));
    else arcs.push(value);
    value = 0;
  }
  return arcs.join('.');
}

// serialNumber, country: PrintableString by their definition; emailAddress, DC: IA5String is right there.
const IA5_ALLOWED = new Set(['1.2.840.113549.1.9.1', '0.9.2342.19200300.100.1.25']);

function directoryString(tag: number, body: Buffer, type: string): string | undefined {
  switch (tag) {
    case 0x0c: // UTF8String
      return body.toString('utf8');
    case 0x13: // PrintableString
    case 0x14: // T61String, read as Latin-1
      return body.toString('latin1');
    case 0x16: // IA5String
      return IA5_ALLOWED.has(type) ? body.toString('latin1') : undefined;
    case 0x1e: // BMPString
      return Buffer.from(body).swap16().toString('utf16le');
    case 0x1c: // UniversalString
      return Array.from({ length: body.length / 4 }, (_, at) => String.fromCodePoint(body.readUInt32BE(at * 4))).join('');
    default:
      return undefined;
  }
}

/** RFC 4514 §2.4, and every byte outside 0x20..0x7d as `\XX` of its UTF-8 form. */
function escapeValue(value: string): string {
  const bytes = Buffer.from(value, 'utf8');
  let out = '';
  for (const [at, byte] of bytes.entries()) {
    const c = String.fromCharCode(byte);
    const edgeSpace = c === ' ' && (at === 0 || at === bytes.length - 1);
    if ((at === 0 && c === '#') || edgeSpace || '"+,;<>\\'.includes(c)) out += `\\${c}`;
    else if (byte < 0x20 || byte >= 0x7e) out += `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    else out += c;
  }
  return out;
}
