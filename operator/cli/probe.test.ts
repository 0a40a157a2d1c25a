import { createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeClock, systemClock } from '../runtime/clock.ts';
import { probe, targetOf } from './probe.ts';
import { type MadeServer, makeServer } from './testing/certificate.ts';
import { typed } from './testing/heard.ts';
import { why } from './why.ts';

const servers: Server[] = [];
const listen = (server: Server, host = '127.0.0.1'): Promise<number> =>
  new Promise((resolve) => {
    servers.push(server);
    server.listen(0, host, () => resolve((server.address() as { port: number }).port));
  });
let broker: MadeServer;
let mqtt: number;

beforeAll(async () => {
  broker = await makeServer();
  // As EMQX: it wants a certificate of the client, which this look has not.
  mqtt = await listen(
    createTlsServer({ cert: broker.certPem, key: broker.keyPem, ca: broker.caPem, requestCert: true, rejectUnauthorized: true }),
  );
});
afterAll(() => {
  for (const server of servers) server.close();
});

describe('the way to the broker', () => {
  it('is fine: name, port, and a certificate of that name by the CA of the devices', async () => {
    const seen = await probe({ host: 'localhost', port: mqtt }, broker.caPem, systemClock);
    expect(seen).toMatchObject({ dns: { addresses: expect.arrayContaining(['127.0.0.1']) }, tcp: {}, tls: { protocol: 'TLSv1.3' } });
    expect(seen.tls).toMatchObject({ trust: 'ok' });
    expect(seen.tls).not.toHaveProperty('nameError');
    const chain = seen.tls !== undefined && 'chain' in seen.tls ? seen.tls.chain : [];
    expect(chain[0]).toMatchObject({ subject: 'CN=broker', issuer: 'CN=broker CA' });
  });

  it('without a CA says nothing about trust', async () => {
    expect((await probe({ host: 'localhost', port: mqtt }, undefined, systemClock)).tls).toMatchObject({ trust: 'not checked' });
  });

  it('of a certificate by another CA, and for another name, says both', async () => {
    const other = await makeServer();
    expect((await probe({ host: '127.0.0.1', port: mqtt }, other.caPem, systemClock)).tls).toMatchObject({
      trust: { error: expect.stringMatching(/^[A-Z_]+$/) },
      nameError: expect.stringContaining('127.0.0.1'),
    });
  });

  it('ends where the name has no address', async () => {
    const seen = await probe({ host: 'no-such-broker.invalid', port: 8883 }, undefined, systemClock);
    expect(seen).toEqual({
      host: 'no-such-broker.invalid',
      port: 8883,
      dns: { addresses: [], error: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) },
    });
  });

  it('ends where nobody listens', async () => {
    const server = createServer();
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    expect(await probe({ host: '127.0.0.1', port }, undefined, systemClock)).toMatchObject({ tcp: { error: 'ECONNREFUSED' } });
  });

  it('ends where the port speaks something else', async () => {
    const port = await listen(createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-OpenSSH\r\n')));
    expect((await probe({ host: '127.0.0.1', port }, undefined, systemClock)).tls).toMatchObject({ error: expect.stringMatching(/\w/) });
  });

  it('ends where the port says nothing for 5 s', async () => {
    const clock = new FakeClock();
    const silent = Promise.withResolvers<void>();
    let connections = 0;
    const port = await listen(
      createServer((socket) => {
        socket.on('error', () => undefined);
        // The first tries the port, the second TLS.
        if (++connections === 2) silent.resolve();
      }),
    );
    const looking = probe({ host: '127.0.0.1', port }, undefined, clock);
    await silent.promise;
    await clock.advance(5_000);
    expect((await looking).tls).toEqual({ error: 'no answer within 5 s' });
  });
});

describe('--mqtt', () => {
  it.each([
    ['broker:8883', { host: 'broker', port: 8883 }],
    ['192.0.2.1:1', { host: '192.0.2.1', port: 1 }],
    ['[2001:db8::1]:8883', { host: '2001:db8::1', port: 8883 }],
  ])('%s', (value, target) => expect(targetOf(value)).toEqual(target));

  it.each([
    'broker',
    'broker:',
    ':8883',
    'broker:0',
    'broker:65536',
    'mqtts://broker:8883',
    '2001:db8::1:8883',
    '[broker]:8883',
    'a b:1',
    'u@b:1',
  ])('"%s" is none', (value) => expect(() => targetOf(value)).toThrow('is not HOST:PORT'));
});

describe('kubectl hedgerow why', () => {
  it.each<[what: string, flags: string[], complaint: string]>([
    ['no device', [], 'which DEVICE?'],
    ['a CA for nothing', ['thermo', '--mqtt-ca-file', 'f'], '--mqtt-ca-file goes with --mqtt'],
    ['no address', ['thermo', '--mqtt', 'broker'], '--mqtt broker is not HOST:PORT'],
  ])('is wrong use: %s', async (_what, flags, complaint) => {
    expect(await typed(why, 'why', ...flags)).toMatchObject({ code: 2, err: expect.stringContaining(complaint) });
  });

  it('says which file cannot be read', async () => {
    expect(await typed(why, 'why', 'thermo', '--mqtt', 'b:1', '--mqtt-ca-file', '/no/such')).toMatchObject({
      code: 1,
      err: expect.stringContaining('HR-CLI-004: /no/such (ENOENT)'),
    });
  });

  it('every flag is in its help', () => {
    for (const flag of Object.keys(why.flags).filter((name) => name !== 'help')) expect(why.help).toContain(`--${flag}`);
  });
});
