// A site for tests of `operator rollout` as a process: a broker, an artifacts server, devices with flash and bootloader, a small API, and drivers that can be killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import mqtt, { type MqttClient } from 'mqtt';
import type { FirmwareRecord } from '../../operator/api/device.ts';
import { type StandIn, startStandIn } from '../broker/stand-in.ts';
import { makeServerCertificate } from '../harness/certificates.ts';
import { createDevice, type SimulatedDevice } from '../simulator/device.ts';
import { type ConnectedDevice, connectedDevice } from '../simulator/firmware/connected.ts';
import { memoryFlash } from '../simulator/firmware/flash.ts';
import type { Liar } from '../simulator/firmware/liars.ts';
import { CLASS, factory, type Image, makeSite } from '../simulator/firmware/testing/site.ts';
import { makeDeviceKey } from '../simulator/key.ts';
import { type ApiObject, type FakeApi, startFakeApi } from './fake-api.ts';
import { makeCa, signRequest } from './signing.ts';

export const SITE = 'berlin';
export const OPERATOR = 'hedgerow';
export const WAVE = 'fw-lab';
/** Of the only driver of the wave. */
export const LEASE = 'hedgerow-rollout-wave-uid-0';
const RELEASE_UID = 'release-uid';
const MAIN = fileURLToPath(new URL('../../operator/main.ts', import.meta.url));

export type Nature = {
  /** Of each image: the bits of its checks that fail; default none. */
  selfTest?: (image: Buffer) => number | undefined;
  liar?: (target: Image) => Liar;
  /** Registered in its Device. */
  hasBootKey?: boolean;
};

export type Directive = { device: string; fence: number; seq: number; nonce: string; action: string };
export type Driver = { readonly pid: number; readonly exited: Promise<number>; kill(signal: NodeJS.Signals): void; log(): string };

export type RolloutSite = {
  api: FakeApi;
  standIn: StandIn;
  devices: ConnectedDevice[];
  good: Image;
  old: Image;
  /** Everything that was published on topics of directives, in the order of an independent subscriber. */
  directives: Directive[];
  /** `isOther`: with other roots than those of the site. */
  startDriver(args?: readonly string[], isOther?: boolean): Driver;
  /** status.firmware.app of each Device. */
  records(): (FirmwareRecord | undefined)[];
  /** The entry of the driver in the wave. */
  shard(index?: number): { phase: string; fence: number; counts: Record<string, number> } | undefined;
  changeWave(spec: object, status?: object): void;
  stop(): Promise<void>;
};

