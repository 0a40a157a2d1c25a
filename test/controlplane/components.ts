// The parts of a cluster and how each is started: flags, certificates, addresses.
import { join } from 'node:path';
import type { Layout } from './layout.ts';
import type { ProgramName } from './programs.ts';

export const COMPONENTS = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'cert-manager-webhook',
  'cert-manager-controller',
  'kwok',
] as const;
export type Component = (typeof COMPONENTS)[number];

export const FEATURES = ['controller-manager', 'scheduler', 'cert-manager', 'kwok'] as const;
export type Feature = (typeof FEATURES)[number];

export const PORT_NAMES = ['etcd', 'etcdPeer', 'apiserver', 'controllerManager', 'scheduler', 'webhook'] as const;
export type PortName = (typeof PORT_NAMES)[number];

export const SERVICE_CIDR = '10.96.0.0/16';
export const FIRST_SERVICE_IP = '10.96.0.1';
export const POD_CIDR = '10.244.0.0/16';

const PARTS: Record<Feature, { needs: readonly Feature[]; components: readonly Component[] }> = {
  'controller-manager': { needs: [], components: ['kube-controller-manager'] },
  scheduler: { needs: [], components: ['kube-scheduler'] },
  // Owner references and ServiceAccounts mean nothing without a controller-manager.
  'cert-manager': { needs: ['controller-manager'], components: ['cert-manager-webhook', 'cert-manager-controller'] },
  kwok: { needs: ['controller-manager', 'scheduler'], components: ['kwok'] },
};

/** The features asked for and what they need, in the order of FEATURES. */
export function closure(asked: readonly Feature[]): Feature[] {
  const all = new Set<Feature>();
  const add = (feature: Feature): void => {
    all.add(feature);
    for (const needed of PARTS[feature].needs) add(needed);
  };
  for (const feature of asked) add(feature);
  return FEATURES.filter((feature) => all.has(feature));
}

/** The components of these features in the order they start; stopping goes the other way. */
export function componentsOf(features: readonly Feature[]): Component[] {
  const wanted = new Set<Component>(['etcd', 'kube-apiserver', ...features.flatMap((feature) => PARTS[feature].components)]);
  return COMPONENTS.filter((component) => wanted.has(component));
}

export function programOf(component: Component): ProgramName {
  return component.startsWith('cert-manager') || component === 'kwok' ? 'addons' : 'cp';
}

/** The flags of a component; the caller puts the program and the component's name before them. */
export function flagsOf(component: Component, layout: Layout): string[] {
  return [...FLAGS[component](layout), ...(layout.extraFlags[component] ?? [])];
}

