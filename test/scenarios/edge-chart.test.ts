// The chart of a site's node as real helm renders it: flags that the gateway takes, its account and nothing more, ways out to three places, and asks by a real API server.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeAsks } from '../../edge-k3s/gateway/ask/writer.ts';
import { parseGatewayOptions } from '../../edge-k3s/gateway/options.ts';
import { type Ask, GATEWAY_ASKS_KEY, GATEWAY_ASKS_MAP, readAsks } from '../../operator/api/gateway-asks.ts';
import { CONFIG_MAPS } from '../../operator/api/resources.ts';
import { connect, type KubeClient } from '../../operator/kube/client.ts';
import { findConnection } from '../../operator/kube/config.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { apply } from '../controlplane/testing.ts';
import { parseObjects } from '../harness/manifests.ts';
import { waitFor } from '../harness/wait.ts';
import { EDGE_CHART, type PodSpec, type Rendered } from './chart.ts';
import { installKinds } from './segments-room.ts';

const VALUES = {
  broker: { address: 'emqx.emqx:8883', tlsSecret: 'gateway-tls', ca: { configMap: 'broker-ca' }, namespace: 'emqx' },
  networkPolicy: { apiServer: { cidrs: ['10.43.0.1/32'], ports: [6443] } },
};
const UPLINK = { address: 'cloud.example:8884', tlsSecret: 'uplink-tls', ca: { secret: 'cloud-ca' }, cidrs: ['192.0.2.7/32'] };

let cluster: Cluster;
let site: string;
let other: string;
let rendered: Rendered[];

beforeAll(async () => {
  cluster = await sharedCluster();
  await installKinds(cluster);
  site = await ownNamespace(cluster, 'edge-site');
  other = await ownNamespace(cluster, 'edge-other');
  rendered = await render({ uplink: UPLINK });
});
afterAll(async () => {
  await cluster.kubectl(['delete', 'namespace', site, other, '--wait=false']);
});

const render = async (values: Record<string, unknown> = {}): Promise<Rendered[]> =>
  parseObjects(await cluster.helmTemplate(EDGE_CHART, { ...VALUES, ...values }, site)) as unknown as Rendered[];
const podOf = (objects: readonly Rendered[]): PodSpec => {
  const deployment = objects.find(({ kind }) => kind === 'Deployment') ?? expect.fail('no Deployment');
  return (deployment.spec as { template: { spec: PodSpec } }).template.spec;
};
const flagsOf = (objects: readonly Rendered[]) => {
  const parsed = parseGatewayOptions(podOf(objects).containers[0]?.args ?? []);
  return parsed.kind === 'options' ? parsed.options : expect.fail(JSON.stringify(parsed));
};

describe('the chart of a node', () => {
  it('passes helm lint', async () => {
    const { stdout } = await cluster.helm(['lint', EDGE_CHART, '--strict', '--values', '-'], JSON.stringify({ ...VALUES, uplink: UPLINK }));
    expect(stdout).toContain('0 chart(s) failed');
  });

  it('passes flags that the gateway takes; without an uplink there is none, and nothing of one is mounted', async () => {
    expect(podOf(rendered).containers[0]?.command).toEqual(['gateway']);
    expect(podOf(rendered).containers[0]?.env).toEqual([{ name: 'NODE_OPTIONS', value: '--max-semi-space-size=8' }]);
    expect(process.allowedNodeEnvironmentFlags.has('--max-semi-space-size')).toBe(true);
    expect(flagsOf(rendered)).toMatchObject({
      broker: { host: 'emqx.emqx', port: 8883, certFile: '/etc/hedgerow/broker-tls/tls.crt' },
      devices: { kind: 'cluster', kubeconfig: undefined },
      uplink: { host: 'cloud.example', port: 8884, perSecond: 500 },
      ...{ stateDir: '/var/lib/hedgerow', spoolBytes: 256 * 2 ** 20, maxDevices: 20_000, maxValues: 200_000, metricsPort: 8080 },
    });
    const alone = await render({ gateway: { maxDevices: 1_000_000 } });
    expect(flagsOf(alone)).toMatchObject({ uplink: undefined, maxDevices: 1_000_000 });
    expect(JSON.stringify(alone)).not.toContain('uplink');
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['the broker', { broker: { ...VALUES.broker, address: '' } }, 'broker.address is required'],
    ['a certificate', { broker: { ...VALUES.broker, tlsSecret: '' } }, 'broker.tlsSecret is required'],
    ['the CA of the broker', { broker: { ...VALUES.broker, ca: {} } }, 'broker.ca.secret or broker.ca.configMap is required'],
    ['where the broker is', { broker: { ...VALUES.broker, namespace: '' } }, 'broker.namespace or broker.cidr is required'],
    ['where the API server is', { networkPolicy: {} }, 'networkPolicy.apiServer.cidrs is required'],
    ['where the cloud is', { uplink: { ...UPLINK, cidrs: [] } }, 'uplink.cidrs is required'],
    ['a value that there is', { gatewy: {} }, "additional properties 'gatewy' not allowed"],
  ])('says that it needs %s', async (_name, values, words) => {
    await expect(render(values)).rejects.toThrow(words);
  });

  it('lets nobody in, and out to DNS, the broker of the site, the API server and the uplink', async () => {
    const policy = rendered.find(({ kind }) => kind === 'NetworkPolicy')?.spec as { egress: object[] };
    expect(policy).toMatchObject({ policyTypes: ['Ingress', 'Egress'], ingress: [] });
    const [dns, ...ways] = policy.egress;
    expect(JSON.stringify(dns)).toContain('kube-dns');
    expect(ways).toEqual([
      {
        to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'emqx' } }, podSelector: {} }],
        ports: [{ protocol: 'TCP', port: 8883 }],
      },
      { to: [{ ipBlock: { cidr: '10.43.0.1/32' } }], ports: [{ protocol: 'TCP', port: 6443 }] },
      { to: [{ ipBlock: { cidr: '192.0.2.7/32' } }], ports: [{ protocol: 'TCP', port: 8884 }] },
    ]);
    const alone = (await render()).find(({ kind }) => kind === 'NetworkPolicy')?.spec as { egress: object[] };
    expect(alone.egress).toHaveLength(3);
    const pods = { broker: { ...VALUES.broker, podLabels: { app: 'emqx' }, podPort: 8883, address: 'node.site:30883' } };
    const there = (await render(pods)).find(({ kind }) => kind === 'NetworkPolicy')?.spec as { egress: object[] };
    expect(there.egress[1]).toMatchObject({ to: [{ podSelector: { matchLabels: { app: 'emqx' } } }], ports: [{ port: 8883 }] });
  });

  it('is admitted under restricted pod security, and takes of each Secret no more than certificate and key', async () => {
    await cluster.kubectl(['label', 'namespace', other, 'pod-security.kubernetes.io/enforce=restricted']);
    const { serviceAccountName: _, ...spec } = podOf(rendered);
    const pod = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'gateway', namespace: other }, spec });
    expect(await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], pod)).toMatchObject({ code: 0, stderr: '' });
    const secrets = JSON.parse(JSON.stringify(spec.volumes)) as { secret?: { secretName: string; items: { key: string }[] } }[];
    expect(
      secrets.flatMap(({ secret }) => (secret === undefined ? [] : [[secret.secretName, secret.items.map(({ key }) => key)]])),
    ).toEqual([
      ['gateway-tls', ['tls.crt', 'tls.key']],
      ['uplink-tls', ['tls.crt', 'tls.key']],
      ['cloud-ca', ['ca.crt']],
    ]);
  });
});

