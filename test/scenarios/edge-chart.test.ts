// The chart of a site's gateway as real helm renders it: rights, ways in the network, pod security, flags.
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseGatewayOptions } from '../../edge-k3s/gateway/options.ts';
import { GATEWAY_CONFIG_MAP } from '../../operator/api/gateway-config.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { parseObjects, ROOT } from '../harness/manifests.ts';
import { podOf, type Rendered } from './chart.ts';

const CHART = join(ROOT, 'charts', 'hedgerow-edge');
const MINIMAL = {
  broker: { host: 'emqx.emqx.svc', tlsSecret: 'gateway-broker', namespace: 'emqx', podLabels: { app: 'emqx' } },
  apiServer: { cidrs: ['10.43.0.1/32'], ports: [6443] },
};
const UPLINK = { host: 'hub.example.org', port: 8884, tlsSecret: 'gateway-uplink', cidr: '192.0.2.10/32', rate: 200 };

let cluster: Cluster;
const render = async (values: object): Promise<Rendered[]> =>
  parseObjects(await cluster.helmTemplate(CHART, { ...MINIMAL, ...values }, 'berlin')) as unknown as Rendered[];
const optionsOf = async (values: object) => parseGatewayOptions(podOf(await render(values)).containers[0]?.args ?? []);
const waysOut = async (values: object) => {
  const policy = (await render(values)).find(({ kind }) => kind === 'NetworkPolicy');
  return policy?.spec as { policyTypes: string[]; ingress: object[]; egress: { to: object[]; ports: { port: number }[] }[] };
};

beforeAll(async () => {
  cluster = await sharedCluster();
});

describe('the chart of a gateway', () => {
  it('passes helm lint', async () => {
    const { stdout } = await cluster.helm(['lint', CHART, '--strict', '--values', '-'], JSON.stringify({ ...MINIMAL, uplink: UPLINK }));
    expect(stdout).toContain('0 chart(s) failed');
  });

  it('passes flags that the gateway takes, with an uplink and without', async () => {
    expect(await optionsOf({})).toMatchObject({
      kind: 'options',
      options: { broker: { host: 'emqx.emqx.svc', port: 8883 }, devices: { kind: 'cluster' }, spoolBytes: 268_435_456, maxDevices: 20_000 },
    });
    expect(await optionsOf({ uplink: UPLINK })).toMatchObject({
      kind: 'options',
      options: { uplink: { host: 'hub.example.org', port: 8884, certFile: '/etc/hedgerow/uplink/tls.crt' } },
    });
  });

  it('makes the ConfigMap that the operator writes into, empty, and where a kubelet replaces its file', async () => {
    const objects = await render({});
    const map = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === GATEWAY_CONFIG_MAP);
    expect(map?.metadata.namespace).toBe('berlin');
    expect(map).not.toHaveProperty('data');
    expect(podOf(objects).volumes).toContainEqual({ name: 'told', configMap: { name: GATEWAY_CONFIG_MAP } });
    expect(JSON.stringify(podOf(objects))).not.toContain('subPath');
  });

  it('may read the Devices of its namespace, write its asks, and nothing else', async () => {
    const objects = await render({ uplink: UPLINK });
    expect(objects.flatMap(({ rules = [] }) => rules)).toEqual([
      { apiGroups: ['hedgerow.dev'], resources: ['devices'], verbs: ['list', 'watch'] },
      { apiGroups: [''], resources: ['configmaps'], resourceNames: ['hedgerow-gateway-asks'], verbs: ['get', 'patch'] },
    ]);
    expect(objects.filter(({ kind }) => kind.startsWith('Cluster'))).toEqual([]);
    expect(objects.every(({ metadata }) => metadata.namespace === 'berlin')).toBe(true);
  });

  it('reaches DNS, the API server, its broker and the cloud, and nobody reaches it', async () => {
    const { policyTypes, ingress, egress } = await waysOut({ uplink: UPLINK });
    expect([policyTypes, ingress]).toEqual([['Ingress', 'Egress'], []]);
    expect(egress.map(({ ports }) => ports.map(({ port }) => port))).toEqual([[53, 53], [6443], [8883], [8884]]);
    expect(egress[1]?.to).toEqual([{ ipBlock: { cidr: '10.43.0.1/32' } }]);
    expect(egress[2]?.to).toEqual([
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'emqx' } }, podSelector: { matchLabels: { app: 'emqx' } } },
    ]);
    expect(egress[3]?.to).toEqual([{ ipBlock: { cidr: '192.0.2.10/32' } }]);
    expect((await waysOut({})).egress).toHaveLength(3);
  });

  it('runs as Pod Security level restricted wants it, one at a time, on a volume that outlives it', async () => {
    const objects = await render({});
    const pod = podOf(objects);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(pod.containers[0]?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(objects.find(({ kind }) => kind === 'Deployment')?.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    expect(pod.volumes).toContainEqual({ name: 'state', persistentVolumeClaim: { claimName: 'hedgerow-gateway' } });
  });

  it.each([
    ['without a broker', { broker: { host: '' } }, 'broker.host and broker.tlsSecret are required'],
    ['without the addresses of the API server', { apiServer: { cidrs: [] } }, 'apiServer.cidrs is required'],
    ['with an uplink and no certificate for it', { uplink: { host: 'hub.example.org' } }, 'uplink.tlsSecret and uplink.cidr are required'],
    ['with a value that it does not know', { uplinks: {} }, 'uplinks'],
    ['with a host that would be two flags', { broker: { ...MINIMAL.broker, host: 'a --kubeconfig=b' } }, 'host'],
  ])('is not installed %s', async (_what, values, says) => {
    await expect(render(values)).rejects.toThrow(says);
  });
});
