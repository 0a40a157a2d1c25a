// A site on a cluster of its own with operator, EST server, CRL server and broker, each of which may be killed, as may the API server.
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, startCluster } from '../../controlplane/cluster.ts';
import { makeServerCertificate } from '../../harness/certificates.ts';
import { parseObjects, ROOT } from '../../harness/manifests.ts';
import { freePort, startCrl, startEst } from '../../harness/operator-process.ts';
import { connectPlainly, type PlainApi } from '../../harness/plain-api.ts';
import { OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, type System, startSystem } from '../../harness/system.ts';
import { pause, waitFor } from '../../harness/wait.ts';
import type { BrokerAddress } from '../../simulator/device.ts';
import { type Supervised, supervise } from './process.ts';
import { makeServerTrust } from './server.ts';

export const VICTIMS = ['operator', 'est', 'crl', 'kube-apiserver', 'broker'] as const;
export type Victim = (typeof VICTIMS)[number];

export type RotationWorld = {
  readonly system: System;
  readonly site: string;
  readonly admin: PlainApi;
  readonly broker: Omit<BrokerAddress, 'caPem'>;
  readonly est: { port: number; caPem: string };
  /** When the broker was down, ms of `performance.now()`; the last one may still last. */
  readonly brokerDowntimes: { from: number; to: number }[];
  kill(victim: Victim): Promise<void>;
  /** PEM of the CAs in the operator's bundle. */
  bundle(): Promise<string[]>;
  /** PEM of the CAs that the broker's listener uses. */
  brokerCas(): Promise<string[]>;
  /** Renews the Secret of the site's CA with a new key, as its administrator would. Gives the new certificate. */
  rotateIssuer(): Promise<string>;
  issuerCa(): Promise<string>;
  /** The signed message about the CAs of the broker. */
  anchors(): Promise<string>;
  /** Another CA for the broker's own certificate: told to the devices first, then in force. */
  rotateServer(): Promise<void>;
  stop(): Promise<void>;
};

const SITE = 'site';

export async function startRotationWorld(name: string): Promise<RotationWorld> {
  const cluster = await startCluster({ name: `${name}-${process.pid}`, with: ['controller-manager', 'cert-manager'], freshData: true });
  try {
    return await assemble(cluster);
  } catch (error) {
    await cluster.down();
    throw error;
  }
}