describe('the account of the gateway', () => {
  let client: KubeClient & { close(): Promise<void> };
  let kubeconfig: string;
  beforeAll(async () => {
    await apply(
      cluster,
      rendered.filter(({ kind }) => ['ConfigMap', 'ServiceAccount', 'Role', 'RoleBinding'].includes(kind)),
    );
    const account = rendered.find(({ kind }) => kind === 'ServiceAccount')?.metadata.name ?? '';
    kubeconfig = await cluster.kubeconfigFor({ serviceAccount: `${site}/${account}` });
    const base = { clock: systemClock, random: systemRandom, log: silentLog, metrics: createMetrics() };
    client = connect(await findConnection({ kubeconfig, env: () => undefined }), { ...base, userAgent: 'test' });
  });
  afterAll(() => client?.close());

  it.each<[string, string, string, string]>([
    ['yes', 'list', 'devices.hedgerow.dev', 'its own site'],
    ['yes', 'watch', 'devices.hedgerow.dev', 'its own site'],
    ['yes', 'get', 'configmaps/hedgerow-gateway-asks', 'its own site'],
    ['yes', 'patch', 'configmaps/hedgerow-gateway-asks', 'its own site'],
    ['no', 'patch', 'configmaps/hedgerow-gateway', 'its own site'],
    ['no', 'create', 'configmaps', 'its own site'],
    ['no', 'delete', 'configmaps/hedgerow-gateway-asks', 'its own site'],
    ['no', 'list', 'configmaps', 'its own site'],
    ['no', 'patch', 'devices.hedgerow.dev', 'its own site'],
    ['no', 'create', 'interventions.hedgerow.dev', 'its own site'],
    ['no', 'list', 'segmentpolicies.hedgerow.dev', 'its own site'],
    ['no', 'get', 'secrets', 'its own site'],
    ['no', 'list', 'devices.hedgerow.dev', 'another'],
    ['no', 'patch', 'configmaps/hedgerow-gateway-asks', 'another'],
  ])('may it: %s, %s %s in %s', async (answer, verb, what, where) => {
    const { stdout } = await cluster.kubectl([
      ...['--kubeconfig', kubeconfig, 'auth', 'can-i', verb, what, '-n', where === 'another' ? other : site],
    ]);
    expect(stdout.trim()).toBe(answer);
  });

  it('asks by its ConfigMap, and takes back what does not stand any more', async () => {
    const ask: Ask = { device: 'd-1', uid: 'u-1', trigger: 'SchemaFlood', count: 31, overMs: 900, atMs: 1_790_000_000_000 };
    const world = { standing: [ask] };
    const stop = new AbortController();
    const log = { warn: (_fields: object, text: string) => expect.fail(text) };
    const ended = writeAsks({ ...{ site, client, clock: systemClock, log }, standing: () => world.standing }, stop.signal);
    const until = (what: readonly Ask[]) =>
      waitFor('the asks to be written', async () => {
        const ref = { namespace: site, name: GATEWAY_ASKS_MAP };
        const { stdout } = await cluster.kubectl(['get', 'configmap', ref.name, '-n', ref.namespace, '-o', 'json']);
        const map = JSON.parse(stdout) as KubeObject & { data?: Record<string, string> };
        return JSON.stringify(readAsks(map.data?.[GATEWAY_ASKS_KEY] ?? '')) === JSON.stringify(what) ? true : undefined;
      });
    await until([ask]);
    world.standing = [];
    await until([]);
    stop.abort();
    await ended;
    expect((await client.get(CONFIG_MAPS, { namespace: site, name: GATEWAY_ASKS_MAP }))?.metadata.name).toBe(GATEWAY_ASKS_MAP);
  });
});
