import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { connect, type SecureVersion } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Cluster } from './cluster.ts';
import { readState } from './layout.ts';
import { sharedCluster } from './shared.ts';

type Handshake = { protocol: string | null; authorized: boolean; cipher: string };

describe('the connections of a cluster', () => {
  let cluster: Cluster;
  let ports: Record<string, number>;
  beforeAll(async () => {
    cluster = await sharedCluster();
    ports = (await readState(cluster.dir))?.ports ?? {};
  });
  const pki = (name: string): string => readFileSync(join(cluster.dir, 'pki', name), 'utf8');
  const etcdClient = (): object => ({ ca: pki('etcd-ca.crt'), cert: pki('etcd-client.crt'), key: pki('etcd-client.key') });
  const LISTENERS = ['apiserver', 'etcd', 'etcdPeer', 'controllerManager', 'webhook'] as const;

  it('is Kubernetes 1.36.3', async () => {
    const { stdout } = await cluster.kubectl(['version', '-o', 'json']);
    const { serverVersion, clientVersion } = JSON.parse(stdout) as Record<string, { gitVersion: string; major: string; minor: string }>;
    expect(serverVersion).toMatchObject({ gitVersion: 'v1.36.3', major: '1', minor: '36' });
    expect(clientVersion).toMatchObject({ gitVersion: 'v1.36.3' });
  });

  it.each(LISTENERS)('speaks TLS 1.3 at %s', async (listener) => {
    const { protocol, authorized } = await handshake(ports[listener], {
      ...(listener.startsWith('etcd') ? etcdClient() : { ca: cluster.caPem }),
    });
    expect(protocol).toBe('TLSv1.3');
    expect(authorized).toBe(true);
  });

  it.each(LISTENERS.flatMap((listener) => (['TLSv1', 'TLSv1.1', 'TLSv1.2'] as const).map((version) => ({ listener, version }))))(
    'refuses $version at $listener',
    async ({ listener, version }) => {
      const old = {
        minVersion: version,
        maxVersion: version,
        ciphers: 'ALL:@SECLEVEL=0',
        rejectUnauthorized: false,
        ...(listener.startsWith('etcd') ? etcdClient() : {}),
      };
      // The server's own alert: an attempt that this program's OpenSSL refused to make would prove nothing.
      await expect(handshake(ports[listener], old)).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
    },
  );

  it.each(LISTENERS)('does not answer plain HTTP at %s', async (listener) => {
    const answer = await plainGet(ports[listener], '/');
    // Go says 400 "Client sent an HTTP request to an HTTPS server"; a socket closed without a word is as good.
    expect([400, 'ECONNRESET']).toContain(answer);
  });

  it.each(['etcd', 'etcdPeer'] as const)('lets nobody at %s without a certificate of the store', async (listener) => {
    await expect(firstByte(ports[listener], { ca: pki('etcd-ca.crt') })).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    });
    // The administrator of the API is nobody to the store.
    await expect(
      firstByte(ports[listener], { ca: pki('etcd-ca.crt'), cert: pki('admin.crt'), key: pki('admin.key') }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/ALERT/) });
  });

  it('knows a ServiceAccount by a token of the API server and others by their certificate', async () => {
    const account = await cluster.kubeconfigFor({ serviceAccount: 'default/default' });
    const person = await cluster.kubeconfigFor({ user: 'jane', groups: ['gardeners', 'night shift'] });
    const whoami = async (kubeconfig: string): Promise<{ username: string; groups: string[] }> => {
      const { stdout, stderr } = await cluster.kubectl(['--kubeconfig', kubeconfig, 'auth', 'whoami', '-o', 'json']);
      if (stdout === '') throw new Error(stderr);
      return (JSON.parse(stdout) as { status: { userInfo: { username: string; groups: string[] } } }).status.userInfo;
    };
    expect(await whoami(account)).toMatchObject({
      username: 'system:serviceaccount:default:default',
      groups: expect.arrayContaining(['system:serviceaccounts:default']),
    });
    expect(await whoami(person)).toMatchObject({ username: 'jane', groups: ['gardeners', 'night shift', 'system:authenticated'] });
    const { code, stderr } = await cluster.kubectl(['--kubeconfig', person, 'get', 'secrets', '-A']);
    expect(code).toBe(1);
    expect(stderr).toContain('User "jane" cannot list resource "secrets"');
  });
});

type TlsOptions = {
  minVersion?: SecureVersion;
  maxVersion?: SecureVersion;
  ca?: string;
  cert?: string;
  key?: string;
  rejectUnauthorized?: boolean;
  ciphers?: string;
};

function handshake(port: number | undefined, options: TlsOptions): Promise<Handshake> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: port ?? 0, ...options }, () => {
      resolve({ protocol: socket.getProtocol(), authorized: socket.authorized, cipher: socket.getCipher().name });
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

/** In TLS 1.3 a server refuses a client's certificate after the client's handshake is done: so wait for its first word. */
function firstByte(port: number | undefined, options: TlsOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: port ?? 0, ...options }, () =>
      socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    );
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without a word')));
  });
}

function plainGet(port: number | undefined, path: string): Promise<number | string> {
  return new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port, path }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    sent.end();
  });
}
