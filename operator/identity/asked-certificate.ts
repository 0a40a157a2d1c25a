// A certificate that a process of Hedgerow asks for itself: one CertificateRequest of one name, so that a crash leaves one at the most, and the next call removes it.
import type { ObjectMeta } from '../api/meta.ts';
import { CERTIFICATE_REQUESTS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists } from '../kube/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { IssuerRef } from './device-facts.ts';
import { approvalPatch, type CertificateRequest, durationText, requestFacts } from './request-facts.ts';

export type AskedCertificate = {
  name: string;
  namespace: string;
  issuer: IssuerRef;
  /** By these an object of this name is known to be ours. */
  labels: Readonly<Record<string, string>>;
  annotations?: Readonly<Record<string, string>>;
  /** PEM. */
  csr: string;
  usages: readonly string[];
  durationMs: number;
};

export type AskDeps = { client: Pick<KubeClient, 'get' | 'create' | 'delete'>; clock: Clock };
export type Approver = { client: Pick<KubeClient, 'mergePatch'>; message: string };

/** `chain`: PEM. `remove` deletes the request; where that fails the next call of this name does it. Never rejects. */
export type Granted = {
  chain: string /** Of the CA in PEM, where the issuer tells it. */;
  ca: string | undefined;
  remove(signal: AbortSignal): Promise<void>;
};

const LOOK_MS = 250;
const WITHIN_MS = 60_000;

/** With `approver` the request is approved here, without it somebody else does. Rejects with a sentence for a person; nothing is left behind then. */
export async function askForCertificate(
  asked: AskedCertificate,
  { client, clock }: AskDeps,
  approver: Approver | undefined,
  signal: AbortSignal,
): Promise<Granted> {
  const ref = { name: asked.name, namespace: asked.namespace };
  await removeOld();
  const made = await client.create<CertificateRequest>(CERTIFICATE_REQUESTS, requestOf(asked), signal).catch(taken);
  const mine = requestFacts(made);
  const remove = async (until: AbortSignal): Promise<void> =>
    void (await client.delete(CERTIFICATE_REQUESTS, ref, { uid: mine.uid }, until).catch(() => false));
  try {
    if (approver !== undefined) {
      const at = `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
      const patch = approvalPatch(mine, approver.message, at);
      await approver.client.mergePatch(CERTIFICATE_REQUESTS, ref, patch, { subresource: 'status' }, signal);
    }
    return { ...(await issued()), remove };
  } catch (error) {
    await remove(signal);
    throw error;
  }

  /** What a process before this one left behind. */
  async function removeOld(): Promise<void> {
    const old = await client.get<CertificateRequest>(CERTIFICATE_REQUESTS, ref, signal);
    if (old?.metadata.uid === undefined) return;
    if (!isOurs(old.metadata)) taken();
    await client.delete(CERTIFICATE_REQUESTS, ref, { uid: old.metadata.uid }, signal);
  }

  async function issued(): Promise<Pick<Granted, 'chain' | 'ca'>> {
    for (const until = clock.elapsed() + WITHIN_MS; clock.elapsed() < until; await clock.sleep(LOOK_MS, signal)) {
      const now = await client.get<CertificateRequest>(CERTIFICATE_REQUESTS, ref, signal);
      if (now?.metadata.uid !== mine.uid) throw new Error(`CertificateRequest ${ref.namespace}/${ref.name} was deleted by somebody else`);
      const { state, certificate, ca, message } = requestFacts(now);
      if (state === 'issued' && certificate !== undefined) return { chain: certificate, ca };
      if (state === 'failed' || state === 'denied') throw new Error(`the issuer refuses: ${message}`);
    }
    const { kind, name } = asked.issuer;
    throw new Error(`no certificate from ${kind} ${kind === 'Issuer' ? `${ref.namespace}/` : ''}${name} within ${WITHIN_MS / 1000} s`);
  }

  function isOurs(metadata: ObjectMeta): boolean {
    return Object.entries(asked.labels).every(([label, value]) => metadata.labels?.[label] === value);
  }

  function taken(error?: unknown): never {
    if (error !== undefined && !isAlreadyExists(error)) throw error;
    throw new Error(`CertificateRequest ${ref.namespace}/${ref.name} is somebody else's`);
  }
}

function requestOf({ name, namespace, labels, annotations, issuer, csr, usages, durationMs }: AskedCertificate): CertificateRequest {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: CERTIFICATE_REQUESTS.kind,
    metadata: { name, namespace, labels: { ...labels }, ...(annotations === undefined ? {} : { annotations: { ...annotations } }) },
    spec: {
      request: Buffer.from(csr).toString('base64'),
      issuerRef: { name: issuer.name, kind: issuer.kind, group: 'cert-manager.io' },
      duration: durationText(durationMs),
      usages: [...usages],
    },
  };
}
