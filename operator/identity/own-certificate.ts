// A certificate for a client that the operator is itself. The key is made here and stays in memory: a process that ends takes it along, the next one makes another.
import type { KeyObject } from 'node:crypto';
import { CERTIFICATE_REQUESTS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists } from '../kube/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { IssuerRef } from './device-facts.ts';
import { newCsr, newKey } from './new-csr.ts';
import { approvalPatch, type CertificateRequest, durationText, requestFacts, USAGES } from './request-facts.ts';
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
const LOOK_MS = 250;
const WITHIN_MS = 60_000;

/**
 * Asks cert-manager, approves, and deletes the request when it has served. One object of one name, so that a crash leaves one at the most, and the next call removes
 * it. Rejects with a sentence for a person.
 */
export async function obtainOwn(wish: OwnWish, { client, clock }: OwnCertificateDeps, signal: AbortSignal): Promise<OwnCertificate> {
  const ref = { name: wish.name, namespace: wish.issuer.namespace };
  const key = newKey();
  await removeOld();
  const made = await client
    .create<CertificateRequest>(CERTIFICATE_REQUESTS, requestOf(wish, newCsr(wish.subject, key)), signal)
    .catch(taken);
  const mine = requestFacts(made);
  try {
    const at = `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
    const patch = approvalPatch(mine, 'requested by Hedgerow for a client of its own', at);
    await client.mergePatch(CERTIFICATE_REQUESTS, ref, patch, { subresource: 'status' }, signal);
    const facts = await issued();
    const read = readCertificate(facts);
    const names = `O=${wish.subject.organization}\nOU=${wish.subject.organizationalUnit}\nCN=${wish.subject.commonName}`;
    if (read === undefined || read.subject !== names) throw new Error('the issuer signed another subject than was asked for');
    return { certificate: facts, key: key.privateKey, md5: read.md5, notAfterMs: Date.parse(read.notAfter) };
  } finally {
    // Where that fails the next call does it.
    await client.delete(CERTIFICATE_REQUESTS, ref, { uid: mine.uid }, signal).catch(() => false);
  }

  /** What an operator before this one left behind. */
  async function removeOld(): Promise<void> {
    const old = await client.get<CertificateRequest>(CERTIFICATE_REQUESTS, ref, signal);
    if (old?.metadata.uid === undefined) return;
    if (Object.entries(OURS).some(([label, value]) => old.metadata.labels?.[label] !== value)) taken();
    await client.delete(CERTIFICATE_REQUESTS, ref, { uid: old.metadata.uid }, signal);
  }

  async function issued(): Promise<string> {
    for (const until = clock.elapsed() + WITHIN_MS; clock.elapsed() < until; await clock.sleep(LOOK_MS, signal)) {
      const now = await client.get<CertificateRequest>(CERTIFICATE_REQUESTS, ref, signal);
      if (now?.metadata.uid !== mine.uid) throw new Error(`CertificateRequest ${ref.namespace}/${ref.name} was deleted by somebody else`);
      const { state, certificate, message } = requestFacts(now);
      if (state === 'issued' && certificate !== undefined) return certificate;
      if (state === 'failed' || state === 'denied') throw new Error(`the issuer refuses: ${message}`);
    }
    const { kind, name } = wish.issuer;
    throw new Error(`no certificate from ${kind} ${kind === 'Issuer' ? `${ref.namespace}/` : ''}${name} within ${WITHIN_MS / 1000} s`);
  }

  function taken(error?: unknown): never {
    if (error !== undefined && !isAlreadyExists(error)) throw error;
    throw new Error(`CertificateRequest ${ref.namespace}/${ref.name} is somebody else's`);
  }
}

function requestOf({ name, issuer, durationMs }: OwnWish, csr: string): CertificateRequest {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: CERTIFICATE_REQUESTS.kind,
    metadata: { name, namespace: issuer.namespace, labels: { ...OURS } },
    spec: {
      request: Buffer.from(csr).toString('base64'),
      issuerRef: { name: issuer.name, kind: issuer.kind, group: 'cert-manager.io' },
      duration: durationText(durationMs),
      usages: [...USAGES],
    },
  };
}
