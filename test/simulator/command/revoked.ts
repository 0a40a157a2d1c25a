// A revocation list of the site's CA as a device reads it. From wherever it comes: the signature says what it is worth.
import type { X509Certificate } from 'node:crypto';
import { isSignedBy, plainSerial, readList } from '../../../operator/crl/read-list.ts';

export type Known = { thisUpdateMs: number; serials: ReadonlySet<string> };

/** What is known from now on: the older list stays where the newer one is none, is not signed by the CA, or is not newer. */
export function heardList(known: Known, der: Buffer, ca: X509Certificate): Known {
  const list = readList(der);
  if (list === undefined || !isSignedBy(list, ca) || list.thisUpdateMs <= known.thisUpdateMs) return known;
  return { thisUpdateMs: list.thisUpdateMs, serials: new Set([...list.serials].map(plainSerial)) };
}
