// A revocation list of the site's CA as a device reads it. From wherever it comes: the signature says what it is worth.
import 'reflect-metadata';
import { type X509Certificate as Certificate, webcrypto } from 'node:crypto';
import { X509Certificate, X509Crl } from '@peculiar/x509';
import { plainSerial } from './judge.ts';

export type Known = { thisUpdateMs: number; serials: ReadonlySet<string> };

/** What is known from now on: the older list stays where the newer one is none, is not signed by the CA, or is not newer. */
export async function heardList(known: Known, der: Buffer, ca: Certificate): Promise<Known> {
  try {
    const list = new X509Crl(der);
    const isSigned = await list.verify({ publicKey: new X509Certificate(ca.raw) }, webcrypto);
    if (!isSigned || list.thisUpdate.getTime() <= known.thisUpdateMs) return known;
    return { thisUpdateMs: list.thisUpdate.getTime(), serials: new Set(list.entries.map((one) => plainSerial(one.serialNumber))) };
  } catch {
    return known;
  }
}
