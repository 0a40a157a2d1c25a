// What an eavesdropper on every socket, a client of yesterday's TLS, and a reader of logs, events and statuses find of a whole run: nothing.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Server } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_VERSION, DEVICES, SECRETS } from '../../operator/api/resources.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { ensureDebianPackages } from '../../scripts/bootstrap/debian.ts';
import type { PortName } from '../controlplane/components.ts';
import { readState } from '../controlplane/layout.ts';
import { waitFor } from '../harness/wait.ts';
import { type Captured, startCapture, whyNoCapture } from './capture.ts';
import { ATTEMPTS, type Attempt, ask, permissiveListener } from './openssl.ts';
import { speaksPlainMqtt, startPlainProxy } from './plain-proxy.ts';
import { conditionOf, deviceManifest, type Member, type Scene, segment, startScene, untilDevice } from './scene.ts';
import { searchForms } from './secret-forms.ts';
import { socketsOf } from './sockets.ts';
import { type Road, traffic } from './traffic.ts';

const MARKER = 'MARKER-b7e2d4-telemetry-of-room-3-17';
const skipped = whyNoCapture();

let scene: Scene;
let ports: Record<PortName, number>;
let thermo: Member;
/** Everything that must stay secret, in every form that it could turn up in. */
let secrets: Map<string, Buffer>;
let captured: Captured;
let control: Captured;

/** Everything of the system that listens, but for the operator's own port: that is plain HTTP by design (Prometheus, the kubelet's probes), and what it says is looked at below. */
const listeners = (): Record<string, number> => ({
  'API server': ports.apiserver,
  etcd: ports.etcd,
  'etcd, for its peers': ports.etcdPeer,
  'controller manager': ports.controllerManager,
  "cert-manager's webhook": ports.webhook,
  'broker, MQTT': scene.broker.port,
  'broker, REST': Number(new URL(scene.system.standIn().restUrl).port),
});
const processes = (): Record<string, number> => ({
  ...Object.fromEntries(scene.cluster.components.map((component) => [component, scene.cluster.pid(component) ?? 0])),
  operator: scene.system.operator().pid,
  'broker stand-in': scene.system.standIn().pid,
});
const metricsPort = (): number => Number(new URL(scene.system.operator().metricsUrl).port);

beforeAll(async () => {
  await ensureDebianPackages([{ package: 'openssl', command: 'openssl' }], console.log);
  scene = await startScene('wire', { startOperator: false, operatorArgs: ['--log-level', 'debug'] });
  const state = await readState(scene.cluster.dir);
  if (state === undefined) throw new Error('no state of the cluster');
  ports = state.ports;
  if (skipped === undefined) await ensureDebianPackages([{ package: 'tcpdump', command: 'tcpdump' }], console.log);
  const capture = skipped === undefined ? await startCapture(Object.values(listeners()), join(scene.dir, 'tls.pcap')) : undefined;
  await wholeRun();
  if (capture !== undefined) captured = await capture.stop();
});
afterAll(() => scene?.stop());

/** A life in short: the operator starts, devices of both kinds are certified and talk, one is revoked, the broker's key is wrong for a while. */
async function wholeRun(): Promise<void> {
  const { site, system } = scene;
  await system.startOperator();
  await system.apply([segment('office', site), ...reader(site), gateway(site)]);
  thermo = ((await scene.enrol(['thermo'], { marker: MARKER })) as [Member])[0];
  const [gone] = (await scene.enrol(['gone'])) as [Member];
  await gone.connect();
  await untilDevice(scene, { name: 'gateway', namespace: site }, { type: 'Ready', status: 'True' });

  const token = tokenIn(await scene.cluster.kubeconfigFor({ serviceAccount: `${site}/reader` }));
  const { key, secret } = system.standIn().apiKey;
  const with_ = {
    member: thermo,
    basic: `Basic ${base64(`${key}:${secret}`)}`,
    token,
    secretPath: `/api/v1/namespaces/${site}/secrets/gateway-tls`,
  };
  const road: Road = {
    mqtt: { address: scene.broker },
    rest: { url: system.standIn().restUrl, ca: system.brokerCaPem },
    api: { url: scene.cluster.server, ca: scene.cluster.caPem },
  };
  const answer = JSON.parse(await traffic(road, with_)) as { data: Record<string, string> };
  const wrong = 'operator:WRONG-KEY-5f0e9c-of-yesterday';
  secrets = new Map([
    ...searchForms('telemetry', MARKER),
    ...searchForms("the device's key", thermo.device.key.privateKeyPem),
    ...searchForms("the gateway's key", Buffer.from(answer.data['tls.key'] ?? '', 'base64').toString()),
    ...searchForms("the operator's token", tokenIn(kubeconfigOf(system.operator().pid))),
    ...searchForms("the reader's token", token),
    ...searchForms("the broker's API secret", secret),
    ...searchForms("the broker's API key", `${key}:${secret}`),
    ...searchForms('a wrong API key', wrong),
  ]);

  await untilClosed(gone, () => system.apply([deviceManifest(gone.device, 'office', { lifecycle: 'Revoked' })]));
  const keyFile = join(scene.dir, 'broker', 'operator.key');
  writeFileSync(keyFile, wrong);
  await waitFor(
    'the operator to be refused by the broker',
    async () => {
      const device = await scene.api.get<KubeObject>(DEVICES, thermo.ref);
      return conditionOf(device, 'Authorized')?.status === 'True' ? undefined : true;
    },
    { timeoutMs: 60_000 },
  );
  writeFileSync(keyFile, `${key}:${secret}`);
  await untilDevice(scene, thermo.ref, { type: 'Ready', status: 'True' }, 90_000);
  if (skipped === undefined) control = await controlRun(with_);
}

