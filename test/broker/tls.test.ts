/** What the listener lets in (tls.json): TLS 1.3 with a certificate of the device CA, and nothing else. */

import net from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT_AUTH, type Identity, makeDeviceCa, SERVER_AUTH, subject } from './testing/pki.ts';
import { startWorld, type World } from './testing/world.ts';

const NAME = subject('hedgerow', 'office.berlin', 'thermo.berlin');
// MQTT 3.1.1 CONNECT, clean, keep alive 60 s, client id of one byte.
const CONNECT = Buffer.from('100d00044d5154540402003c000178', 'hex');

describe('the listener', () => {
  let world: World;
  let good: Identity;

  beforeAll(async () => {
    world = await startWorld();
    good = await world.identity('thermo.berlin', 'office.berlin');
  });
  afterAll(() => world.stop());

  /** `open`: the server still holds the connection after it has seen the client's certificate, and answers CONNECT. */
  const shake = (options: tls.ConnectionOptions, identity: Identity | undefined = good): Promise<string> =>
    new Promise((resolve) => {
      const socket = tls.connect({
        host: '127.0.0.1',
        port: world.broker.port,
        servername: 'localhost',
        ca: world.broker.caPem,
        ...(identity ? { cert: identity.certPem, key: identity.keyPem } : {}),
        ...options,
      });
      const end = (how: string) => {
        socket.destroy();
        resolve(how);
      };
      socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
      socket.once('close', () => end('closed'));
      socket.once('secureConnect', () => socket.write(CONNECT));
      socket.once('data', (data) => end(data[0] === 0x20 ? `open, ${socket.getProtocol()}` : 'something else'));
    });

  it('takes a good certificate on TLS 1.3', async () => expect(await shake({})).toBe('open, TLSv1.3'));

  it.each(['TLSv1', 'TLSv1.1', 'TLSv1.2'] as const)('refuses %s', async (version) => {
    const said = await shake({ minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' });
    expect(said).toMatch(/ALERT_PROTOCOL_VERSION/); // the server's word, not the client's own refusal
  });

  it('refuses RSA key exchange', async () => {
    const said = await shake({ maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256:AES256-SHA:@SECLEVEL=0' });
    expect(said).toMatch(/ALERT_PROTOCOL_VERSION/);
  });

  it('refuses whoever has no certificate', async () => {
    expect(await shake({ cert: undefined, key: undefined }, undefined)).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
  });

  // EMQX says why by an alert; Node's server closes without one.
  const bad: [string, () => Promise<Identity>, RegExp][] = [
    ['of another CA', async () => (await makeDeviceCa('somebody')).issue(NAME), /^closed$|UNKNOWN_CA/],
    ['that has expired', () => world.ca.issue(NAME, { expired: true }), /^closed$|CERTIFICATE_EXPIRED/],
    ['for servers only', () => world.ca.issue(NAME, { usages: [SERVER_AUTH] }), /^closed$|ALERT/],
  ];
  it.each(bad)('refuses a certificate %s', async (_case, issue, alert) => expect(await shake({}, await issue())).toMatch(alert));

  const fine: [string, string[]][] = [
    ['without extended key usage', []],
    ['for clients and servers', [CLIENT_AUTH, SERVER_AUTH]],
  ];
  it.each(fine)('takes a certificate %s', async (_case, usages) => {
    expect(await shake({}, await world.ca.issue(NAME, { usages }))).toBe('open, TLSv1.3');
  });

  it('resumes no TLS session: every connection shows its certificate', async () => {
    const connect = (session?: Buffer) =>
      new Promise<{ reused: boolean; session: Buffer | undefined }>((resolve, reject) => {
        const { certPem: cert, keyPem: key } = good;
        const { caPem: ca, port } = world.broker;
        const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca, cert, key, ...(session ? { session } : {}) });
        let latest: Buffer | undefined;
        socket.on('session', (ticket) => {
          latest = ticket;
        });
        socket.once('error', reject);
        socket.once('secureConnect', () => socket.write(CONNECT));
        socket.once('data', () => {
          resolve({ reused: socket.isSessionReused(), session: latest ?? socket.getSession() });
          socket.destroy();
        });
      });
    const { session } = await connect();
    expect(await connect(session)).toMatchObject({ reused: false });
  });

  it('listens on no plain port', async () => {
    for (const port of Object.values(world.standIn.ports)) expect(await knock(port)).toBe('ECONNREFUSED');
  });

  it('speaks nothing but TLS on its own', async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = net.connect(world.broker.port, '127.0.0.1', () => socket.write(CONNECT));
      socket.once('data', (data) => resolve(data[0] === 0x15 ? 'TLS alert' : `byte ${data[0]}`));
      socket.once('close', () => resolve('closed'));
      socket.once('error', () => resolve('closed'));
    });
    expect(['TLS alert', 'closed']).toContain(answer);
  });

  it('opens the plain port when somebody asks for it by REST, as a posture check must find', async () => {
    const id = 'tcp:default';
    const put = (enable: boolean) =>
      world.standIn.request('PUT', `/listeners/${id}`, { body: { id, type: 'tcp', enable, bind: `127.0.0.1:${world.standIn.ports.tcp}` } });
    expect((await put(true)).status).toBe(200);
    expect(await knock(world.standIn.ports.tcp)).toBe('open');
    expect((await put(false)).status).toBe(200);
    expect(await knock(world.standIn.ports.tcp)).toBe('ECONNREFUSED');
  });
});

function knock(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve('open');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}
