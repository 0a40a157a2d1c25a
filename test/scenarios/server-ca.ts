// The broker's server certificate as people have it: a cert-manager Certificate by one of several CA issuers, and the folder of anchors that an administrator keeps.
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { X509Certificate } from '@peculiar/x509';
import type { Cluster } from '../controlplane/cluster.ts';
import { apply, approve, type CertificateRequest, get } from '../controlplane/testing.ts';
import type { ServerCertificate } from '../harness/certificates.ts';
import { pause, waitFor } from '../harness/wait.ts';

type Secret = { data?: Record<string, string> };

export type ServerCas = {
  /** `NAMESPACE/NAME`, for --server-certificate. */
  readonly certificateName: string;
  /** The CA certificate of an issuer, PEM. */
  anchor(issuer: string): string;
  /** What cert-manager has put into the Secret of the broker now. */
  served(): Promise<{ cert: string; key: string; issuer: string }>;
  /** Waits until that is signed by the issuer. */
  servedBy(issuer: string): Promise<{ cert: string; key: string }>;
  /** Which issuer the Certificate names. */
  named(): Promise<string>;
  /** The first certificate, known by all of the CAs. */
  first(): Promise<ServerCertificate>;
  end(): void;
};

/** Issuers of these names in the namespace, and the Certificate `broker` by the first. Its requests are approved as a platform would: by an approver of its own. */
export async function makeServerCas(cluster: Cluster, namespace: string, issuers: readonly string[]): Promise<ServerCas> {
  const [firstIssuer = ''] = issuers;
  await apply(cluster, [...issuers.flatMap((name) => caIssuer(name, namespace)), brokerCertificate(namespace, firstIssuer)]);
  const stop = new AbortController();
  void approveAll(cluster, namespace, stop.signal);
  const secret = (name: string): Promise<Record<string, string>> =>
    waitFor(`the Secret ${name}`, async () => (await get<Secret>(cluster, 'secret', name, '-n', namespace)).data, { timeoutMs: 90_000 });
  const pem = (data: Record<string, string>, key: string): string => Buffer.from(data[key] ?? '', 'base64').toString();
  const anchors = new Map(await Promise.all(issuers.map(async (name) => [name, pem(await secret(`${name}-ca`), 'tls.crt')] as const)));
  const cas: ServerCas = {
    certificateName: `${namespace}/broker`,
    anchor: (issuer) => anchors.get(issuer) ?? '',
    async served() {
      const data = await secret('broker-tls');
      const cert = pem(data, 'tls.crt');
      return { cert, key: pem(data, 'tls.key'), issuer: new X509Certificate(cert).issuer.replace(/^CN=/, '') };
    },
    servedBy: (issuer) =>
      waitFor(
        `the certificate of ${issuer}`,
        async () => {
          const served = await cas.served();
          return served.issuer === issuer ? served : undefined;
        },
        { timeoutMs: 120_000 },
      ),
    async named() {
      const object = await get<{ spec: { issuerRef: { name: string } } }>(cluster, 'certificate', 'broker', '-n', namespace);
      return object.spec.issuerRef.name;
    },
    async first() {
      const { cert, key } = await cas.servedBy(firstIssuer);
      return { certPem: cert, keyPem: key, caPem: [...anchors.values()].join('\n') };
    },
    end: () => stop.abort(),
  };
  return cas;
}

export type AnchorFolder = {
  readonly dir: string;
  readonly keyFile: string;
  /** Undefined removes the file. */
  write(name: 'current.pem' | 'next.pem' | 'previous.pem' | 'next-issuer' | 'next-keys.pem', text: string | undefined): void;
};

/** The mounted ConfigMap of the server anchors, and the mounted Secret of the signing key. */
export function makeAnchorFolder(parent: string): AnchorFolder {
  const dir = join(parent, 'server-anchors');
  mkdirSync(dir, { recursive: true });
  const keyFile = join(parent, 'trust.key');
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return {
    ...{ dir, keyFile },
    write: (name, text) => (text === undefined ? rmSync(join(dir, name), { force: true }) : writeFileSync(join(dir, name), text)),
  };
}

function caIssuer(name: string, namespace: string): object[] {
  return [
    {
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: { name: `${name}-ca`, namespace },
      spec: {
        ...{ isCA: true, commonName: name, secretName: `${name}-ca`, duration: '87600h' },
        privateKey: { algorithm: 'ECDSA', size: 256 },
        issuerRef: { name: 'hedgerow-root', kind: 'ClusterIssuer' },
      },
    },
    { apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata: { name, namespace }, spec: { ca: { secretName: `${name}-ca` } } },
  ];
}

function brokerCertificate(namespace: string, issuer: string): object {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: { name: 'broker', namespace },
    spec: {
      ...{ secretName: 'broker-tls', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'], usages: ['digital signature', 'server auth'] },
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
      issuerRef: { name: issuer, kind: 'Issuer' },
    },
  };
}

type Listed = { items: (CertificateRequest & { metadata: { name: string } })[] };

async function approveAll(cluster: Cluster, namespace: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const found = await get<Listed>(cluster, 'certificaterequests', '-n', namespace).catch((): Listed => ({ items: [] }));
    const waiting = found.items.filter(({ status }) => status?.conditions?.some(({ type }) => type === 'Approved') !== true);
    for (const { metadata } of waiting) await approve(cluster, cluster.adminKubeconfig, namespace, metadata.name).catch(() => undefined);
    await pause(500);
  }
}
