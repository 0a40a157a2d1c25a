// Devices without a manifest, in the whole system: operator and two EST servers as processes under the chart's rights, real cert-manager, broker, and clients that nobody here wrote.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import { decodeEntry } from '../../operator/identity/ledger-entry.ts';
import { registeredDevice } from '../../operator/identity/registered-device.ts';
import { createMaker, type Maker } from '../../operator/identity/testing/maker.ts';
import { OpenSsl } from '../../operator/identity/testing/openssl.ts';
import { runProcess } from '../controlplane/helm.ts';
import { EST_ARGS, type EstProcess, type EstSystem, prepareEst } from '../harness/est-system.ts';
import { type BoxedDevice, boxedDevice, letIn, makeFactoryFleet } from '../harness/factory-fleet.ts';
import { parallel } from '../harness/parallel.ts';
import { OPERATOR_ACCOUNT, OPERATOR_NAMESPACE } from '../harness/system.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { createDevice } from '../simulator/device.ts';
import { persist } from '../simulator/est.ts';
import { type Scene, startScene, untilDevice, untilSegment } from './scene.ts';

const FLEET = 200;
const LANES = 16;
/** This machine may have other things to do. */
const PATIENCE_MS = 240_000;

const ssl = new OpenSsl();
let scene: Scene;
let est: EstSystem;
let servers: EstProcess[] = [];
let maker: Maker;
let fleet: BoxedDevice[];

beforeAll(async () => {
  maker = await createMaker();
  scene = await startScene('jit', { operatorArgs: EST_ARGS, startOperator: false });
  est = await prepareEst({ cluster: scene.cluster, system: scene.system, sites: scene.sites, dir: scene.dir });
  await scene.system.startOperator();
  servers = await Promise.all([est.start(), est.start()]);
  fleet = await makeFactoryFleet({ maker, namespace: scene.site, segment: 'office', count: FLEET });
  const extra = ['CURL-1', 'LATE-1', 'TALK-1'];
  await scene.system.apply(
    letIn({
      maker,
      namespace: scene.site,
      segment: 'office',
      serials: [...fleet.map(({ serial }) => serial), ...extra],
      maximum: FLEET + 3,
    }),
  );
  await untilSegment(scene, 'office');
});
afterAll(async () => {
  await est?.stop();
  await scene?.stop();
  ssl[Symbol.dispose]();
});

type Objects<T> = { items: T[] };
const devices = async (): Promise<Device[]> => (await scene.system.get<Objects<Device>>('devices', '-n', scene.site)).items;
const isReady = (device: Device): boolean =>
  device.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;

describe('curl and openssl', () => {
  it('learn the subject from the refusal, enrol, and the Device is Ready; nothing in Git, and nothing that Argo CD would track', async () => {
    const shown = await maker.device('CURL-1');
    writeFileSync(join(ssl.dir, 'idevid.key'), shown.key);
    writeFileSync(join(ssl.dir, 'idevid.crt'), shown.cert);
    writeFileSync(join(ssl.dir, 'est-ca.crt'), servers[0]?.caPem ?? '');
    const post = async (csr: string) => {
      ssl.bash(`openssl req -in ${csr} -outform DER | base64 > body`);
      const tls = ['--cacert', 'est-ca.crt', '--key', 'idevid.key', '--cert', 'idevid.crt'].map((arg) =>
        arg.includes('.') ? join(ssl.dir, arg) : arg,
      );
      const url = `https://localhost:${servers[0]?.port}/.well-known/est/simpleenroll`;
      const header = ['-H', 'Content-Type: application/pkcs10', '--data-binary', `@${join(ssl.dir, 'body')}`];
      return (await runProcess(['curl', '-sS', ...tls, ...header, url])).stdout;
    };
    ssl.bash('openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout any.key -out any.csr -subj /CN=anything');
    const told = /openssl req -new [^\n]* -subj (\S+)/.exec(await post('any.csr')) ?? [];
    const name = /CN=([^.]+)\./.exec(told[1] ?? '')?.[1] ?? '';
    ssl.bash(told[0] ?? 'false');
    const answer = await post(`${name}.csr`);
    const pem = ssl.run(['pkcs7', '-inform', 'DER', '-print_certs'], Buffer.from(answer, 'base64')).toString();
    expect(pem).toContain('BEGIN CERTIFICATE');
    const device = await untilDevice(scene, { name, namespace: scene.site }, { type: 'Ready', status: 'True' });
    expect(device.metadata.labels).toEqual({ 'hedgerow.dev/origin': 'jit' });
    expect(JSON.stringify(device.metadata)).not.toMatch(/argocd|app\.kubernetes\.io\/instance/);
    expect(device.spec).toMatchObject({ segment: 'office', hardware: { serial: 'CURL-1' } });
  });
});