/** With a certificate among its options, the library would speak TLS whatever the protocol says. */
const WITHOUT_TLS = { protocol: 'mqtt', cert: '', key: '' } as const;

/** The same traffic over roads without TLS, captured in the same way. */
async function controlRun(with_: Parameters<typeof traffic>[1]): Promise<Captured> {
  const { privateKeyPem: key } = thermo.device.key;
  const mqtt = await startPlainProxy({
    port: scene.broker.port,
    servername: 'localhost',
    ca: scene.broker.caPem,
    key,
    cert: thermo.certificatePem,
  });
  const rest = await startPlainProxy({ port: listeners()['broker, REST'] ?? 0, ca: scene.system.brokerCaPem });
  const api = await startPlainProxy({ port: ports.apiserver, ca: scene.cluster.caPem });
  const capture = await startCapture([mqtt.port, rest.port, api.port], join(scene.dir, 'plain.pcap'));
  await traffic(
    {
      mqtt: { address: { ...scene.broker, port: mqtt.port }, options: WITHOUT_TLS },
      rest: { url: `http://127.0.0.1:${rest.port}` },
      api: { url: `http://127.0.0.1:${api.port}` },
    },
    with_,
  );
  const found = await capture.stop();
  await Promise.all([mqtt, rest, api].map((proxy) => proxy.stop()));
  return found;
}

describe.skipIf(skipped !== undefined)(`an eavesdropper on every socket${skipped === undefined ? '' : ` (skipped: ${skipped})`}`, () => {
  it('hears all of it: whatever a process of the system listens on or talks to was captured', () => {
    const known = [...Object.values(listeners()), metricsPort()];
    const sockets = socketsOf(Object.values(processes()));
    expect(sockets.filter(({ listening, localPort }) => listening && !known.includes(localPort))).toEqual([]);
    expect(sockets.filter(({ localPort, remotePort }) => !known.includes(localPort) && !known.includes(remotePort))).toEqual([]);
    expect(captured.dropped).toBe(0);
    for (const name of ['API server', 'etcd', 'broker, MQTT', 'broker, REST', "cert-manager's webhook"])
      expect([name, captured.bytesAt(listeners()[name] ?? 0)]).toEqual([name, expect.toSatisfy((bytes: number) => bytes > 1_000)]);
  });

  it('finds no telemetry, key or token', () => {
    expect(captured.find(secrets)).toEqual([]);
  });

  it('would have found them: the control run without TLS gives them away', () => {
    const found = control.find(secrets).map((what) => what.replace(/ at \d+$/, ''));
    for (const what of ['telemetry', "the gateway's key (a line in base64", "the reader's token", "the broker's API key (base64"])
      expect([what, found.some((one) => one.startsWith(what))]).toEqual([what, true]);
    // The key of a device never leaves it, whatever the road (promise 2); and nobody sent what nobody holds any more.
    expect(found.filter((one) => one.startsWith("the device's key") || one.startsWith("the operator's token"))).toEqual([]);
  });
});

