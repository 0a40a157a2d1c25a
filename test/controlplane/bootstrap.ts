// What lies in a cluster's folder before anything starts: certificates, kubeconfigs of the components, audit policy.
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { FIRST_SERVICE_IP } from './components.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import type { ClusterState, Layout } from './layout.ts';
import { type Authority, authority, clientCertificate, type Pem, type Subject, serverCertificate, signingKey, writePem } from './pki.ts';

const LOCAL_NAMES = ['localhost', '127.0.0.1'];

/** Makes what is missing; what a kept folder has stays, so that earlier kubeconfigs go on working. Returns the API's authority. */
export async function bootstrap(state: ClusterState, layout: Layout): Promise<Authority> {
  const pki = join(layout.dir, 'pki');
  await mkdir(pki, { recursive: true, mode: 0o700 });
  const ca = await authority(pki, 'ca');
  const etcdCa = await authority(pki, 'etcd-ca');
  const here = [...new Set([...LOCAL_NAMES, state.address])];
  const inCluster = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
    FIRST_SERVICE_IP,
  ];
  const wanted: Record<string, () => Promise<Pem>> = {
    'etcd-server': () => serverCertificate(etcdCa, 'etcd', here, true),
    'etcd-client': () => clientCertificate(etcdCa, { user: 'kube-apiserver' }),
    'kube-apiserver-server': () => serverCertificate(ca, 'kube-apiserver', [...inCluster, ...here]),
    'kube-controller-manager-server': () => serverCertificate(ca, 'kube-controller-manager', here),
    'kube-scheduler-server': () => serverCertificate(ca, 'kube-scheduler', here),
    'cert-manager-webhook-server': () => serverCertificate(ca, 'cert-manager-webhook', here),
    'kubelet-client': () => clientCertificate(ca, { user: 'kube-apiserver-kubelet-client', groups: ['system:masters'] }),
    admin: () => clientCertificate(ca, { user: 'admin', groups: ['system:masters'] }),
    'service-accounts': async () => {
      const { privateKey, publicKey } = signingKey();
      // Not a certificate: the public key lies where the others have theirs.
      return { cert: publicKey, key: privateKey };
    },
  };
  await Promise.all(
    Object.entries(wanted).map(async ([name, make]) => (await has(join(pki, `${name}.key`))) || writePem(pki, name, await make())),
  );
  const server = { name: state.name, server: layout.url('apiserver'), caPem: ca.cert };
  await Promise.all(
    Object.entries(COMPONENT_USERS).map(async ([name, subject]) =>
      writeKubeconfig(layout.kubeconfig(name), server, subject.user, { client: await clientCertificate(ca, subject) }),
    ),
  );
  if (state.auditLog) await writeFile(join(layout.dir, 'audit-policy.yaml'), stringify(AUDIT_POLICY));
  return ca;
}

/** The user and groups of a ServiceAccount, as the API server derives them from its token. */
function serviceAccountSubject(namespace: string, name: string): Subject {
  return { user: `system:serviceaccount:${namespace}:${name}`, groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`] };
}

const COMPONENT_USERS: Record<string, Subject> = {
  admin: { user: 'admin', groups: ['system:masters'] },
  'kube-controller-manager': { user: 'system:kube-controller-manager' },
  'kube-scheduler': { user: 'system:kube-scheduler' },
  // The names of the chart's ServiceAccounts: these components have the chart's rights and no others.
  'cert-manager-controller': serviceAccountSubject('cert-manager', 'cert-manager'),
  'cert-manager-webhook': serviceAccountSubject('cert-manager', 'cert-manager-webhook'),
  kwok: serviceAccountSubject('kube-system', 'kwok-controller'),
};

// First match wins. Bodies only of certificate requests, which hold nothing secret; of Secrets and tokens never.
const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    {
      level: 'RequestResponse',
      resources: [{ group: 'cert-manager.io', resources: ['certificaterequests', 'certificaterequests/status'] }],
      verbs: ['create', 'update', 'patch', 'delete'],
    },
    { level: 'Metadata' },
  ],
};

async function has(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