describe('a fleet without manifests', () => {
  it(`of ${FLEET} devices comes in while operator and EST servers are killed: each is Ready, one Device and one certificate a device`, async () => {
    const enrolled = parallel(fleet, LANES, async (device, at) => {
      const order = at % 2 === 0 ? [0, 1] : [1, 0];
      // Read anew at each try: a killed server comes back on another port.
      const addresses = () => order.map((n) => servers[n] as EstProcess);
      const call = { path: 'simpleenroll', as: device.factory, body: device.request } as const;
      const end = Date.now() + PATIENCE_MS;
      for (;;) {
        const answer = await persist(addresses(), call, { deadlineMs: 5_000, longestPauseMs: 500 }).catch(
          (error: unknown) => error as Error,
        );
        if (!(answer instanceof Error)) return expect(answer).toMatchObject({ status: 200 });
        if (Date.now() > end) throw answer;
      }
    });
    const killing = (async () => {
      await pause(1_500);
      await scene.system.operator().kill();
      await pause(500);
      await servers[0]?.kill();
      await scene.system.startOperator();
      servers[0] = await est.start();
      await pause(1_000);
      await servers[1]?.kill();
      servers[1] = await est.start();
    })();
    await Promise.all([enrolled, killing]);
    const found = await waitFor(
      'every Device to be Ready',
      async () => {
        const all = (await devices()).filter((device) => device.spec.hardware?.serial?.startsWith('SN-'));
        return all.length >= FLEET && all.every(isReady) ? all : undefined;
      },
      { timeoutMs: PATIENCE_MS, everyMs: 1_000 },
    );
    expect(found.map(({ metadata }) => metadata.name).toSorted()).toEqual(fleet.map(({ name }) => name).toSorted());
    const certificates = await ledgerOf();
    for (const { name } of fleet)
      expect({ name, certificates: certificates.get(`${name}.${scene.site}`) }).toEqual({ name, certificates: 1 });
  });

  it('is counted in the status of its SegmentPolicy, and one more than the maximum is refused there too', async () => {
    await letOneIn('LATE-1');
    await letOneIn('TALK-1');
    const one = await boxedDevice(maker, 'LATE-2', { namespace: scene.site, segment: 'office' });
    const list = [...fleet.map(({ serial }) => serial), 'CURL-1', 'LATE-1', 'TALK-1', 'LATE-2'].join('\n');
    const patch = JSON.stringify({ data: { office: list } });
    await scene.system.kubectl('patch', 'configmap', 'hedgerow-serials', '-n', scene.site, '--type', 'merge', '-p', patch);
    await waitFor(
      'the maximum to be what refuses it',
      async () => {
        const answer = await persist(servers, { path: 'simpleenroll', as: one.factory, body: one.request }, { deadlineMs: 30_000 });
        expect(answer.status).toBe(403);
        return answer.body.startsWith('HR-ID-087') ? true : undefined;
      },
      { timeoutMs: 150_000, everyMs: 5_000 },
    );
    const policy = await waitFor(
      'the status to say so',
      async () => {
        const found = await scene.system.get<{
          status?: { counts?: { registered?: number }; conditions?: { type: string; reason: string }[] };
        }>('segmentpolicy', 'office', '-n', scene.site);
        const open = found.status?.conditions?.find(({ type }) => type === 'EnrollmentOpen');
        return open?.reason === 'MaximumReached' && found.status?.counts?.registered === FLEET + 3 ? found : undefined;
      },
      { timeoutMs: 120_000 },
    );
    expect(JSON.stringify(policy.status)).not.toContain('SN-1');
    const events = await waitFor('the Event', async () => {
      const { items } = await scene.system.get<Objects<{ reason: string; note?: string; message?: string }>>('events', '-n', scene.site);
      return items.find(({ reason }) => reason === 'MaximumReached');
    });
    expect(events.note ?? events.message).toContain('HR-ID-087');
  });

  it('talks: its certificate is one that the broker takes', async () => {
    const boxed = await boxedDevice(maker, 'TALK-1', { namespace: scene.site, segment: 'office' });
    const device = await createDevice({ device: boxed.name, segment: 'office', namespace: scene.site }, 1);
    const body = device.key.csrPem.replace(/-----[^-]+-----|\s/g, '');
    // The same factory certificate and a new key, as after a factory reset. The key of the factory was made anew here, so it is another device to the operator.
    const other = await persist(servers, { path: 'simpleenroll', as: boxed.factory, body }, { deadlineMs: 60_000 });
    expect(other.body).toContain('HR-EST-024');
    const same = await persist(servers, { path: 'simpleenroll', as: talker.factory, body }, { deadlineMs: 60_000 });
    expect(same.status).toBe(200);
    const pem =
      /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(
        ssl.run(['pkcs7', '-inform', 'DER', '-print_certs'], Buffer.from(same.body, 'base64')).toString(),
      )?.[0] ?? '';
    await untilDevice(scene, { name: boxed.name, namespace: scene.site }, { type: 'Ready', status: 'True' });
    await device.connect(scene.broker, pem);
    expect(await device.publish(`dt/office.${scene.site}/${boxed.name}.${scene.site}/temperature`, '{}')).toBe('accepted');
    await device.close();
  });

  let talker: BoxedDevice;
  async function letOneIn(serial: string): Promise<void> {
    const one = await boxedDevice(maker, serial, { namespace: scene.site, segment: 'office' });
    if (serial === 'TALK-1') talker = one;
    const answer = await persist(servers, { path: 'simpleenroll', as: one.factory, body: one.request }, { deadlineMs: PATIENCE_MS });
    expect(answer).toMatchObject({ status: 200 });
  }
});

