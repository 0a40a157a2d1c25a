// Certificates and rights of the drivers of rollouts, on real parts: cert-manager signs what the operator approved, and the broker lets a driver do what drivers do.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import { LISTENER } from '../../operator/api/names.ts';
import { API_VERSION, CERTIFICATE_REQUESTS, DEVICES, SECRETS } from '../../operator/api/resources.ts';
import { readDirectiveSigner } from '../../operator/firmware/directive-signer.ts';
import { hello, OLD } from '../../operator/firmware/testing/messages.ts';
import { type DriverCertificate, type DriverWish, obtainDirectiveKey, obtainDriverCertificate } from '../../operator/identity/identity.ts';
import { connect, type KubeClient } from '../../operator/kube/client.ts';
import { kubeconfigConnection } from '../../operator/kube/config.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { noKubeMetrics } from '../../operator/kube/ports.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { toYaml } from '../harness/manifests.ts';
import { OPERATOR_ACCOUNT, OPERATOR_NAMESPACE } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { createDevice, type SimulatedDevice } from '../simulator/device.ts';
import { connectWith } from '../simulator/hostile.ts';
import { makeDeviceKey } from '../simulator/key.ts';
import { conditionOf, type Member, type Scene, segment, startScene } from './scene.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const OPERATOR = `system:serviceaccount:${OPERATOR_NAMESPACE}:${OPERATOR_ACCOUNT}`;
const ISSUERS = { mqttIssuer: 'Issuer/rollout-devices', directiveIssuer: 'Issuer/rollout-directives' };
const WAVE = 'pump-2-0';

let scene: Scene;
let thermo: Member;
let other: Member;
let api: KubeClient & { close(): Promise<void> };
let wish: DriverWish;
let own: DriverCertificate;
let driver: SimulatedDevice;

