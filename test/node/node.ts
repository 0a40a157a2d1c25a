// A real node: kubelet, kube-proxy and kube-router as processes inside its network namespace.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { findCommand } from '../../scripts/bootstrap/debian.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { POD_CIDR, SERVICE_CIDR } from '../controlplane/components.ts';
import { type Handle, launch } from '../controlplane/process.ts';
import { program } from '../controlplane/programs.ts';
import { inside, run } from './host.ts';
import type { NodePlace } from './layout.ts';

export type Started = { handle: Handle; logFile: string };

/** Made before the kubelets start: so the pods' subnets are known in advance, also to CNI. */
export function nodeObject(node: NodePlace): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: node.name, labels: { 'kubernetes.io/hostname': node.name, 'kubernetes.io/os': 'linux' } },
    spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] },
  };
}

/** Its identity is the node's own: group system:nodes, judged by the Node authorizer and NodeRestriction. */
export async function startKubelet(cluster: Cluster, node: NodePlace): Promise<Started> {
  const dir = join(node.dir, 'kubelet');
  mkdirSync(join(dir, 'pki'), { recursive: true });
  const serving = await cluster.serverCertificate(`system:node:${node.name}`, [node.ip, node.name]);
  const files = { cert: join(dir, 'pki', 'kubelet.crt'), key: join(dir, 'pki', 'kubelet.key'), ca: join(dir, 'pki', 'ca.crt') };
  writeFileSync(files.cert, serving.cert);
  writeFileSync(files.key, serving.key, { mode: 0o600 });
  writeFileSync(files.ca, cluster.caPem);
  const config = join(dir, 'config.yaml');
  writeFileSync(config, stringify(kubeletConfig(node, files)));
  const kubeconfig = await cluster.kubeconfigFor({ user: `system:node:${node.name}`, groups: ['system:nodes'] });
  return start(node, 'cp', 'kubelet', [
    `--config=${config}`,
    `--kubeconfig=${kubeconfig}`,
    `--root-dir=${join(dir, 'root')}`,
    `--cert-dir=${join(dir, 'pki')}`,
    `--hostname-override=${node.name}`,
    `--node-ip=${node.ip}`,
  ]);
}

export async function startKubeProxy(cluster: Cluster, node: NodePlace): Promise<Started> {
  const config = join(node.dir, 'kube-proxy.yaml');
  writeFileSync(
    config,
    stringify({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: 'iptables',
      hostnameOverride: node.name,
      clientConnection: { kubeconfig: await cluster.kubeconfigFor({ user: 'system:kube-proxy' }) },
      clusterCIDR: POD_CIDR,
      detectLocalMode: 'ClusterCIDR',
      // The sizes of connection tracking belong to the machine, not to a namespace.
      conntrack: { maxPerCore: 0, min: 0 },
      healthzBindAddress: `${node.ip}:10256`,
      metricsBindAddress: '127.0.0.1:10249',
    }),
  );
  return start(node, 'cp', 'kube-proxy', [`--config=${config}`]);
}

/** Enforces NetworkPolicies and nothing else. A new pod is shut until its policies are in place: otherwise it would stand open for up to half a second. */
export async function startKubeRouter(cluster: Cluster, node: NodePlace): Promise<Started> {
  // In the node's folder, by which the clean-up knows this process.
  const kubeconfig = join(node.dir, 'kube-router.kubeconfig');
  copyFileSync(await cluster.kubeconfigFor({ serviceAccount: 'kube-system/kube-router' }), kubeconfig);
  return start(node, 'netpol', undefined, [
    `--kubeconfig=${kubeconfig}`,
    `--hostname-override=${node.name}`,
    `--service-cluster-ip-range=${SERVICE_CIDR}`,
    '--run-firewall=true',
    '--run-router=false',
    '--run-service-proxy=false',
    '--run-loadbalancer=false',
    '--enable-cni=false',
    '--netpol-default-deny=true',
    '--health-port=0',
  ]);
}

/** Its chains are in place: from now on no pod starts unguarded. */
export async function enforces(node: NodePlace): Promise<true | undefined> {
  const [program = '', ...args] = [...inside(node.netns), findCommand('iptables-save') ?? 'iptables-save', '-t', 'filter'];
  return /-A FORWARD .*-j KUBE-ROUTER-FORWARD/.test(await run(program, ...args)) || undefined;
}

/** kube-router's account and its rights, as its documentation lists them for the firewall alone. */
export function kubeRouterObjects(): object[] {
  const metadata = { name: 'kube-router' };
  const read = (apiGroup: string, resources: string[]): object => ({ apiGroups: [apiGroup], resources, verbs: ['get', 'list', 'watch'] });
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'kube-router', namespace: 'kube-system' } },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata,
      rules: [
        read('', ['namespaces', 'pods', 'services', 'nodes', 'endpoints']),
        read('networking.k8s.io', ['networkpolicies']),
        read('discovery.k8s.io', ['endpointslices']),
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'kube-router' },
      subjects: [{ kind: 'ServiceAccount', name: 'kube-router', namespace: 'kube-system' }],
    },
  ];
}

async function start(node: NodePlace, name: 'cp' | 'netpol', part: string | undefined, flags: readonly string[]): Promise<Started> {
  const { bin } = await program(name);
  const [first = '', ...rest] = [...inside(node.netns), bin, ...(part === undefined ? [] : [part]), ...flags];
  const logFile = join(node.dir, `${part ?? 'kube-router'}.log`);
  return { handle: await launch({ command: [first, ...rest], logFile, dieWithParent: true }), logFile };
}

function kubeletConfig(node: NodePlace, files: { cert: string; key: string; ca: string }): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: node.ip,
    port: 10250,
    healthzPort: 0,
    tlsCertFile: files.cert,
    tlsPrivateKeyFile: files.key,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: files.ca } },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: `unix://${node.socket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${node.cgroup}`,
    // Hosts with cgroup v1 are refused by default since 1.35.
    failCgroupV1: false,
    failSwapOn: false,
    podLogsDir: join(node.dir, 'pod-logs'),
    // There is no DNS in this cluster, and nothing of the host's should be used instead.
    resolvConf: '',
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    // Images come from files: what is collected could not be fetched again.
    imageGCHighThresholdPercent: 100,
    nodeStatusUpdateFrequency: '1s',
    nodeLeaseDurationSeconds: 4,
    // Seconds, not tens of seconds, until a pod is seen to be gone or ready.
    syncFrequency: '5s',
    registerNode: true,
  };
}
