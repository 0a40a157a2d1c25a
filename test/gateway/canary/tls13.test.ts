// The capture, read: what two ends of a real TLS connection have said comes out of the bytes between them.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeServerCertificate } from '../../harness/certificates.ts';
import { decrypted } from './tls13.ts';
import { startTap } from './wire.ts';

let tls: Awaited<ReturnType<typeof makeServerCertificate>>;
beforeAll(async () => {
  tls = await makeServerCertificate();
});

const SAID = randomBytes(100_000);
const ANSWERED = randomBytes(70_000);

it.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])('with %s', async (ciphers) => {
  const { wire, keyLog } = await talk({ ciphers });
  const { fromClient, fromServer } = decrypted(wire, keyLog);
  expect(fromClient.equals(SAID)).toBe(true);
  expect(fromServer.equals(ANSWERED)).toBe(true);
});

it('after a server that asked for another group first (HelloRetryRequest)', async () => {
  const { wire, keyLog } = await talk({ ecdhCurve: 'P-384' });
  expect(decrypted(wire, keyLog).fromClient.equals(SAID)).toBe(true);
});

it('a bit that was changed, the keys of another connection and TLS 1.2 are errors, never an empty answer', async () => {
  const [one, other, old] = [await talk({}), await talk({}), await talk({ maxVersion: 'TLSv1.2' })];
  const changed = Buffer.from(one.wire.fromClient);
  changed[changed.length - 20] = (changed[changed.length - 20] ?? 0) ^ 1;
  expect(() => decrypted({ ...one.wire, fromClient: changed }, one.keyLog)).toThrow();
  expect(() => decrypted(one.wire, other.keyLog)).toThrow('the key log has no');
  expect(() => decrypted(old.wire, old.keyLog)).toThrow('no TLS 1.3');
});

const servers: { close(): unknown }[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
});

/** `server`: what it insists on. */
async function talk(server: { ciphers?: string; ecdhCurve?: string; maxVersion?: 'TLSv1.2' }) {
  const listener = createServer({ cert: tls.certPem, key: tls.keyPem, ...server }, (socket: TLSSocket) => {
    let got = 0;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      got += chunk.length;
      if (got === SAID.length) socket.end(ANSWERED);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const tap = await startTap({ host: '127.0.0.1', port: (listener.address() as AddressInfo).port });
  servers.push(listener, tap);
  const client = connect({ host: '127.0.0.1', port: tap.port, ca: tls.caPem, servername: 'localhost' });
  let keyLog = '';
  client.on('keylog', (line: Buffer) => {
    keyLog += line.toString();
  });
  client.resume();
  client.write(SAID);
  await once(client, 'close');
  const [wire] = tap.captured();
  if (wire === undefined) throw new Error('nothing was captured');
  return { wire, keyLog };
}
