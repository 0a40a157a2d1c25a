// The artifacts server as the chart gives it: its flags, its account and nothing more, and the catalogs of the operator's namespace by a real API server.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseArtifactsOptions } from '../../edge-k3s/artifacts/options.ts';
import { catalogFiles, get } from '../../edge-k3s/artifacts/testing/site.ts';
import { makeDeviceCa, subject } from '../broker/testing/pki.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { apply } from '../controlplane/testing.ts';
import { startArtifacts } from '../harness/artifacts-process.ts';
import { makeServerCertificate } from '../harness/certificates.ts';
import { startOrigin } from '../harness/oci-origin.ts';
import { waitFor } from '../harness/wait.ts';
import { type PodSpec, type Rendered, render } from './chart.ts';

const VALUES = { enabled: true, tlsSecret: 'artifacts-tls', deviceCa: { configMap: 'hedgerow-ca-bundle' } };

let cluster: Cluster;
let own: string;
let rendered: Rendered[];
let home: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  own = await ownNamespace(cluster, 'artifacts');
  rendered = ofServer(await render(cluster, { artifacts: VALUES }, own));
  home = await mkdtemp(join(tmpdir(), 'hedgerow-artifacts-'));
});
afterAll(async () => {
  await cluster.kubectl(['delete', 'namespace', own, '--wait=false']);
  await rm(home, { recursive: true, force: true });
});

describe('the chart', () => {
  it('makes it only where it is asked for, with flags that it takes, and says what is missing', async () => {
    expect(ofServer(await render(cluster, {}, own))).toEqual([]);
    const container = podOf(rendered)?.containers[0];
    expect(container?.command).toEqual(['artifacts']);
    expect(parseArtifactsOptions(container?.args ?? [])).toMatchObject({
      options: {
        source: { kind: 'cluster', namespace: own },
        cacheBytes: 8 * 2 ** 30,
        cacheDir: '/var/cache/hedgerow',
        crlFiles: [],
        transfers: 256,
      },
    });
    const more = {
      crl: { configMap: 'crl' },
      registry: { authSecret: 'pull', ca: { configMap: 'registry-ca' } },
      cache: { volume: { persistent: false } },
    };
    const full = ofServer(await render(cluster, { artifacts: { ...VALUES, ...more } }, own));
    expect(parseArtifactsOptions(podOf(full)?.containers[0]?.args ?? [])).toMatchObject({
      options: {
        crlFiles: ['/etc/hedgerow/crl/list'],
        registryAuthFile: '/etc/hedgerow/registry-auth/config.json',
        registryCaFile: '/etc/hedgerow/registry-ca/ca.crt',
      },
    });
    expect(full.map(({ kind }) => kind)).not.toContain('PersistentVolumeClaim');
    await expect(render(cluster, { artifacts: { ...VALUES, tlsSecret: '' } })).rejects.toThrow('artifacts.tlsSecret is required');
    await expect(render(cluster, { artifacts: { ...VALUES, deviceCa: {} } })).rejects.toThrow('artifacts.deviceCa.configMap is required');
  });

  it('makes objects that the API server takes, with restricted pod security', async () => {
    await cluster.kubectl(['label', 'namespace', own, 'pod-security.kubernetes.io/enforce=restricted']);
    const template = deploymentOf(rendered)?.template;
    if (template === undefined) throw new Error('there is no Deployment');
    await apply(cluster, rendered);
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...template.metadata, name: 'as-rendered', namespace: own },
      spec: template.spec,
    };
    const { code, stderr } = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(pod));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it.each([
    ['list', 'configmaps', true],
    ['watch', 'configmaps', true],
    ['get', 'configmaps', false],
    ['update', 'configmaps', false],
    ['get', 'secrets', false],
    ['list', 'secrets', false],
    ['create', 'pods', false],
    ['get', 'devices.hedgerow.dev', false],
    ['get', 'certificateledgers.hedgerow.dev', false],
  ])('its account: %s %s in its namespace: %s, elsewhere never', async (verb, resource, may) => {
    const as = `--as=system:serviceaccount:${own}:${account()}`;
    expect((await cluster.kubectl(['auth', 'can-i', verb, resource, '-n', own, as])).stdout.trim()).toBe(may ? 'yes' : 'no');
    expect((await cluster.kubectl(['auth', 'can-i', verb, resource, '-n', 'kube-system', as])).stdout.trim()).toBe('no');
  });
});