async function assemble(cluster: Cluster): Promise<RotationWorld> {
  const account = (part: string) => `${OPERATOR_ACCOUNT}-${part}`;
  const trust = await makeServerTrust(cluster, SITE);
  const system = await startSystem({
    cluster,
    sites: [SITE],
    startOperator: false,
    operatorArgs: ['--leader-elect', 'false', '--est-account', `${OPERATOR_NAMESPACE}/${account('est')}`, ...trust.operatorArgs],
    serverCertificate: trust.certificate,
    chartValues: trust.chartValues,
  });
  await system.apply(await rights(cluster));
  const admin = await connectPlainly(cluster.adminKubeconfig, 8);
  const dir = join(cluster.dir, 'est');
  mkdirSync(dir, { recursive: true });
  const file = (part: string): string => join(dir, part);
  const server = await makeServerCertificate();
  writeFileSync(file('tls.crt'), server.certPem);
  writeFileSync(file('tls.key'), server.keyPem, { mode: 0o600 });
  const issuerCa = (): Promise<string> => caOf(admin);
  writeFileSync(file('devices.crt'), await issuerCa());

  const [estPort, crlPort] = [await freePort(), await freePort()];
  const kubeconfig = (part: string) => cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${account(part)}` });
  const common = { namespace: OPERATOR_NAMESPACE, defaultIssuer: 'Issuer/hedgerow-devices' };
  const [estConfig, crlConfig] = [await kubeconfig('est'), await kubeconfig('crl')];
  const processes: Record<'operator' | 'est' | 'crl', Supervised> = {
    operator: supervise('the operator', () => system.startOperator()),
    est: supervise('the EST server', () =>
      startEst({
        ...common,
        kubeconfig: estConfig,
        tls: { certFile: file('tls.crt'), keyFile: file('tls.key') },
        deviceCaFile: file('devices.crt'),
        extraArgs: ['--more-device-cas-file', file('bundle.crt'), '--wait', '5', '--address-burst', '100000', ...trust.estArgs],
        port: estPort,
        logFile: join(cluster.dir, 'est.log'),
      }),
    ),
    crl: supervise('the CRL server', () =>
      startCrl({
        namespace: OPERATOR_NAMESPACE,
        kubeconfig: crlConfig,
        issuers: [`Issuer/${SITE}/hedgerow-devices`],
        port: crlPort,
        logFile: join(cluster.dir, 'crl.log'),
      }),
    ),
  };
  await Promise.all(Object.values(processes).map((one) => one.running()));

  const bundle = async (): Promise<string[]> => {
    const path = `/api/v1/namespaces/${OPERATOR_NAMESPACE}/configmaps/hedgerow-ca-bundle`;
    return certificatesIn((await admin.send<{ data: Record<string, string> }>('GET', path)).data['ca.crt'] ?? '');
  };
  const mounting = mount(async () => {
    writeFileSync(file('bundle.crt'), (await bundle()).join(''));
    await trust.mount(admin);
  });
  const brokerDowntimes: { from: number; to: number }[] = [];
  /** One at a time: the kills, and the restart with a new certificate. */
  let restarting: Promise<void> = Promise.resolve();
  const restarted = (before: () => Promise<void>): Promise<void> => {
    restarting = restarting.then(async () => {
      const down = { from: performance.now(), to: Number.POSITIVE_INFINITY };
      brokerDowntimes.push(down);
      await before();
      await system.standIn().restart();
      down.to = performance.now();
    });
    return restarting;
  };
  return {
    ...{ system, site: SITE, admin, brokerDowntimes, bundle, issuerCa },
    broker: { host: '127.0.0.1', port: system.standIn().mqttPort },
    est: { port: estPort, caPem: server.caPem },
    async kill(victim) {
      if (victim === 'kube-apiserver') {
        await cluster.kill(victim);
        await cluster.start(victim);
      } else if (victim === 'broker') {
        await restarted(() => system.standIn().kill());
      } else {
        await processes[victim].kill();
        await processes[victim].running();
      }
    },
    async brokerCas() {
      const { body } = await system.standIn().request('GET', '/listeners/ssl:default');
      return certificatesIn(readFileSync((body as { ssl_options: { cacertfile: string } }).ssl_options.cacertfile, 'utf8'));
    },
    async rotateIssuer() {
      const before = await issuerCa();
      await admin.send('DELETE', SECRET);
      return waitFor('cert-manager to make a new CA', async () => differs(await issuerCa(), before), { timeoutMs: 120_000 });
    },
    anchors: () => trust.message(admin),
    rotateServer: () => trust.rotate(admin, system, () => restarted(() => system.standIn().stop())),
    async stop() {
      mounting.stop();
      trust.end();
      await Promise.all(Object.values(processes).map((one) => one.stop()));
      await Promise.all([admin.close(), system.standIn().stop()]);
      await cluster.down();
    },
  };
}

const SECRET = `/api/v1/namespaces/${SITE}/secrets/hedgerow-devices-ca`;
const differs = (now: string, before: string): string | undefined => (now === before ? undefined : now);

async function caOf(admin: PlainApi): Promise<string> {
  const { data } = await admin.send<{ data: Record<string, string> }>('GET', SECRET);
  const pem = Buffer.from(data['tls.crt'] ?? '', 'base64').toString('utf8');
  return new X509Certificate(pem).toString();
}

/** What the chart gives to the EST and the CRL server. */
async function rights(cluster: Cluster): Promise<object[]> {
  const values = {
    fullnameOverride: OPERATOR_ACCOUNT,
    broker: { url: 'https://127.0.0.1:18083' },
    est: { enabled: true, tlsSecret: 'est-tls', deviceCa: { configMap: 'device-ca' } },
    crl: { enabled: true, issuers: [{ namespace: SITE, name: 'hedgerow-devices', secret: 'hedgerow-devices-ca' }] },
  };
  const rendered = parseObjects(await cluster.helmTemplate(join(ROOT, 'charts', 'hedgerow'), values, OPERATOR_NAMESPACE));
  return rendered.filter(
    ({ kind, metadata }) => /^(ServiceAccount|(Cluster)?Role(Binding)?)$/.test(kind ?? '') && /-(est|crl)/.test(metadata.name ?? ''),
  );
}

/** The kubelet's part: ConfigMaps as files in the EST server's pod. */
function mount(write: () => Promise<void>): { stop(): void } {
  let stopped = false;
  void (async () => {
    while (!stopped) {
      await write().catch(() => undefined);
      await pause(1_000);
    }
  })();
  return {
    stop: () => {
      stopped = true;
    },
  };
}

const certificatesIn = (text: string): string[] =>
  (text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((pem) => new X509Certificate(pem).toString());
