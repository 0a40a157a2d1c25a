// Small steps that several test files of this folder take.
import { X509Certificate } from 'node:crypto';
import { stringify } from 'yaml';
import { makeDeviceKey } from '../simulator/key.ts';
import { ROOT_ISSUER } from './cert-manager.ts';
import type { Cluster } from './cluster.ts';

type Condition = { type: string; status: string; reason?: string; message?: string };
export type CertificateRequest = {
  spec: { username?: string };
  status?: { conditions?: Condition[]; certificate?: string; ca?: string };
};

/** Applies objects as the administrator, or as whoever the kubeconfig says; throws with the server's words. */
export async function apply(cluster: Cluster, objects: readonly object[], kubeconfig = cluster.adminKubeconfig): Promise<void> {
  const { code, stderr } = await cluster.kubectl(
    ['--kubeconfig', kubeconfig, 'apply', '-f', '-'],
    objects.map((object) => stringify(object)).join('---\n'),
  );
  if (code !== 0) throw new Error(stderr);
}

export async function get<T>(cluster: Cluster, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await cluster.kubectl(['get', ...args, '-o', 'json']);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as T;
}

export async function waitForCondition(cluster: Cluster, object: string, namespace: string, condition: string): Promise<void> {
  const { code, stderr } = await cluster.kubectl(['wait', `--for=condition=${condition}`, object, '-n', namespace, '--timeout=30s']);
  if (code !== 0) throw new Error(stderr);
}

/** A namespace's own CA: `site-root` (Certificate, made with the self-signed ClusterIssuer) behind the Issuer `devices`. Returns when it is Ready. */
export async function makeDeviceIssuer(cluster: Cluster, namespace: string): Promise<void> {
  const root = {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: { name: 'site-root', namespace },
    spec: {
      isCA: true,
      commonName: `devices of ${namespace}`,
      secretName: 'site-root',
      privateKey: { algorithm: 'ECDSA', size: 256 },
      issuerRef: { name: ROOT_ISSUER, kind: 'ClusterIssuer' },
    },
  };
  const issuer = {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Issuer',
    metadata: { name: 'devices', namespace },
    spec: { ca: { secretName: 'site-root' } },
  };
  await apply(cluster, [root, issuer]);
  await waitForCondition(cluster, 'issuer/devices', namespace, 'Ready');
}

/** A request as a device's operator would make it, for the subject O=hedgerow, OU=office.berlin, CN=dev-0.berlin. */
export async function requestFor(namespace: string, name: string): Promise<{ manifest: object; csrPem: string }> {
  const { csrPem } = await makeDeviceKey({ device: 'dev-0', segment: 'office', namespace: 'berlin' });
  const manifest = {
    apiVersion: 'cert-manager.io/v1',
    kind: 'CertificateRequest',
    metadata: { name, namespace },
    spec: {
      request: Buffer.from(csrPem).toString('base64'),
      issuerRef: { name: 'devices', kind: 'Issuer' },
      duration: '1h',
      usages: ['digital signature', 'client auth'],
    },
  };
  return { manifest, csrPem };
}

/**
 * Adds the condition Approved as the holder of this kubeconfig. The time has whole seconds: cert-manager reads and writes it so, and with a fraction its own
 * webhook refuses every later status ("'Approved' condition may not be modified once set"), so that the request never becomes Ready.
 */
export function approve(cluster: Cluster, kubeconfig: string, namespace: string, name: string): ReturnType<Cluster['kubectl']> {
  const condition = {
    type: 'Approved',
    status: 'True',
    reason: 'Test',
    message: 'approved by a test',
    lastTransitionTime: wholeSeconds(new Date()),
  };
  const patch = JSON.stringify({ status: { conditions: [condition] } });
  return cluster.kubectl([
    '--kubeconfig',
    kubeconfig,
    'patch',
    'certificaterequest',
    name,
    '-n',
    namespace,
    '--subresource=status',
    '--type=merge',
    '-p',
    patch,
  ]);
}

function wholeSeconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** A ServiceAccount that may write the status of requests, and approve for these signers. */
export async function makeApprover(cluster: Cluster, namespace: string, name: string, signers: readonly string[]): Promise<string> {
  const role = `${namespace}-${name}`;
  const rules = [
    {
      apiGroups: ['cert-manager.io'],
      resources: ['certificaterequests', 'certificaterequests/status', 'certificaterequests/approval'],
      verbs: ['get', 'update', 'patch'],
    },
    ...(signers.length === 0
      ? []
      : [{ apiGroups: ['cert-manager.io'], resources: ['signers'], resourceNames: signers, verbs: ['approve'] }]),
  ];
  await apply(cluster, [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } },
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: role }, rules },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: role },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    },
  ]);
  return cluster.kubeconfigFor({ serviceAccount: `${namespace}/${name}` });
}

/** `O=hedgerow\nOU=…\nCN=…` in the order of the DER. */
export function subjectOf(certificatePem: string): string {
  return new X509Certificate(certificatePem).subject;
}