it('serves what the catalogs of its namespace name, while they are there', async () => {
  const origin = await startOrigin();
  const [ca, tls] = [await makeDeviceCa('devices'), await makeServerCertificate()];
  const file = (name: string): string => join(home, name);
  for (const [name, text] of Object.entries({
    'tls.crt': tls.certPem,
    'tls.key': tls.keyPem,
    'ca.crt': ca.certPem,
    'origin.crt': origin.caPem,
  }))
    await writeFile(file(name), text);
  const server = await startArtifacts({
    ...{
      catalogs: { kubeconfig: await cluster.kubeconfigFor({ serviceAccount: `${own}/${account()}` }), namespace: own },
      cacheDir: file('cache'),
    },
    ...{
      tls: { certFile: file('tls.crt'), keyFile: file('tls.key') },
      deviceCaFile: file('ca.crt'),
      registryCaFile: file('origin.crt'),
      logFile: file('log'),
    },
  });
  try {
    const client = await ca.issue(subject('hedgerow', 'app.berlin', 'cam-1.berlin'));
    const [bytes, unnamed] = [randomBytes(200_000), randomBytes(1000)];
    const [pushed, other] = [origin.push('fw/cam', bytes), origin.push('fw/cam', unnamed)];
    const ask = (hex: string) => get(server.port, `/fw/sha256/${hex}`, tls.caPem, { client });
    expect((await ask(pushed.hex)).status).toBe(404);
    // The second one lacks the label: somebody else's.
    await apply(cluster, [
      catalog('hedgerow-release-1', catalogFiles([pushed], [Buffer.from('{"root":1}')]), true),
      catalog('other', catalogFiles([other]), false),
    ]);
    const got = await waitFor('the catalog to be seen', async () => {
      const answer = await ask(pushed.hex);
      return answer.status === 200 ? answer : undefined;
    });
    expect(got.body.equals(bytes)).toBe(true);
    expect((await ask(other.hex)).status).toBe(404);
    await cluster.kubectl(['delete', 'configmap', 'hedgerow-release-1', '-n', own]);
    await waitFor('the file to be served no more', async () => ((await ask(pushed.hex)).status === 404 ? true : undefined));
    expect(await server.stop()).toBe(0);
  } finally {
    await server.kill();
    await origin.close();
  }
});

function catalog(name: string, files: ReadonlyMap<string, Buffer>, labelled: boolean): object {
  const [texts, roots] = [[...files].filter(([file]) => !file.includes('root')), [...files].filter(([file]) => file.includes('root'))];
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: own, ...(labelled ? { labels: { 'hedgerow.dev/catalog': 'true' } } : {}) },
    data: Object.fromEntries(texts.map(([file, bytes]) => [file, bytes.toString('utf8')])),
    binaryData: Object.fromEntries(roots.map(([file, bytes]) => [file, bytes.toString('base64')])),
  };
}

const ofServer = (objects: readonly Rendered[]): Rendered[] => objects.filter(({ metadata }) => metadata.name.endsWith('-artifacts'));
const account = (): string => rendered.find(({ kind }) => kind === 'ServiceAccount')?.metadata.name ?? '';
type Deployment = { template: { metadata: object; spec: PodSpec } };
const deploymentOf = (objects: readonly Rendered[]): Deployment | undefined =>
  objects.find(({ kind }) => kind === 'Deployment')?.spec as Deployment | undefined;
const podOf = (objects: readonly Rendered[]): PodSpec | undefined => deploymentOf(objects)?.template.spec;
