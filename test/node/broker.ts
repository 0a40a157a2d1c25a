// The broker stand-in on the bridge's address, where pods of both nodes reach it, trusting the device roots of the sample's sites.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startStandIn } from '../broker/stand-in.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { apply } from '../controlplane/testing.ts';
import { makeServerCertificate } from '../harness/certificates.ts';
import { siteManifests } from '../harness/manifests.ts';
import { kubectl } from './kubectl.ts';
import type { Lab } from './lab.ts';
import { CENTRE_IP, LAB_DIR } from './layout.ts';
import { sampleNamespaces } from './sample.ts';

export async function startBroker(lab: Lab): Promise<void> {
  const cluster = lab.cluster();
  const sites = sampleNamespaces();
  for (const site of sites) await apply(cluster, siteManifests(site));
  const roots = await Promise.all(sites.map((site) => deviceRoot(cluster, site)));
  const server = await makeServerCertificate([CENTRE_IP]);
  const dir = join(LAB_DIR, 'broker');
  mkdirSync(dir, { recursive: true });
  const standIn = await startStandIn({ dir, host: CENTRE_IP, tls: { ca: roots.join('\n'), cert: server.certPem, key: server.keyPem } });
  lab.onDown(() => standIn.stop());
  lab.setBroker({ restUrl: standIn.restUrl, mqttPort: standIn.mqttPort, caPem: server.caPem, apiKey: standIn.apiKey });
}

/** The certificate that signs the devices of a site; the Secret also holds its key, which is not looked at. */
async function deviceRoot(cluster: Cluster, site: string): Promise<string> {
  await kubectl(cluster, 'wait', '--for=condition=Ready', 'issuer/hedgerow-devices', '-n', site, '--timeout=60s');
  const encoded = await kubectl(cluster, 'get', 'secret', 'hedgerow-devices-ca', '-n', site, '-o', 'jsonpath={.data.tls\\.crt}');
  return Buffer.from(encoded, 'base64').toString('utf8');
}
