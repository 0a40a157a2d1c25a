// A certificate for a client that the operator is itself. The key is made here and stays in memory: a process that ends takes it along, the next one makes another.
import type { KeyObject } from 'node:crypto';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../runtime/clock.ts';
import { askForCertificate } from './asked-certificate.ts';
import type { IssuerRef } from './device-facts.ts';
import { newCsr, newKey } from './new-csr.ts';
import { USAGES } from './request-facts.ts';
import type { Subject } from './subject.ts';
import { readCertificate } from './x509.ts';

export type OwnCertificate = {
  /** PEM chain, and the key that belongs to it. */
  certificate: string;
  key: KeyObject;
  /** Of the certificate: the user name that the broker forces from it. */
  md5: string;
  notAfterMs: number;
};

export type OwnCertificateDeps = { client: Pick<KubeClient, 'get' | 'create' | 'mergePatch' | 'delete'>; clock: Clock };
export type OwnWish = { subject: Subject; issuer: IssuerRef & { namespace: string }; name: string; durationMs: number };

/** Not the label by which devices' requests are watched: no Device waits for this one. */
const OURS = { 'hedgerow.dev/own-certificate': 'true' } as const;

/** Asks cert-manager, approves, and deletes the request when it has served. Rejects with a sentence for a person. */
export async function obtainOwn(wish: OwnWish, { client, clock }: OwnCertificateDeps, signal: AbortSignal): Promise<OwnCertificate> {
  const key = newKey();
  const { name, issuer, durationMs } = wish;
  const { namespace } = issuer;
  const approver = { client, message: 'requested by Hedgerow for a client of its own' };
  const asked = { name, namespace, issuer, durationMs, labels: OURS, usages: USAGES, csr: newCsr(wish.subject, key) };
  const granted = await askForCertificate(asked, { client, clock }, approver, signal);
  await granted.remove(signal);
  const read = readCertificate(granted.chain);
  const names = `O=${wish.subject.organization}\nOU=${wish.subject.organizationalUnit}\nCN=${wish.subject.commonName}`;
  if (read === undefined || read.subject !== names) throw new Error('the issuer signed another subject than was asked for');
  return { certificate: granted.chain, key: key.privateKey, md5: read.md5, notAfterMs: Date.parse(read.notAfter) };
}
