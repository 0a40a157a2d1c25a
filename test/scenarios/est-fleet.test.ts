// A device that enrols by EST, in the whole system: operator and EST server as processes, broker, cert-manager. From the token to its telemetry, its renewal and its end.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { API_VERSION } from '../../operator/api/resources.ts';
import { derOf, OpenSsl } from '../../operator/identity/testing/openssl.ts';
import { type OperatorProcess, startEst } from '../harness/operator-process.ts';
import { OPERATOR_NAMESPACE } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { createDevice, type SimulatedDevice } from '../simulator/device.ts';
import { render } from './chart.ts';
import { type Scene, segment, startScene, untilDevice, untilSegment } from './scene.ts';

const ACCOUNT = 'hedgerow-est';
const TOKEN = 'one-time-token-of-the-fleet-test';
const ssl = new OpenSsl();
let scene: Scene;
let est: OperatorProcess & { port: number };
let clusterWide: string[] = [];

beforeAll(async () => {
  scene = await startScene('est', { operatorArgs: ['--est-account', `${OPERATOR_NAMESPACE}/${ACCOUNT}`] });
  const values = { fullnameOverride: 'hedgerow', est: { enabled: true, tlsSecret: 'est-tls', deviceCa: { configMap: 'device-ca' } } };
  const rights = (await render(scene.cluster, values)).filter(
    ({ kind, metadata }) => metadata.name === ACCOUNT && /^(ServiceAccount|ClusterRole|Role)/.test(kind),
  );
  await scene.system.apply(rights);
  clusterWide = rights.filter(({ metadata }) => metadata.namespace === undefined).map(({ kind }) => `${kind}/${ACCOUNT}`);
  const key = ssl.key('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256');
  ssl.run(['req', '-x509', '-key', key, '-subj', '/CN=est', '-addext', 'subjectAltName=DNS:localhost', '-days', '2', '-out', 'est.crt']);
  const ca = await scene.system.kubectl('get', 'secret', 'hedgerow-devices-ca', '-n', scene.site, '-o', 'jsonpath={.data.tls\\.crt}');
  writeFileSync(join(ssl.dir, 'devices.crt'), Buffer.from(ca, 'base64'));
  est = await startEst({
    kubeconfig: await scene.cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${ACCOUNT}` }),
    namespace: OPERATOR_NAMESPACE,
    defaultIssuer: 'Issuer/hedgerow-devices',
    tls: { certFile: join(ssl.dir, 'est.crt'), keyFile: join(ssl.dir, key) },
    deviceCaFile: join(ssl.dir, 'devices.crt'),
    logFile: join(scene.dir, 'est.log'),
  });
  await scene.system.apply([segment('office', scene.site)]);
  await untilSegment(scene, 'office');
});
afterAll(async () => {
  await est?.stop();
  await scene?.stop();
  await scene?.cluster.kubectl(['delete', '--ignore-not-found', ...clusterWide]);
  ssl[Symbol.dispose]();
});

it('by one token it becomes Ready and talks; it renews by itself; revoked it is thrown out, and EST refuses it', async () => {
  const { site } = scene;
  const ref = { name: 'by-est', namespace: site };
  const first = await makeDevice();
  const manifest = (spec: object = {}): object => ({
    apiVersion: API_VERSION,
    kind: 'Device',
    metadata: ref,
    spec: { segment: 'office', identity: { enrollment: 'EST', est: { bootstrap: 'Token' } }, ...spec },
  });
  await scene.system.apply([manifest(), tokens()]);
  await untilDevice(scene, ref, { type: 'Ready', status: 'False', reason: 'AwaitingEnrolment' });

  const enrolled = await ask('simpleenroll', first, { auth: `by-est.${site}:${TOKEN}` });
  expect(enrolled.status).toBe(200);
  await untilDevice(scene, ref, { type: 'Ready', status: 'True' });
  await first.connect(scene.broker, enrolled.pem);
  expect(await first.publish(`dt/office.${site}/by-est.${site}/temperature`, '{}')).toBe('accepted');

  const second = await makeDevice();
  const renewed = await ask('simplereenroll', second, { key: first.key.privateKeyPem, cert: enrolled.pem });
  expect(renewed.status).toBe(200);
  // Old and new are both valid: the new one takes the name over.
  await second.connect(scene.broker, renewed.pem);
  expect(await second.publish(`dt/office.${site}/by-est.${site}/temperature`, '{}')).toBe('accepted');
  await waitFor('the status to show the new certificate', async () => {
    const device = await untilDevice(scene, ref, { type: 'Ready', status: 'True' });
    return device.status?.certificate?.includes(renewed.pem.trim()) ? true : undefined;
  });

  await scene.system.apply([manifest({ lifecycle: 'Revoked' })]);
  await waitFor('the broker to close the connection', () => (second.connected() ? undefined : true));
  await untilDevice(scene, ref, { type: 'Revoked', status: 'True' });
  await expect(second.connect(scene.broker, renewed.pem)).rejects.toThrow();
  for (const [device, { pem }] of [
    [first, enrolled],
    [second, renewed],
  ] as const) {
    const refused = await ask('simplereenroll', await makeDevice(), { key: device.key.privateKeyPem, cert: pem });
    expect(refused.status).toBe(403);
    expect(refused.text).toMatch(/^HR-EST-0(06|12)/);
  }
  await first.close();
  await second.close();
});

const makeDevice = (): Promise<SimulatedDevice> => createDevice({ device: 'by-est', segment: 'office', namespace: scene.site }, 1);

function tokens(): object {
  const text = `sha256:${createHash('sha256').update(TOKEN).digest('hex')} ${new Date(Date.now() + 3_600_000).toISOString()}`;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'hedgerow-est-tokens', namespace: scene.site },
    stringData: { 'by-est': text },
  };
}

type Answer = { status: number; text: string; pem: string };

function ask(path: string, device: SimulatedDevice, by: { auth?: string; key?: string; cert?: string }): Promise<Answer> {
  const body = derOf(device.key.csrPem).toString('base64');
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/pkcs10', 'content-length': Buffer.byteLength(body) };
    const options = { host: 'localhost', port: est.port, path: `/.well-known/est/${path}`, method: 'POST', headers, agent: false };
    const request = httpsRequest({ ...options, ...by, ca: readFileSync(join(ssl.dir, 'est.crt')) }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const status = response.statusCode ?? 0;
        const pem = status === 200 ? ssl.run(['pkcs7', '-inform', 'DER', '-print_certs'], Buffer.from(text, 'base64')).toString() : '';
        resolve({ status, text, pem: /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(pem)?.[0] ?? '' });
      });
      response.on('error', reject);
    });
    request.on('error', reject).end(body);
  });
}
