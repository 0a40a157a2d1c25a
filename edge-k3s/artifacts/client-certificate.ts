// Who a client is: the Device that its certificate names, and whether a revocation list names the certificate. The chain itself was verified by TLS.
import { createHash, X509Certificate } from 'node:crypto';
import { LABEL_PATTERN, MAX_WIRE_NAME } from '../../operator/api/names.ts';
import { isSignedBy, plainSerial, type ReadList, readList } from '../../operator/crl/read-list.ts';
import { Refused } from './errors.ts';

const LABEL = new RegExp(LABEL_PATTERN);
/** One relative name a line, as node prints it, in this order and nothing else: a name of several values is printed with a plus, which no label has. */
const SUBJECT = /^O=hedgerow\nOU=([a-z0-9-]+)\.([a-z0-9-]+)\nCN=(([a-z0-9-]+)\.([a-z0-9-]+))$/;

/** `<device>.<namespace>`; undefined for every other subject, those of drivers and of the canary too, whose labels begin with a dash. */
export function deviceOf({ subject }: Pick<X509Certificate, 'subject'>): string | undefined {
  const [, segment = '', ofSegment = '', name, device = '', namespace = ''] = SUBJECT.exec(subject) ?? [];
  if (name === undefined || ofSegment !== namespace || name.length > MAX_WIRE_NAME) return undefined;
  return [segment, device, namespace].every((label) => LABEL.test(label)) ? name : undefined;
}

/** PEM or DER, several in one PEM. Throws `Refused` HR-FW-431. */
export function readLists(bytes: Buffer, file: string): ReadList[] {
  const blocks = [...bytes.toString('latin1').matchAll(/-----BEGIN (?:X509 )?CRL-----([A-Za-z0-9+/=\s]+)-----END (?:X509 )?CRL-----/g)];
  const lists = blocks.length === 0 ? [bytes] : blocks.map((block) => Buffer.from(block[1] ?? '', 'base64'));
  return lists.map((der) => {
    const list = readList(der);
    if (list === undefined) throw new Refused('HR-FW-431', `${file} is no revocation list that reads`);
    return list;
  });
}

export interface Revocations {
  /** `chain`: the client's certificate first, each issued by the next. */
  revoked(chain: readonly X509Certificate[]): boolean;
}

/** A list counts for what its CA has issued, past its nextUpdate too: whoever is on it stays out. */
export function createRevocations(lists: readonly ReadList[]): Revocations {
  /** A signature is checked once a list and CA. */
  const known = new Map<string, ReadList[]>();
  function listsOf(authority: X509Certificate): readonly ReadList[] {
    const id = createHash('sha256').update(authority.raw).digest('hex');
    const found = known.get(id) ?? lists.filter((list) => isSignedBy(list, authority));
    known.set(id, found);
    return found;
  }
  return {
    revoked: (chain) =>
      chain.some((certificate, at) => {
        const authority = chain[at + 1];
        const serial = plainSerial(certificate.serialNumber);
        return authority !== undefined && listsOf(authority).some((list) => list.serials.has(serial));
      }),
  };
}

/** What TLS verified, from the client up to a CA of ours. `first`: as TLSSocket.getPeerCertificate(true) gives it. */
export function chainOf(first: { raw?: Buffer; issuerCertificate?: unknown }): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: { raw?: Buffer; issuerCertificate?: unknown } | undefined = first;
  // A self-signed certificate is its own issuer, and has itself as the next.
  while (next?.raw !== undefined && chain.length < 8 && !chain.some((known) => known.raw.equals(next?.raw ?? Buffer.alloc(0)))) {
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate as typeof next;
  }
  return chain;
}
