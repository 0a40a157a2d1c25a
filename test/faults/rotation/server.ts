// The broker's server certificate in a world whose processes are killed: two CAs that can sign it, the folder of anchors, and what mounts the operator's message.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../../controlplane/cluster.ts';
import type { ServerCertificate } from '../../harness/certificates.ts';
import { siteManifests } from '../../harness/manifests.ts';
import type { PlainApi } from '../../harness/plain-api.ts';
import { OPERATOR_NAMESPACE, runner, type System } from '../../harness/system.ts';
import { waitFor } from '../../harness/wait.ts';
import { type AnchorFolder, makeAnchorFolder, makeServerCas, type ServerCas } from '../../scenarios/server-ca.ts';

const NAMESPACE = 'servers';
const STATE = 'hedgerow-trust';
const [FIRST, SECOND] = ['servers-1', 'servers-2'] as const;
/** Those who are away are 5 % of all, and a little more of those who count. */
const SHARE = '0.9';

export type ServerTrust = {
  readonly certificate: ServerCertificate;
  readonly chartValues: Record<string, unknown>;
  readonly operatorArgs: string[];
  readonly estArgs: string[];
  /** The kubelet's part: the operator's message as a file of the EST server. */
  mount(admin: PlainApi): Promise<void>;
  /** The operator's signed message. */
  message(admin: PlainApi): Promise<string>;
  /** Names the next CA and waits until the operator has switched the Certificate; then the broker gets it, as its kubelet would do it. */
  rotate(admin: PlainApi, system: System, restart: () => Promise<void>): Promise<void>;
  end(): void;
};

/** `site`: with it comes the ClusterIssuer that signs CAs. */
export async function makeServerTrust(cluster: Cluster, site: string): Promise<ServerTrust> {
  await runner(cluster).apply([...siteManifests(site), { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } }]);
  const cas = await makeServerCas(cluster, NAMESPACE, [FIRST, SECOND]);
  const dir = join(cluster.dir, 'trust');
  mkdirSync(dir, { recursive: true });
  const folder = makeAnchorFolder(dir);
  folder.write('current.pem', cas.anchor(FIRST));
  const messageFile = join(dir, 'anchors.json');
  const trust: ServerTrust = {
    certificate: await cas.first(),
    chartValues: { trust: { enabled: true, anchors: 'server-anchors', signerSecret: 'trust-signer' } },
    operatorArgs: [
      ...['--server-anchors', folder.dir, '--trust-key-file', folder.keyFile, '--trust-state', STATE],
      ...['--switch-share', SHARE, '--server-certificate', cas.certificateName],
    ],
    estArgs: ['--server-anchors', folder.dir, '--trust-message-file', messageFile],
    async mount(admin) {
      const text = (await stateOf(admin))['anchors.json'];
      if (text !== undefined) writeFileSync(messageFile, text);
    },
    message: (admin) => waitFor('the signed message', async () => (await stateOf(admin))['anchors.json'], { timeoutMs: 120_000 }),
    rotate: (admin, system, restart) => rotate({ admin, system, restart, cas, folder }),
    end: () => cas.end(),
  };
  return trust;
}

type Rotation = { admin: PlainApi; system: System; restart: () => Promise<void>; cas: ServerCas; folder: AnchorFolder };

async function rotate({ admin, system, restart, cas, folder }: Rotation): Promise<void> {
  folder.write('next-issuer', `Issuer/${SECOND}`);
  folder.write('next.pem', cas.anchor(SECOND));
  let seen = '';
  await waitFor(
    'the operator to switch the Certificate of the broker',
    async () => {
      seen = (await stateOf(admin))['status.json'] ?? '';
      return (JSON.parse(seen || '{}') as { phase?: string }).phase === 'Switched' ? true : undefined;
    },
    { timeoutMs: 300_000, everyMs: 1_000, describe: () => seen },
  );
  system.standIn().replaceCertificate(await cas.servedBy(SECOND));
  await restart();
}

async function stateOf(admin: PlainApi): Promise<Record<string, string>> {
  const path = `/api/v1/namespaces/${OPERATOR_NAMESPACE}/configmaps/${STATE}`;
  return (await admin.send<{ data?: Record<string, string> }>('GET', path)).data ?? {};
}
