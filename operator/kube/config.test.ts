import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { findConnection, inClusterConnection, KubeConfigError, kubeconfigConnection } from './config.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const base64 = (text: string): string => Buffer.from(text).toString('base64');

type Changes = { cluster?: object; user?: object; context?: object; top?: object };
function kubeconfig(name: string, changes: Changes = {}): string {
  return file(
    name,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'here',
      clusters: [
        { name: 'c', cluster: { server: 'https://127.0.0.1:6443/', 'certificate-authority-data': base64('CA'), ...changes.cluster } },
      ],
      users: [{ name: 'u', user: { token: 'tok', ...changes.user } }],
      contexts: [
        { name: 'here', context: { cluster: 'c', user: 'u', namespace: 'berlin', ...changes.context } },
        { name: 'elsewhere', context: { cluster: 'c', user: 'u' } },
      ],
      ...changes.top,
    }),
  );
}

describe('a kubeconfig', () => {
  it('gives server, namespace, CA and token', async () => {
    const connection = await kubeconfigConnection(kubeconfig('token'));
    expect(connection).toMatchObject({ server: 'https://127.0.0.1:6443', namespace: 'berlin' });
    expect(await connection.credentials()).toEqual({ authorization: 'Bearer tok', tls: { ca: 'CA' } });
  });

  it('gives a client certificate and its key', async () => {
    const user = { token: undefined, 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') };
    const { tls, authorization } = await (await kubeconfigConnection(kubeconfig('certificate', { user }))).credentials();
    expect(tls).toEqual({ ca: 'CA', cert: 'CERT', key: 'KEY' });
    expect(authorization).toBeUndefined();
  });

  it('is read for the context that was named, whose namespace is default unless it says so', async () => {
    expect((await kubeconfigConnection(kubeconfig('context'), 'elsewhere')).namespace).toBe('default');
  });

  it('keeps the name that the server’s certificate is checked against', async () => {
    const connection = await kubeconfigConnection(kubeconfig('name', { cluster: { 'tls-server-name': 'kubernetes.default' } }));
    expect((await connection.credentials()).tls.servername).toBe('kubernetes.default');
  });

  it('leaves the check of the server’s certificate on unless it turns it off', async () => {
    expect((await (await kubeconfigConnection(kubeconfig('on'))).credentials()).tls.rejectUnauthorized).toBeUndefined();
    const off = kubeconfig('off', { cluster: { 'insecure-skip-tls-verify': true, 'certificate-authority-data': undefined } });
    expect((await (await kubeconfigConnection(off)).credentials()).tls.rejectUnauthorized).toBe(false);
  });

  it.each<[string, () => string, string | undefined]>([
    ['is missing', () => join(dir, 'nowhere'), undefined],
    ['is no YAML', () => file('broken', '{{'), undefined],
    ['names a context that does not exist', () => kubeconfig('other'), 'nowhere'],
    ['has no current context', () => kubeconfig('none', { top: { 'current-context': '' } }), undefined],
    ['names a cluster that does not exist', () => kubeconfig('lost', { context: { cluster: 'nowhere' } }), undefined],
    ['asks for a proxy', () => kubeconfig('proxy', { cluster: { 'proxy-url': 'http://proxy' } }), undefined],
  ])('that %s is refused with a code and a cure', async (_name, path, context) => {
    const refusal = kubeconfigConnection(path(), context);
    await expect(refusal).rejects.toBeInstanceOf(KubeConfigError);
    await expect(refusal).rejects.toThrow(/^HR-KUBE-002 .+config view/);
  });
});

describe('a pod', () => {
  const account = (): string => {
    const pod = mkdtempSync(join(dir, 'pod-'));
    for (const [name, text] of [
      ['token', 'first\n'],
      ['ca.crt', 'CA'],
      ['namespace', 'hedgerow-system\n'],
    ] as const)
      writeFileSync(join(pod, name), text);
    return pod;
  };
  const env = (values: Record<string, string>) => (name: string) => values[name];

  it('uses its ServiceAccount, and reads the token again each time: kubelet replaces it', async () => {
    const pod = account();
    const connection = await inClusterConnection('https://10.96.0.1:443', pod);
    expect(connection).toMatchObject({ server: 'https://10.96.0.1:443', namespace: 'hedgerow-system' });
    expect(await connection.credentials()).toEqual({ authorization: 'Bearer first', tls: { ca: 'CA' } });
    writeFileSync(join(pod, 'token'), 'second');
    expect((await connection.credentials()).authorization).toBe('Bearer second');
  });

  it.each([
    ['10.96.0.1', 'https://10.96.0.1:443'],
    ['fd00::1', 'https://[fd00::1]:443'],
  ])('finds the API server at %s', async (host, server) => {
    const options = { kubeconfig: undefined, env: env({ KUBERNETES_SERVICE_HOST: host }), serviceAccountDir: account() };
    expect((await findConnection(options)).server).toBe(server);
  });

  it('is not asked when a kubeconfig is named', async () => {
    const options = { kubeconfig: kubeconfig('wins'), env: env({ KUBERNETES_SERVICE_HOST: '10.96.0.1' }), serviceAccountDir: account() };
    expect((await findConnection(options)).server).toBe('https://127.0.0.1:6443');
  });

  it.each<[string, Record<string, string>]>([
    ['no environment', {}],
    ['no files', { KUBERNETES_SERVICE_HOST: '10.96.0.1' }],
  ])('with %s is told how to reach an API server', async (_name, values) => {
    const options = { kubeconfig: undefined, env: env(values), serviceAccountDir: join(dir, 'nowhere') };
    await expect(findConnection(options)).rejects.toThrow(/^HR-KUBE-001 .+--kubeconfig/);
  });

  it('never quotes a token in an error', async () => {
    const pod = account();
    const connection = await inClusterConnection('https://x', pod);
    rmSync(join(pod, 'ca.crt'));
    await expect(connection.credentials()).rejects.not.toThrow(/first/);
  });
});