describe('a client of yesterday', () => {
  let careless: Server & { port: number };
  beforeAll(async () => {
    careless = await permissiveListener(scene.dir);
  });
  afterAll(() => void careless?.close());

  it.each(Object.keys(ATTEMPTS) as Attempt[])('is refused with %s at every listener, and taken by a careless one', async (attempt) => {
    for (const [name, port] of Object.entries(listeners()))
      expect([name, await ask(port, attempt)]).toEqual([
        name,
        { refused: expect.stringMatching(/^(protocol version|handshake failure)$/) },
      ]);
    expect(await ask(careless.port, attempt)).toHaveProperty('agreed');
  });

  it('finds no port that speaks MQTT without TLS, until somebody opens it', async () => {
    const open = (): number[] => [
      ...new Set(socketsOf(Object.values(processes())).flatMap(({ listening, localPort }) => (listening ? [localPort] : []))),
    ];
    const speaking = async (): Promise<number[]> => {
      const answers = await Promise.all(open().map(async (port) => ((await speaksPlainMqtt(port)) ? [port] : [])));
      return answers.flat();
    };
    expect(await speaking()).toEqual([]);
    const broker = scene.system.standIn();
    const { body } = await broker.request('GET', '/listeners/tcp:default');
    await broker.request('PUT', '/listeners/tcp:default', { body: { ...(body as object), enable: true } });
    expect(await speaking()).toHaveLength(1);
    await broker.request('PUT', '/listeners/tcp:default', { body: { ...(body as object), enable: false } });
    await waitFor('the port to close', async () => ((await speaking()).length === 0 ? true : undefined));
  });
});

describe('a reader of what the operator leaves behind', () => {
  const KINDS =
    'devices,segmentpolicies,interventions,certificateledgers,certificaterequests,certificates,issuers,networkpolicies,leases,configmaps,events';
  const inText = (text: string): string[] =>
    [...secrets].filter(([, bytes]) => text.includes(bytes.toString('latin1'))).map(([name]) => name);

  it('finds no secret in log, metrics, events, statuses, command lines and environments', async () => {
    const texts: Record<string, string> = {
      'the log': readFileSync(join(scene.dir, 'operator.log'), 'latin1'),
      'the metrics': await (await fetch(`${scene.system.operator().metricsUrl}/metrics`)).text(),
      'the objects': await scene.system.kubectl('get', KINDS, '-A', '-o', 'yaml', '--show-managed-fields'),
    };
    for (const [name, pid] of Object.entries(processes()))
      for (const file of ['cmdline', 'environ']) texts[`${file} of ${name}`] = readFileSync(`/proc/${pid}/${file}`, 'latin1');
    for (const [where, text] of Object.entries(texts)) {
      expect([where, text.length > 0]).toEqual([where, true]);
      expect([where, inText(text)]).toEqual([where, []]);
    }
    expect(texts['the log']?.includes('"level":"debug"')).toBe(true);
    expect(texts['the objects']?.includes('secretName: gateway-tls')).toBe(true);
  });

  it('would have found them where they belong', async () => {
    expect(inText(kubeconfigOf(scene.system.operator().pid))).toContain("the operator's token");
    const secret = await scene.system.kubectl('get', 'secret', 'gateway-tls', '-n', scene.site, '-o', 'yaml');
    expect(inText(secret).some((name) => name.startsWith("the gateway's key (a line in base64"))).toBe(true);
    expect(inText(readFileSync(join(scene.dir, 'broker', 'operator.key'), 'latin1'))).toEqual(
      expect.arrayContaining(["the broker's API secret", "the broker's API key"]),
    );
  });
});

/** A ServiceAccount that may read the Secrets of the site: somebody has to, for the control run. */
function reader(namespace: string): object[] {
  const rbac = 'rbac.authorization.k8s.io';
  const metadata = { name: 'reader', namespace };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    { apiVersion: `${rbac}/v1`, kind: 'Role', metadata, rules: [{ apiGroups: [''], resources: [SECRETS.plural], verbs: ['get'] }] },
    {
      ...{ apiVersion: `${rbac}/v1`, kind: 'RoleBinding', metadata },
      roleRef: { apiGroup: rbac, kind: 'Role', name: metadata.name },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    },
  ];
}

/** A device whose key cert-manager makes: the one key that does travel, between cert-manager, the API server and its store. */
function gateway(namespace: string): object {
  return {
    apiVersion: API_VERSION,
    kind: 'Device',
    metadata: { name: 'gateway', namespace },
    spec: { segment: 'office', identity: { enrollment: 'Managed', secretName: 'gateway-tls' } },
  };
}

async function untilClosed({ device, name }: Member, act: () => Promise<unknown>): Promise<void> {
  await act();
  await waitFor(`the socket of ${name} to close`, () => (device.endedAt() === undefined ? undefined : true));
}

/** The kubeconfig that a process was started with. */
function kubeconfigOf(pid: number): string {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  return readFileSync(words[words.indexOf('--kubeconfig') + 1] ?? '', 'utf8');
}

/** `kubeconfig`: a file or its text. */
function tokenIn(kubeconfig: string): string {
  const text = kubeconfig.startsWith('{') ? kubeconfig : readFileSync(kubeconfig, 'utf8');
  return (JSON.parse(text) as { users: { user: { token: string } }[] }).users[0]?.user.token ?? '';
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
