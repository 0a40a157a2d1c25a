/** Subjects written byte by byte: certificates with names that no well-behaved library would make. */

export type StringKind = 'utf8' | 'printable' | 'ia5' | 'bmp' | 't61' | 'universal';
/** One RDN is a list of attributes: more than one makes it multi-valued. */
export type Rdn = { type: string; value: string }[];

const OIDS: Record<string, number[]> = {
  CN: [0x55, 4, 3],
  serialNumber: [0x55, 4, 5],
  C: [0x55, 4, 6],
  O: [0x55, 4, 10],
  OU: [0x55, 4, 11],
};
const TAGS: Record<StringKind, number> = { utf8: 0x0c, printable: 0x13, t61: 0x14, ia5: 0x16, universal: 0x1c, bmp: 0x1e };

export function subjectDer(rdns: readonly Rdn[], kind: StringKind = 'utf8'): Buffer {
  return der(
    0x30,
    ...rdns.map((rdn) => {
      const attributes = rdn.map(({ type, value }) => der(0x30, der(0x06, Buffer.from(OIDS[type] ?? [])), textOf(type, value, kind)));
      // DER sorts the elements of a SET by their encoding (X.690 §11.6).
      return der(0x31, ...attributes.sort(Buffer.compare));
    }),
  );
}

function textOf(type: string, value: string, kind: StringKind): Buffer {
  // X.520 gives these two no choice of string.
  const encoding = type === 'C' || type === 'serialNumber' ? 'printable' : kind;
  return der(TAGS[encoding], encode(value, encoding));
}

function encode(value: string, kind: StringKind): Buffer {
  if (kind === 'bmp') return Buffer.from(value, 'utf16le').swap16();
  if (kind === 'universal') return Buffer.concat([...value].map((c) => Buffer.from([0, 0, c.charCodeAt(0) >> 8, c.charCodeAt(0) & 0xff])));
  return Buffer.from(value, kind === 'utf8' ? 'utf8' : 'latin1');
}

function der(tag: number, ...contents: Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const length =
    body.length < 0x80 ? [body.length] : body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

/** Reads `CN=a\,b,OU=x+OU=y,O=z` (RFC 2253, as openssl prints it: everything in reverse order) into RDNs in their order in the certificate. */
export function readRfc2253(text: string): Rdn[] {
  return split(text, ',')
    .map((rdn) =>
      split(rdn, '+')
        .map((pair) => ({ type: pair.slice(0, pair.indexOf('=')), value: unescape2253(pair.slice(pair.indexOf('=') + 1)) }))
        .reverse(),
    )
    .reverse();
}

function split(text: string, separator: string): string[] {
  const parts = [''];
  for (let at = 0; at < text.length; at++) {
    const c = text[at] ?? '';
    if (c === '\\') parts[parts.length - 1] += c + (text[++at] ?? '');
    else if (c === separator) parts.push('');
    else parts[parts.length - 1] += c;
  }
  return parts;
}

function unescape2253(text: string): string {
  const bytes = text.replace(/\\([0-9A-F]{2})|\\(.)|([^\\]+)/g, (_all, hex?: string, one?: string, plain?: string) =>
    hex === undefined ? Buffer.from(one ?? plain ?? '').toString('latin1') : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