describe('somebody who took the operator over', () => {
  it.each([
    ['without the label', (device: Device) => delete device.metadata.labels],
    ['without saying which device it stands for', (device: Device) => delete device.metadata.annotations?.['hedgerow.dev/factory-key']],
    ['that enrols by token', (device: Device) => Object.assign(device.spec.identity, { est: { bootstrap: 'Token' } })],
    ['with a CSR', (device: Device) => Object.assign(device.spec, { identity: { enrollment: 'CSR' } })],
  ])('makes no Device %s', async (_what, change) => {
    const kubeconfig = await scene.cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${OPERATOR_ACCOUNT}` });
    const identity = { ca: maker.fingerprint, serial: 'EVIL-1', factoryKey: 'f'.repeat(64) };
    const device = registeredDevice({ name: 'evil', namespace: scene.site, segment: 'office' }, identity, 'no-request');
    const create = (object: object) =>
      scene.cluster.kubectl(['--kubeconfig', kubeconfig, 'create', '--dry-run=server', '-f', '-'], JSON.stringify(object));
    expect(await create(device)).toMatchObject({ code: 0 });
    change(device);
    expect(await create(device)).toMatchObject({ code: 1, stderr: expect.stringContaining('HR-API-021') });
  });
});

/** Certificates that the ledger has, by the name on the wire. */
async function ledgerOf(): Promise<Map<string, number>> {
  const { items } = await scene.system.get<Objects<{ spec: { entries: Record<string, string> } }>>(
    'certificateledgers',
    '-n',
    OPERATOR_NAMESPACE,
  );
  const counts = new Map<string, number>();
  for (const [id, text] of items.flatMap(({ spec }) => Object.entries(spec.entries))) {
    const entry = decodeEntry(id, text);
    if (typeof entry !== 'string') counts.set(entry.device, (counts.get(entry.device) ?? 0) + 1);
  }
  return counts;
}
