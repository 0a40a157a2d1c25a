// kubeconfig files, written as JSON (which is YAML): one cluster, one user.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Pem } from './pki.ts';

export type Credentials = { client: Pem } | { token: string };

export async function writeKubeconfig(
  file: string,
  cluster: { name: string; server: string; caPem: string },
  user: string,
  credentials: Credentials,
): Promise<string> {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: cluster.name, cluster: { server: cluster.server, 'certificate-authority-data': base64(cluster.caPem) } }],
    users: [{ name: user, user: userEntry(credentials) }],
    contexts: [{ name: cluster.name, context: { cluster: cluster.name, user } }],
    'current-context': cluster.name,
  };
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
  return file;
}

function userEntry(credentials: Credentials): object {
  if ('token' in credentials) return { token: credentials.token };
  return { 'client-certificate-data': base64(credentials.client.cert), 'client-key-data': base64(credentials.client.key) };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
