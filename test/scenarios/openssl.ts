// `openssl s_client` as the judge of a listener: another TLS implementation's word than Node's own.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { runProcess } from '../controlplane/helm.ts';

/** Security level 0: without it this OpenSSL would refuse the attempt itself, which would prove nothing. */
export const ATTEMPTS = {
  'TLS 1.0': ['-tls1', '-cipher', 'ALL:@SECLEVEL=0'],
  'TLS 1.1': ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
  'RSA key exchange': ['-tls1_2', '-cipher', 'kRSA:@SECLEVEL=0'],
} as const satisfies Record<string, readonly string[]>;

export type Attempt = keyof typeof ATTEMPTS;

/** `agreed`: protocol and cipher. `refused`: the peer said no by an alert (RFC 8446 §6.2). Anything else throws: it would be no answer to the question. */
export async function ask(port: number, attempt: Attempt): Promise<{ agreed: string } | { refused: string }> {
  const { stdout, stderr } = await runProcess(['openssl', 's_client', '-connect', `127.0.0.1:${port}`, ...ATTEMPTS[attempt]]);
  const cipher = /New, (\S+), Cipher is (\S+)/.exec(stdout);
  const alert = /alert ([a-z ]+)(?::|\n)/.exec(stderr)?.[1];
  if (cipher !== null && cipher[2] !== '(NONE)') return { agreed: `${/Protocol\s*: (\S+)/.exec(stdout)?.[1] ?? '?'} ${cipher[2]}` };
  if (alert !== undefined) return { refused: alert };
  throw new Error(`no answer from port ${port}: ${stderr.trim()}`);
}

/** A listener that takes everything its OpenSSL still knows, with an RSA certificate: what a careless one looks like. */
export async function permissiveListener(dir: string): Promise<Server & { port: number }> {
  const [key, cert] = [join(dir, 'permissive.key'), join(dir, 'permissive.crt')];
  const made = await runProcess([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=localhost',
    '-keyout',
    key,
    '-out',
    cert,
  ]);
  if (made.code !== 0) throw new Error(made.stderr);
  const server = createServer(
    { key: readFileSync(key), cert: readFileSync(cert), minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' },
    (socket) => socket.on('error', () => undefined).end(),
  );
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return Object.assign(server, { port: typeof address === 'object' && address !== null ? address.port : 0 });
}
