// The world of the benches `revoke` and `edit`: a site whose certificates name a revocation list, the operator, `operator crl`, a broker that checks the list, and a fleet with certificates.
import { join } from 'node:path';
import { type Cluster, startCluster } from '../controlplane/cluster.ts';
import { type FleetDevice, makeFleet } from '../harness/fleet.ts';
import { parseObjects, ROOT, segmentManifest } from '../harness/manifests.ts';
import { freePort, type OperatorProcess, startCrl } from '../harness/operator-process.ts';
import { parallel } from '../harness/parallel.ts';
import { connectPlainly, type PlainApi } from '../harness/plain-api.ts';
import { OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, type System, startSystem } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import type { Client } from './sockets/messages.ts';

export const SITE = 'revoke';
const SEGMENT = 'sensors';
type Group = { segment?: string; prefix?: string };
const LISTENER = 'ssl:default';
export const CONNECTIONS = 24;
const ENROL_FOR_MS = 900_000;
const BATCH = 400;
const BATCH_WITHIN_MS = 300_000;
const DEVICES = `/apis/hedgerow.dev/v1alpha1/namespaces/${SITE}/devices`;

type Say = (line: string) => void;
export type World = { cluster: Cluster; system: System; crl: OperatorProcess; admin: PlainApi };
export type Member = Client & { device: FleetDevice };

export async function startWorld(say: Say): Promise<World> {
  const features = ['controller-manager', 'cert-manager'] as const;
  const cluster = await startCluster({ name: `bench-${process.pid}`, with: features, freshData: true, say });
  const system = await startSystem({ cluster, sites: [SITE], say });
  const crl = await startLists(cluster, system);
  await system.apply([segmentManifest(SEGMENT, SITE)]);
  const body = { id: LISTENER, type: 'ssl', ssl_options: { verify: 'verify_peer', enable_crl_check: true } };
  const { status } = await system.standIn().request('PUT', `/listeners/${LISTENER}`, { body });
  if (status !== 200) throw new Error(`the broker answered ${status} to the CRL check`);
  return { cluster, system, crl, admin: await connectPlainly(cluster.adminKubeconfig, CONNECTIONS) };
}

export async function stopWorld({ cluster, system, crl, admin }: World): Promise<void> {
  await admin.close();
  await crl.stop();
  await system.stop();
  await cluster.down();
}

/** `operator crl` under its own account of the chart, and the issuer that names its list. */
async function startLists(cluster: Cluster, system: System): Promise<OperatorProcess> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/crl/${SITE}/hedgerow-devices.pem`;
  const metadata = { name: 'hedgerow-devices', namespace: SITE };
  const spec = { ca: { secretName: 'hedgerow-devices-ca', crlDistributionPoints: [url] } };
  await system.apply([{ apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata, spec }]);
  const values = {
    ...{ fullnameOverride: OPERATOR_ACCOUNT, broker: { url: 'https://127.0.0.1:18083' } },
    crl: { enabled: true, issuers: [{ ...metadata, secret: 'hedgerow-devices-ca' }] },
  };
  const chart = parseObjects(await cluster.helmTemplate(join(ROOT, 'charts', 'hedgerow'), values, OPERATOR_NAMESPACE));
  const account = `${OPERATOR_ACCOUNT}-crl`;
  const mine = chart.filter(({ metadata: { name } }) => name?.startsWith(account));
  await system.apply(mine.filter(({ kind }) => /^(ServiceAccount|(Cluster)?Role(Binding)?)$/.test(kind ?? '')));
  const kubeconfig = await cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${account}` });
  const issuers = [`Issuer/${SITE}/hedgerow-devices`];
  return startCrl({ kubeconfig, namespace: OPERATOR_NAMESPACE, issuers, port, logFile: join(cluster.dir, 'crl.log') });
}

type Seen = {
  metadata: { name: string; resourceVersion?: string };
  status?: { certificate?: string; conditions?: { type: string; status: string }[] };
};

/** Devices with requests of their own keys, all the way to Ready: `count`, or as many as a slow machine makes in `ENROL_FOR_MS`. */
export async function enrol(
  { admin }: World,
  count: number,
  say: Say,
  { segment = SEGMENT, prefix = 'device' }: Group = {},
): Promise<Member[]> {
  say(`making ${count} keys`);
  const fleet = await makeFleet({ count, namespace: SITE, segment, prefix });
  const { metadata } = await admin.send<{ metadata: { resourceVersion: string } }>('GET', `${DEVICES}?limit=1`);
  const ready = new Map<string, string>();
  const stop = new AbortController();
  watchReady(admin, metadata.resourceVersion, ready, stop.signal).catch(() => undefined);
  const startedAt = performance.now();
  const spentMs = (): number => performance.now() - startedAt;
  let made = 0;
  try {
    while (made < count && spentMs() < ENROL_FOR_MS) {
      const batch = fleet.slice(made, made + BATCH);
      made += batch.length;
      await parallel(batch, CONNECTIONS, async ({ manifest }) => void (await admin.send('POST', DEVICES, manifest)));
      // The next batch while this one is nearly done, so that the operator never waits for us.
      const enough = made < count ? made - BATCH / 4 : made;
      await untilReady(ready, enough);
      say(
        `${ready.size} of ${count} Devices are Ready, about ${Math.round(((count - ready.size) * spentMs()) / 1000 / ready.size)} s left`,
      );
    }
    await untilReady(ready, made);
  } finally {
    stop.abort();
  }
  if (made < count) say(`${made} Devices in ${Math.round(spentMs() / 1000)} s have to do on this machine`);
  return fleet.slice(0, made).map((device) => ({
    device,
    clientId: `${device.name}.${SITE}`,
    keyPem: device.key.privateKeyPem,
    certPem: ready.get(device.name) ?? '',
  }));
}

async function untilReady(ready: ReadonlyMap<string, string>, count: number): Promise<void> {
  await waitFor(`${count} Devices to be Ready`, () => (ready.size >= count ? true : undefined), {
    ...{ timeoutMs: BATCH_WITHIN_MS, everyMs: 100, describe: () => `${ready.size} are` },
  });
}

/** One watch for all; when the server ends it, it goes on where it was. */
async function watchReady(admin: PlainApi, from: string, ready: Map<string, string>, stop: AbortSignal): Promise<void> {
  let resourceVersion = from;
  while (!stop.aborted) {
    for await (const line of admin.watch(`${DEVICES}?watch=true&resourceVersion=${resourceVersion}`, stop)) {
      const { type, object } = JSON.parse(line) as { type: string; object: Seen };
      if (type === 'ERROR') throw new Error(`the watch of Devices ended: ${line}`);
      resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
      const certificate = object.status?.certificate;
      const isReady = object.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True');
      if (isReady && certificate !== undefined) ready.set(object.metadata.name, certificate);
    }
  }
}