beforeAll(async () => {
  const flags = [
    '--rollout-account',
    'hedgerow-rollout',
    '--mqtt-issuer',
    ISSUERS.mqttIssuer,
    '--directive-issuer',
    ISSUERS.directiveIssuer,
  ];
  scene = await startScene('drivers', { probe: true, operatorArgs: flags, chartValues: { rollout: { enabled: true, ...ISSUERS } } });
  await makeIssuers();
  await scene.system.apply([segment('office', scene.site)]);
  [thermo, other] = (await scene.enrol(['thermo', 'other'])) as [Member, Member];
  await Promise.all([thermo.connect(), other.connect()]);
  await untilListening();
  expect(await thermo.device.publish(topic('hello'), JSON.stringify(hello({ device: thermo.name })))).toBe('accepted');
  const uid = await makeWave();
  const kubeconfig = await scene.cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/hedgerow-rollout` });
  const deps = { clock: systemClock, random: systemRandom, log: silentLog, metrics: noKubeMetrics };
  api = connect(await kubeconfigConnection(kubeconfig), deps);
  const wave = { namespace: scene.site, name: WAVE, uid };
  wish = { namespace: OPERATOR_NAMESPACE, wave, shard: 0, issuer: { kind: 'Issuer', name: 'rollout-devices' } };
  own = await obtainDriverCertificate(wish, { client: api, clock: systemClock }, AbortSignal.timeout(60_000));
  driver = await asClient(own);
});
afterAll(async () => {
  await driver?.close();
  await api?.close();
  const left = ['issuer/rollout-devices', 'issuer/rollout-directives', 'certificate/rollout-directives', 'secret/rollout-devices'];
  await scene?.cluster.kubectl(['delete', '-n', OPERATOR_NAMESPACE, '--ignore-not-found', ...left]);
  await scene?.cluster.kubectl(['delete', '--ignore-not-found', 'clusterrole/waves-of-a-test', 'clusterrolebinding/waves-of-a-test']);
  await scene?.stop();
});

/** Drivers have a CA of devices where they ask, and one of their own for directives. */
async function makeIssuers(): Promise<void> {
  const ca = await scene.api.get<KubeObject & { data: object }>(SECRETS, { name: 'hedgerow-devices-ca', namespace: scene.site });
  const metadata = (name: string) => ({ name, namespace: OPERATOR_NAMESPACE });
  const issuer = (name: string) => ({
    apiVersion: 'cert-manager.io/v1',
    kind: 'Issuer',
    metadata: metadata(name),
    spec: { ca: { secretName: name } },
  });
  const root = {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: metadata('rollout-directives'),
    spec: {
      ...{ isCA: true, commonName: 'directives', secretName: 'rollout-directives', privateKey: { algorithm: 'ECDSA', size: 256 } },
      issuerRef: { name: 'hedgerow-root', kind: 'ClusterIssuer' },
    },
  };
  const secret = { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', metadata: metadata('rollout-devices'), data: ca?.data };
  await scene.system.apply([secret, issuer('rollout-devices'), root, issuer('rollout-directives')]);
  for (const name of ['rollout-devices', 'rollout-directives'])
    await scene.system.kubectl('wait', '--for=condition=Ready', `issuer/${name}`, '-n', OPERATOR_NAMESPACE, '--timeout=60s');
}

/** As the operator, by rights that it has for this test: nobody else may write one. */
async function asOperator(args: string[], stdin?: string): Promise<string> {
  const { stdout, stderr, code } = await scene.cluster.kubectl(['--as', OPERATOR, ...args], stdin);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}
async function makeWave(): Promise<string> {
  const metadata = { name: 'waves-of-a-test' };
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name };
  const rule = { apiGroups: ['hedgerow.dev'], resources: ['firmwarewaves', 'firmwarewaves/status'], verbs: ['create', 'get', 'patch'] };
  await scene.system.apply([
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata, rules: [rule] },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef,
      subjects: [{ kind: 'User', name: OPERATOR }],
    },
  ]);
  const spec = {
    release: { name: 'pump-2', namespace: scene.site, uid: 'u', generation: 1 },
    ...{ wave: 'all', step: 0, action: 'Install', component: 'app', catalog: 'hedgerow-release-u', cohort: { rankBelow: 1_000_000 } },
    ...{ manifestDigest: `sha256:${'0'.repeat(64)}`, shards: 1, perMinute: 10, maxInFlight: 10, grantExpires: '2036-12-01T00:00:00Z' },
  };
  const wave = { apiVersion: API_VERSION, kind: 'FirmwareWave', metadata: { name: WAVE, namespace: scene.site }, spec };
  return await asOperator(['create', '-f', '-', '-o', 'jsonpath={.metadata.uid}'], toYaml([wave]));
}

async function asClient({ clientId, certificate, key }: DriverCertificate): Promise<SimulatedDevice> {
  const who = { device: clientId.split('.')[0] ?? '', segment: '-rollout', namespace: '-hedgerow' };
  const privateKeyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const client = await createDevice(who, 0, '', { ...(await makeDeviceKey(who)), privateKeyPem });
  // EMQX asks for the rights of a segment in the text: it may be a moment until this one is in it.
  await waitFor('the driver to be let in', async () => {
    await client.connect(scene.broker, certificate);
    return (await client.subscribe('ota/v1/d/+/state')) === 'granted' ? true : undefined;
  });
  return client;
}
/** A hello before that is missed; devices say it at each connect. */
async function untilListening(): Promise<void> {
  await waitFor(
    'the listener',
    async () => {
      const { body } = await scene.system.standIn().request('GET', `/clients/${LISTENER}/subscriptions`);
      return Array.isArray(body) && body.length === 2 ? true : undefined;
    },
    { timeoutMs: 90_000 },
  );
}
const topic = (word: string, member = thermo): string => `ota/v1/d/${member.name}/${word}`;
const heard = (who: SimulatedDevice, payload: string): Promise<true> =>
  waitFor(`${payload} to arrive`, () => (who.received.some((one) => one.payload === payload) ? true : undefined));

describe('a driver at the broker', () => {
  it('tells a device what to do, retained, and hears what it says', async () => {
    expect(await thermo.device.subscribe(topic('directive'))).toBe('granted');
    expect(await driver.publish(topic('directive'), 'update yourself', { qos: 1, retain: true })).toBe('accepted');
    await heard(thermo.device, 'update yourself');
    for (const word of ['hello', 'log', 'directive']) expect(await driver.subscribe(`ota/v1/d/+/${word}`)).toBe('granted');
    for (const word of ['hello', 'log', 'state']) {
      expect(await thermo.device.publish(topic(word), `my ${word}`, { qos: 1, retain: word === 'state' })).toBe('accepted');
      await heard(driver, `my ${word}`);
    }
    // What it said itself is what it finds after a restart.
    await heard(driver, 'update yourself');
  });

  it('may do nothing else', async () => {
    const data = `dt/office.${scene.site}/${thermo.name}/temperature`;
    for (const one of [
      topic('state'),
      topic('hello'),
      topic('log'),
      data,
      `cmd/office.${scene.site}/${thermo.name}/x`,
      'trust/v1/anchors',
      `recovery/${thermo.name}/x`,
    ])
      expect([one, await driver.publish(one, 'x')]).toEqual([one, 'refused']);
    for (const one of [
      '#',
      '+/#',
      'ota/#',
      'ota/v1/d/#',
      'ota/v1/d/+/#',
      'dt/#',
      data,
      `recovery/${thermo.name}/x`,
      '$SYS/#',
      '$share/g/ota/#',
    ])
      expect([one, await driver.subscribe(one)]).toEqual([one, 'refused']);
  });

  it('may do what no device may', async () => {
    for (const one of [topic('directive'), topic('directive', other)])
      expect([one, await thermo.device.publish(one, 'x', { qos: 1, retain: true })]).toEqual([one, 'refused']);
    for (const one of ['ota/v1/d/+/state', 'ota/v1/d/+/directive', topic('state', other), topic('directive', other)])
      expect([one, await thermo.device.subscribe(one)]).toEqual([one, 'refused']);
  });
});

describe('the directive key of a driver', () => {
  it('signs for the devices of its site, by the CA for nothing else', async () => {
    const issuer = { kind: 'Issuer', name: 'rollout-directives' } as const;
    const made = await obtainDirectiveKey({ ...wish, issuer }, { client: api, clock: systemClock }, AbortSignal.timeout(60_000));
    const keyPem = made.key.export({ type: 'pkcs8', format: 'pem' }).toString();
    const signer = readDirectiveSigner({ keyPem, chainPem: made.certificate }, { site: scene.site, now: Date.now() + 1000 });
    expect(signer).toMatchObject({ ok: true, signer: { site: scene.site } });
  });

  it.each<[string, Partial<DriverWish> & { uid?: string }, RegExp]>([
    ['of the CA of devices', {}, /HR-ID-093: the issuer is Issuer\/hedgerow-system\/rollout-devices/],
    ['for a wave of this name that was before', { uid: 'before' }, /HR-ID-092: FirmwareWave .* is another one/],
    ['as a driver that the wave does not have', { shard: 1 }, /HR-ID-092/],
  ])('is refused by a denial with a code %s', async (_what, over, message) => {
    const wave = { ...wish.wave, uid: over.uid ?? wish.wave.uid };
    const asked = obtainDirectiveKey({ ...wish, ...over, wave }, { client: api, clock: systemClock }, AbortSignal.timeout(120_000));
    await expect(asked).rejects.toThrow(message);
  });

  it('is refused elsewhere than in the namespace of the operator, and a driver cannot approve it itself', async () => {
    const asked = obtainDirectiveKey({ ...wish, namespace: scene.site }, { client: api, clock: systemClock }, AbortSignal.timeout(60_000));
    await expect(asked).rejects.toThrow('forbidden');
    const request = (await scene.api.list<KubeObject>(CERTIFICATE_REQUESTS, { namespace: OPERATOR_NAMESPACE })).find(({ metadata }) =>
      metadata.name?.startsWith('hedgerow-rollout-'),
    );
    const ref = { name: request?.metadata.name ?? '', namespace: OPERATOR_NAMESPACE };
    const patch = { status: { conditions: [{ type: 'Denied', status: 'True', reason: 'x', message: 'x' }] } };
    await expect(api.mergePatch(CERTIFICATE_REQUESTS, ref, patch, { subresource: 'status' })).rejects.toThrow('forbidden');
  });
});

describe('the issuer of directive keys', () => {
  it('is none for which cert-manager itself approves', async () => {
    const signer = `signers.cert-manager.io/issuers.cert-manager.io/${OPERATOR_NAMESPACE}.rollout-directives`;
    const { stdout } = await scene.cluster.kubectl([
      'auth',
      'can-i',
      'approve',
      signer,
      '--as',
      'system:serviceaccount:cert-manager:cert-manager',
    ]);
    expect(stdout.trim()).toBe('no');
  });
});

describe('what a device says without a driver', () => {
  it('stands in its record a minute later, beside all that the operator says of it', async () => {
    const device = await waitFor(
      'the record',
      async () => {
        const found = await scene.api.get<Device>(DEVICES, thermo.ref);
        return found?.status?.firmware === undefined ? undefined : found;
      },
      { timeoutMs: 150_000 },
    );
    expect(device.status?.firmware).toEqual({ app: { version: '2.3.0', digest: OLD, securityCounter: 4 } });
    expect(conditionOf(device, 'Ready')).toMatchObject({ status: 'True' });
    expect(device.status?.certificate).toBe(thermo.certificatePem);
  });
});

describe('a driver that has done its work', () => {
  it('is thrown out when the wave is completed, its certificate is banned and its request gone', async () => {
    expect(driver.connected()).toBe(true);
    const patch = JSON.stringify({ status: { phase: 'Completed' } });
    await asOperator(['patch', 'firmwarewave', WAVE, '-n', scene.site, '--subresource=status', '--type=merge', '-p', patch]);
    await waitFor('the driver to be thrown out', () => (driver.connected() ? undefined : true), { timeoutMs: 90_000 });
    const privateKeyPem = own.key.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(await connectWith(scene.broker, { privateKeyPem }, own.certificate)).toMatchObject({ refused: true });
    const left = await scene.api.list<KubeObject>(CERTIFICATE_REQUESTS, { namespace: OPERATOR_NAMESPACE });
    expect(left.map(({ metadata }) => metadata.labels?.['hedgerow.dev/wave-uid'])).not.toContain(wish.wave.uid);
    expect([thermo.device.connected(), other.device.connected()]).toEqual([true, true]);
  });
});
