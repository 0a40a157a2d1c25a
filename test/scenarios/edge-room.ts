// A gateway of a cluster as the chart of a node deploys it: the flags and the account that the chart renders, and files where a kubelet would mount them.
import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readGatewayConfig } from '../../operator/api/gateway-config.ts';
import { CONFIG_MAPS } from '../../operator/api/resources.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { type StandIn, startStandIn } from '../broker/stand-in.ts';
import { type Device as Client, tryConnect } from '../broker/testing/device.ts';
import { makeDeviceCa, subject } from '../broker/testing/pki.ts';
import { type GatewayProcess, metricOf } from '../gateway/site.ts';
import { makeServerCertificate } from '../harness/certificates.ts';
import { parseObjects } from '../harness/manifests.ts';
import { freePort, startProgram } from '../harness/operator-process.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { EDGE_CHART, podOf, type Rendered } from './chart.ts';
import type { Member, Scene } from './scene.ts';

const MAIN = fileURLToPath(new URL('../gateway/moved-clock/main.ts', import.meta.url));
const SYNC_EVERY_MS = 300;

/** The broker of the cloud: the site may publish what the guide says, and `reader`, who belongs to nobody else, hears all of it. */
export type Cloud = { broker: StandIn; caPem: string; uplink: { certPem: string; keyPem: string }; reader: Client; stop(): Promise<void> };

export async function startCloud(dir: string, site: string): Promise<Cloud> {
  const [ca, server] = [await makeDeviceCa('cloud'), await makeServerCertificate()];
  const broker = await startStandIn({ dir: join(dir, 'cloud'), tls: { ca: ca.certPem, cert: server.certPem, key: server.keyPem } });
  const rules = [
    `{allow, {clientid, "uplink.${site}"}, publish, ["agg/${site}/#", "alert/${site}/#"]}.`,
    ...['{allow, {clientid, "reader.cloud"}, subscribe, ["#"]}.', '{deny, all}.', ''],
  ];
  await broker.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: rules.join('\n') } });
  const [uplink, own] = [
    await ca.issue(subject('hedgerow', `sites.${site}`, `uplink.${site}`)),
    await ca.issue(subject('hedgerow', 'readers.cloud', 'reader.cloud')),
  ];
  const made = await tryConnect({ host: '127.0.0.1', port: broker.mqttPort, caPem: server.caPem }, own);
  if (!made.ok) throw new Error(`the reader could not connect: ${made.error}`);
  const granted = await made.device.subscribe('#');
  if (granted !== 'granted 1') throw new Error(`the reader may not hear: ${granted}`);
  return {
    ...{ broker, caPem: server.caPem, uplink, reader: made.device },
    async stop() {
      made.device.client.end(true);
      await broker.stop();
    },
  };
}

export type Edge = GatewayProcess & {
  /** Its wall clock is set forward by a little more than a minute. */
  minuteOn(): void;
  /** Files of its state that have the word, in their names or in them. */
  filesWith(word: string): string[];
  log(): string;
};

/** What the chart makes for this site; of it what gives rights and ConfigMaps is applied. */
export async function installEdge(scene: Scene, cloud: Cloud): Promise<Rendered[]> {
  const values = {
    broker: { address: `localhost:${scene.broker.port}`, tlsSecret: 'gateway-tls', ca: { configMap: 'broker-ca' }, namespace: 'emqx' },
    uplink: {
      ...{ address: `localhost:${cloud.broker.mqttPort}`, tlsSecret: 'uplink-tls', ca: { configMap: 'cloud-ca' } },
      cidrs: ['192.0.2.7/32'],
    },
    networkPolicy: { apiServer: { cidrs: ['10.43.0.1/32'] } },
    metrics: { port: await freePort() },
  };
  const rendered = parseObjects(await scene.cluster.helmTemplate(EDGE_CHART, values, scene.site)) as unknown as Rendered[];
  await scene.system.apply(rendered.filter(({ kind }) => ['ConfigMap', 'ServiceAccount', 'Role', 'RoleBinding'].includes(kind)));
  return rendered;
}