const FLAGS: Record<Component, (layout: Layout) => string[]> = {
  etcd: ({ dir, pki, url }) => [
    `--data-dir=${join(dir, 'etcd')}`,
    `--listen-client-urls=${url('etcd')}`,
    `--advertise-client-urls=${url('etcd')}`,
    // A single member never uses its peer address, but etcd insists on one.
    `--listen-peer-urls=${url('etcdPeer')}`,
    `--initial-advertise-peer-urls=${url('etcdPeer')}`,
    `--initial-cluster=default=${url('etcdPeer')}`,
    ...certificateFlags(pki('etcd-server'), '--cert-file', '--key-file'),
    ...certificateFlags(pki('etcd-server'), '--peer-cert-file', '--peer-key-file'),
    `--trusted-ca-file=${pki('etcd-ca').cert}`,
    `--peer-trusted-ca-file=${pki('etcd-ca').cert}`,
    '--client-cert-auth=true',
    '--peer-client-cert-auth=true',
    '--tls-min-version=TLS1.3',
    '--log-level=warn',
    // kill -9 loses nothing (the page cache stays), a power cut would: fine for a test, and several times faster.
    '--unsafe-no-fsync=true',
    `--quota-backend-bytes=${8 * 1024 ** 3}`,
  ],
  'kube-apiserver': apiserverFlags,
  'kube-controller-manager': ({ pki, port, kubeconfig, address }) => [
    `--kubeconfig=${kubeconfig('kube-controller-manager')}`,
    `--bind-address=${address}`,
    `--secure-port=${port('controllerManager')}`,
    ...servingFlags(pki('kube-controller-manager-server')),
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${pki('service-accounts').key}`,
    `--root-ca-file=${pki('ca').cert}`,
    ...certificateFlags(pki('ca'), '--cluster-signing-cert-file', '--cluster-signing-key-file'),
    '--leader-elect=false',
    '--allocate-node-cidrs=true',
    `--cluster-cidr=${POD_CIDR}`,
    '--kube-api-qps=200',
    '--kube-api-burst=400',
    '--profiling=false',
  ],
  'kube-scheduler': ({ pki, port, kubeconfig, address }) => [
    `--kubeconfig=${kubeconfig('kube-scheduler')}`,
    `--authentication-kubeconfig=${kubeconfig('kube-scheduler')}`,
    `--authorization-kubeconfig=${kubeconfig('kube-scheduler')}`,
    `--bind-address=${address}`,
    `--secure-port=${port('scheduler')}`,
    ...servingFlags(pki('kube-scheduler-server')),
    '--leader-elect=false',
    '--kube-api-qps=200',
    '--kube-api-burst=400',
    '--profiling=false',
  ],
  'cert-manager-webhook': ({ pki, port, kubeconfig }) => [
    `--kubeconfig=${kubeconfig('cert-manager-webhook')}`,
    `--secure-port=${port('webhook')}`,
    '--metrics-listen-address=0',
    ...servingFlags(pki('cert-manager-webhook-server')),
  ],
  'cert-manager-controller': ({ kubeconfig }) => [
    `--kubeconfig=${kubeconfig('cert-manager-controller')}`,
    '--cluster-resource-namespace=cert-manager',
    '--kube-api-qps=200',
    '--kube-api-burst=400',
    '--concurrent-workers=20',
    // Upstream's 1 h and 32 h: no test can wait for those.
    '--certificate-request-minimum-backoff-duration=2s',
    '--certificate-request-maximum-backoff-duration=10s',
  ],
  kwok: ({ kubeconfig, dir }) => [
    `--kubeconfig=${kubeconfig('kwok')}`,
    `--config=${join(dir, 'kwok.yaml')}`,
    '--manage-all-nodes=false',
    '--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake',
  ],
};

function apiserverFlags({ dir, pki, port, url, address, auditLog }: Layout): string[] {
  return [
    `--etcd-servers=${url('etcd')}`,
    `--etcd-cafile=${pki('etcd-ca').cert}`,
    ...certificateFlags(pki('etcd-client'), '--etcd-certfile', '--etcd-keyfile'),
    `--bind-address=${address}`,
    `--advertise-address=${address}`,
    `--secure-port=${port('apiserver')}`,
    // Endpoints may not hold a loopback address.
    ...(address.startsWith('127.') ? ['--endpoint-reconciler-type=none'] : []),
    `--service-cluster-ip-range=${SERVICE_CIDR}`,
    ...servingFlags(pki('kube-apiserver-server')),
    `--client-ca-file=${pki('ca').cert}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${pki('service-accounts').cert}`,
    `--service-account-signing-key-file=${pki('service-accounts').key}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    ...certificateFlags(pki('kubelet-client'), '--kubelet-client-certificate', '--kubelet-client-key'),
    `--kubelet-certificate-authority=${pki('ca').cert}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--profiling=false',
    ...(auditLog
      ? [
          `--audit-policy-file=${join(dir, 'audit-policy.yaml')}`,
          `--audit-log-path=${join(dir, 'audit.log')}`,
          // Rotating would lose what a test counts.
          '--audit-log-maxsize=10000',
        ]
      : []),
  ];
}

type Files = { cert: string; key: string };

function servingFlags(files: Files): string[] {
  return [...certificateFlags(files, '--tls-cert-file', '--tls-private-key-file'), '--tls-min-version=VersionTLS13'];
}

function certificateFlags(files: Files, certFlag: string, keyFlag: string): string[] {
  return [`${certFlag}=${files.cert}`, `${keyFlag}=${files.key}`];
}
