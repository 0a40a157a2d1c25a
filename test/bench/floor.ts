// The floor of the bench `ready`: the requests that nobody can do without, made by a plain script as fast as it can. For each Device: a CertificateRequest
// created and approved, signed by cert-manager, one status written, the request deleted. No ledger, no checks, no retries, no broker.
import type { FleetDevice } from '../harness/fleet.ts';
import { parallel } from '../harness/parallel.ts';
import type { PlainApi } from '../harness/plain-api.ts';

type Request = {
  metadata: { name: string; resourceVersion: string };
  status?: { /** base64 of PEM */ certificate?: string; conditions?: { type: string; status: string }[] };
};

const MERGE = 'application/merge-patch+json';

/** The Devices exist already. `lanes`: how many of them are under way at the same time. */
export async function runFloor(api: PlainApi, fleet: readonly FleetDevice[], options: { namespace: string; lanes: number }): Promise<void> {
  const requests = `/apis/cert-manager.io/v1/namespaces/${options.namespace}/certificaterequests`;
  const devices = `/apis/hedgerow.dev/v1alpha1/namespaces/${options.namespace}/devices`;
  const stop = new AbortController();
  const signed = watchSigned(api, requests, stop.signal);
  try {
    await parallel(fleet, options.lanes, async (device) => {
      const certificate = signed.of(device.name);
      await api.send('POST', requests, newRequest(device));
      await api.send('PATCH', `${requests}/${device.name}/status`, approval(), MERGE);
      const pem = await Promise.race([certificate, signed.failed]);
      await api.send('PATCH', `${devices}/${device.name}/status`, readyStatus(pem), MERGE);
      await api.send('DELETE', `${requests}/${device.name}`);
    });
  } finally {
    stop.abort();
  }
}

/** One watch for all: polling would cost more than what is measured. When the server ends it, it goes on where it was. */
function watchSigned(api: PlainApi, path: string, stop: AbortSignal) {
  const waiting = new Map<string, (certificate: string) => void>();
  let resourceVersion = '';
  const follow = async (): Promise<never> => {
    for (;;) {
      for await (const line of api.watch(`${path}?watch=true&resourceVersion=${resourceVersion}`, stop)) {
        const { type, object } = JSON.parse(line) as { type: string; object: Request };
        if (type === 'ERROR') throw new Error(`the watch of certificate requests ended: ${line}`);
        resourceVersion = object.metadata.resourceVersion;
        const certificate = object.status?.certificate;
        if (certificate === undefined) continue;
        waiting.get(object.metadata.name)?.(Buffer.from(certificate, 'base64').toString('utf8'));
        waiting.delete(object.metadata.name);
      }
    }
  };
  const failed = follow();
  failed.catch(() => undefined); // who waits for a certificate hears of it; after the last one nobody does
  return {
    failed,
    of: (name: string): Promise<string> => new Promise((resolve) => waiting.set(name, resolve)),
  };
}

function newRequest({ name, namespace, key }: FleetDevice): object {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'CertificateRequest',
    metadata: { name, namespace },
    spec: {
      request: Buffer.from(key.csrPem).toString('base64'),
      issuerRef: { name: 'hedgerow-devices', kind: 'Issuer', group: 'cert-manager.io' },
      duration: '720h0m0s',
      usages: ['digital signature', 'client auth'],
    },
  };
}

function approval(): object {
  // Whole seconds: cert-manager's webhook refuses its own later write otherwise.
  return { status: { conditions: [{ type: 'Approved', status: 'True', reason: 'Floor', message: 'floor', lastTransitionTime: now() }] } };
}

/** As much as the operator writes into a Device that is Ready: the certificate and four conditions. */
function readyStatus(certificate: string): object {
  const conditions = ['Authorized', 'Certified', 'Ready', 'Segmented'].map((type) => ({
    type,
    status: 'True',
    reason: 'Floor',
    message: 'written by the floor of the bench',
    lastTransitionTime: now(),
    observedGeneration: 1,
  }));
  return { status: { observedGeneration: 1, certificate, conditions } };
}

const now = (): string => new Date().toISOString().replace(/\.\d+Z$/, 'Z');