/** Resolves when it has its session at the broker of the site. `identity`: a Device of the site. */
export async function startEdge(scene: Scene, cloud: Cloud, rendered: readonly Rendered[], identity: Member): Promise<Edge> {
  const [mounts, state] = [join(scene.dir, 'mounts'), join(scene.dir, 'state')];
  writeAll(mounts, {
    'broker-tls/tls.crt': identity.certificatePem,
    'broker-tls/tls.key': identity.device.key.privateKeyPem,
    'broker-ca/ca.crt': scene.broker.caPem,
    'uplink-tls/tls.crt': cloud.uplink.certPem,
    'uplink-tls/tls.key': cloud.uplink.keyPem,
    'uplink-ca/ca.crt': cloud.caPem,
  });
  mkdirSync(state, { recursive: true });
  const { serviceAccountName, containers } = podOf(rendered as Rendered[]);
  const flags = (containers[0]?.args ?? []).map((flag) =>
    flag.replace('=/etc/hedgerow/', `=${mounts}/`).replace('=/var/lib/hedgerow', `=${state}`),
  );
  const kubeconfig = await scene.cluster.kubeconfigFor({ serviceAccount: `${scene.site}/${serviceAccountName}` });
  const port = Number(flags.find((flag) => flag.startsWith('--metrics-port='))?.split('=')[1]);
  const logFile = join(scene.dir, 'gateway.log');
  const args = [...flags, '--kubeconfig', kubeconfig, '--metrics-host', '127.0.0.1'];
  const process_ = await startProgram(MAIN, args, { name: 'the gateway', port, logFile });
  return {
    ...process_,
    metric: (name, labels) => metricOf(process_, name, labels),
    minuteOn: () => void process.kill(process_.pid, 'SIGUSR2'),
    filesWith: (word) =>
      readdirSync(state, { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile())
        .map(({ parentPath, name }) => join(parentPath, name))
        .filter((path) => path.includes(word) || bytesOf(path).includes(word)),
    log: () => readFileSync(logFile, 'utf8'),
  };
}

export type Kubelet = { stop(): Promise<void> };

/** Mounts `gateway.json` of the ConfigMap and follows it, as a kubelet does: a new folder, and the link to it replaced at once. Resolves when it is there. */
export async function startKubelet({ api, site, dir }: Scene, look: (segments: readonly string[]) => boolean): Promise<Kubelet> {
  const mount = join(dir, 'mounts', 'gateway');
  mkdirSync(mount, { recursive: true });
  symlinkSync(join('..data', 'gateway.json'), join(mount, 'gateway.json'));
  let [last, version, running] = ['', 0, true];
  const sync = async (isWanted: (text: string) => boolean): Promise<true | undefined> => {
    const map = await api.get<KubeObject & { data?: Record<string, string> }>(CONFIG_MAPS, { namespace: site, name: 'hedgerow-gateway' });
    const text = map?.data?.['gateway.json'];
    if (text === undefined || text === last || !isWanted(text)) return undefined;
    version += 1;
    writeAll(mount, { [`..${version}/gateway.json`]: text });
    symlinkSync(`..${version}`, join(mount, '..data_tmp'));
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
    last = text;
    return true;
  };
  await waitFor(
    'the policies to be compiled',
    () =>
      sync((text) => {
        const config = readGatewayConfig(text);
        return 'segments' in config && look(config.segments.map(({ name }) => name));
      }),
    { timeoutMs: 60_000 },
  );
  const going = (async () => {
    while (running) {
      // What fails is done again: a kubelet too waits for the API server.
      await sync(() => true).catch(() => undefined);
      await pause(SYNC_EVERY_MS);
    }
  })();
  return {
    async stop() {
      running = false;
      await going;
    },
  };
}

function writeAll(dir: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text, { mode: 0o600 });
  }
}

/** A file may be renamed while somebody looks. */
function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