/** `counter`: security counter of the new image; 4 is the one of the old. */
export async function startSite(natures: readonly Nature[], rollout: object = {}, counter = 5): Promise<RolloutSite> {
  const dir = mkdtempSync(join(tmpdir(), 'hedgerow-rollout-'));
  const [mqttCa, directiveCa, server, trust] = [
    await makeCa('devices'),
    await makeCa('directives'),
    await makeServerCertificate(),
    await makeSite(Date.now()),
  ];
  const [old, good] = [
    trust.image({ version: '2.3.0', securityCounter: 4 }),
    trust.image({ version: '2.4.0', securityCounter: counter, size: 200_000 }),
  ];
  const standIn = await startStandIn({ dir: join(dir, 'broker'), tls: { ca: mqttCa.pem, cert: server.certPem, key: server.keyPem } });
  await standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: '{allow, all}.\n' } });
  const artifacts = await serve(
    server,
    mqttCa.pem,
    new Map([
      [`/fw/sha256/${hex(good.digest)}`, good.bytes],
      [`/fw/releases/${hex(good.statementDigest)}`, good.statement],
    ]),
  );
  const api = await startFakeApi(server, async ({ spec }) => {
    const { request, issuerRef, usages } = spec as { request: string; issuerRef: { name: string }; usages: string[] };
    const ca = issuerRef.name === 'mqtt' ? mqttCa : directiveCa;
    const certificate = await signRequest(ca, Buffer.from(request, 'base64').toString(), usages);
    const conditions = [
      { type: 'Approved', status: 'True' },
      { type: 'Ready', status: 'True', reason: 'Issued' },
    ];
    return { certificate: base64(certificate), ca: base64(ca.pem), conditions };
  });
  const pinned = createHash('sha256').update(trust.firstRoot).digest('hex');
  fill(api, { good, firstRoot: trust.firstRoot, rollout });

  const address = { host: '127.0.0.1', port: standIn.mqttPort, caPem: server.caPem };
  const devices: ConnectedDevice[] = [];
  for (const [at, { selfTest = checked, liar, hasBootKey = true }] of natures.entries()) {
    const who = { device: `dev-${at}`, segment: 'office', namespace: SITE };
    const key = await makeDeviceKey(who);
    const certificatePem = await signRequest(mqttCa, key.csrPem, ['client auth']);
    const bootKeys = generateKeyPairSync('ed25519');
    const flash = memoryFlash();
    factory(flash, old);
    api.put(
      `${SITE}/devices`,
      deviceObject(`dev-${at}`, hasBootKey ? bootKeys.publicKey.export({ type: 'spki', format: 'pem' }).toString() : undefined),
    );
    const simulated = lying(await createDevice(who, at, '', key), liar?.(good));
    const fixed = { device: simulated.name, component: 'app', classId: CLASS, firstRoot: trust.firstRoot, bootKey: bootKeys.privateKey };
    devices.push(
      connectedDevice(
        { ...fixed, cas: [new X509Certificate(directiveCa.pem)], flash, selfTest },
        { device: simulated, address, certificatePem, artifactsCaPem: server.caPem },
      ),
    );
  }
  const observerKey = await makeDeviceKey({ device: 'observer', segment: 'office', namespace: SITE });
  const observer = await observe(address, {
    key: observerKey.privateKeyPem,
    cert: await signRequest(mqttCa, observerKey.csrPem, ['client auth']),
  });

  const files = { kubeconfig: join(dir, 'kubeconfig'), ca: join(dir, 'ca.pem') };
  writeFileSync(files.kubeconfig, JSON.stringify(kubeconfig(api.url, server.caPem)));
  writeFileSync(files.ca, server.caPem);
  const drivers: { child: ChildProcess; exited: Promise<number> }[] = [];

  function startDriver(more: readonly string[] = [], isOther = false): Driver {
    const logFile = join(dir, `driver-${drivers.length}.log`);
    const out = openSync(logFile, 'a');
    const args = [
      ...['rollout', '--kubeconfig', files.kubeconfig, '--namespace', OPERATOR, '--wave', `${SITE}/${WAVE}`],
      ...['--broker-mqtt', `127.0.0.1:${standIn.mqttPort}`, '--broker-mqtt-ca-file', files.ca, '--mqtt-issuer', `Issuer/${OPERATOR}/mqtt`],
      ...['--directive-issuer', `Issuer/${OPERATOR}/directives`, '--artifacts-url', `https://127.0.0.1:${artifacts.port}`],
      ...(isOther ? [] : ['--firmware-root', pinned]),
      ...['--metrics-port', '0', ...more],
    ];
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', out, out] });
    const exited = new Promise<number>((resolve) =>
      child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 143))),
    );
    drivers.push({ child, exited });
    return { pid: child.pid ?? -1, exited, kill: (signal) => void child.kill(signal), log: () => readFileSync(logFile, 'utf8') };
  }
  return {
    ...{ api, standIn, devices, good, old, directives: observer.directives, startDriver },
    records: () => natures.map((_, at) => recordOf(api.get(`${SITE}/devices`, `dev-${at}`))),
    shard(index = 0) {
      const { shards = [] } = (api.get(`${SITE}/firmwarewaves`, WAVE)?.status ?? {}) as { shards?: { index: number }[] };
      return shards.find((one) => one.index === index) as ReturnType<RolloutSite['shard']>;
    },
    changeWave(spec, status) {
      const wave = api.get(`${SITE}/firmwarewaves`, WAVE);
      if (wave === undefined) return;
      const merged = { ...(wave.spec as object), ...spec };
      api.put(`${SITE}/firmwarewaves`, {
        ...wave,
        spec: merged,
        ...(status === undefined ? {} : { status: { ...(wave.status as object), ...status } }),
      });
    },
    async stop() {
      for (const { child } of drivers) child.kill('SIGKILL');
      await Promise.all(drivers.map(({ exited }) => exited));
      await Promise.all(devices.map((device) => device.stop()));
      observer.client.end(true);
      await artifacts.close();
      await api.close();
      await standIn.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function fill(api: FakeApi, { good, firstRoot, rollout }: { good: Image; firstRoot: Buffer; rollout: object }): void {
  const artifact = {
    name: 'full',
    digest: good.digest,
    size: good.bytes.length,
    oci: `registry.example.org/fw@${good.digest}`,
    format: 'raw',
  };
  const release = {
    ...{ version: good.version, component: 'app', securityCounter: good.securityCounter, artifacts: [artifact] },
    ...{ trust: { policyRef: { name: 'roots' }, envelope: good.statement.toString() }, selector: {}, membership: 'Dynamic', priority: 500 },
    ...{ conflict: 'Queue', historyLimit: 10, distribution: { edgeCache: true, prefetch: 'Never', jitter: '0s' } },
    rollout: {
      paused: false,
      waves: [{ name: 'lab', soak: '0s', approval: 'None' }],
      order: 'hash',
      stragglers: 'CatchUp',
      mode: 'Normal',
      ...rollout,
    },
  };
  api.put('releases/firmwarereleases', { metadata: { name: 'fw', namespace: 'releases', uid: RELEASE_UID }, spec: release });
  api.put(`${OPERATOR}/configmaps`, {
    metadata: { name: `hedgerow-release-${RELEASE_UID}`, namespace: OPERATOR },
    data: { 'release.json': '{}', 'envelope.json': good.statement.toString() },
    binaryData: { '1.root.json': firstRoot.toString('base64') },
  });
  const wave = {
    release: { name: 'fw', namespace: 'releases', uid: RELEASE_UID, generation: 1 },
    ...{
      wave: 'lab',
      step: 0,
      action: 'Install',
      component: 'app',
      manifestDigest: good.statementDigest,
      catalog: `hedgerow-release-${RELEASE_UID}`,
    },
    ...{ cohort: { rankBelow: 1_000_000 }, shards: 1, perMinute: 1000, maxInFlight: 1000, suspend: false },
    grantExpires: '2036-01-01T00:00:00Z',
  };
  api.put(`${SITE}/firmwarewaves`, { metadata: { name: WAVE, namespace: SITE, uid: 'wave-uid' }, spec: wave });
}

const deviceObject = (name: string, bootKey: string | undefined): ApiObject => ({
  metadata: { name, namespace: SITE },
  spec: {
    segment: 'office',
    identity: { enrollment: 'CSR' },
    lifecycle: 'Active',
    ...(bootKey === undefined ? {} : { firmware: { hold: false, bootKey } }),
  },
});

function recordOf(device: ApiObject | undefined): FirmwareRecord | undefined {
  const status = device?.status as { firmware?: Record<string, FirmwareRecord> } | undefined;
  return status?.firmware?.app;
}

/** The check of the running image, as its head says it. */
function checked(image: Buffer): number {
  return (JSON.parse(image.toString('utf8', 0, image.indexOf('\n'))) as { selfTest: number }).selfTest;
}

/** What it publishes goes through the liar. */
function lying(device: SimulatedDevice, liar: Liar | undefined): SimulatedDevice {
  if (liar === undefined) return device;
  return {
    ...device,
    async tryPublish(topic, payload, options) {
      const kind = topic.slice(topic.lastIndexOf('/') + 1) as 'hello' | 'state' | 'log';
      for (const text of liar(kind, payload)) await device.tryPublish(topic, text, options);
      return { given: 'accepted', how: 'as the liar has it' };
    },
  };
}

async function serve(server: { certPem: string; keyPem: string }, ca: string, files: ReadonlyMap<string, Buffer>) {
  const https = createServer(
    { cert: server.certPem, key: server.keyPem, ca, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const file = files.get(request.url ?? '');
      if (file === undefined) return void response.writeHead(404).end();
      const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
      const part = file.subarray(Number(from), to === '' ? undefined : Number(to) + 1);
      response.writeHead(206, { 'content-length': part.length }).end(part);
    },
  );
  await new Promise<void>((resolve) => https.listen(0, '127.0.0.1', resolve));
  return {
    port: (https.address() as AddressInfo).port,
    async close() {
      https.closeAllConnections();
      await new Promise<void>((resolve) => https.close(() => resolve()));
    },
  };
}

async function observe(
  { host, port, caPem }: { host: string; port: number; caPem: string },
  { key, cert }: { key: string; cert: string },
): Promise<{ client: MqttClient; directives: Directive[] }> {
  const client = mqtt.connect({
    protocol: 'mqtts',
    host,
    port,
    ca: caPem,
    key,
    cert,
    protocolVersion: 5,
    clientId: `observer.${SITE}`,
    reconnectPeriod: 200,
  });
  client.on('error', () => undefined);
  const directives: Directive[] = [];
  client.on('message', (_, payload, { retain }) => {
    if (retain || payload.length === 0) return;
    const envelope = JSON.parse(payload.toString()) as { payload: string };
    const { aud, fence, seq, nonce, action } = JSON.parse(Buffer.from(envelope.payload, 'base64').toString()) as Directive & {
      aud: string;
    };
    directives.push({ device: aud, fence, seq, nonce, action });
  });
  await client.subscribeAsync('ota/v1/d/+/directive', { qos: 1 });
  return { client, directives };
}

const kubeconfig = (server: string, caPem: string): object => ({
  ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
  clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': base64(caPem) } }],
  users: [{ name: 'test', user: { token: 'of-the-test' } }],
  contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
});

const hex = (digest: string): string => digest.slice('sha256:'.length);
const base64 = (text: string): string => Buffer.from(text).toString('base64');
