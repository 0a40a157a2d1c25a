/** The feed of events over TLS: the connector's CA decides whom the broker tells. What the events look like is held to the recordings by replay/. */

import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeServerCertificate, type ServerCertificate } from '../harness/certificates.ts';
import { waitFor } from '../harness/wait.ts';
import type { JsonObject } from './config.ts';
import { startWorld, type World } from './testing/world.ts';

type Told = { authorization: string | undefined; event: { event: string; clientid: string; topic?: string; result?: string } };

let world: World;
let certificate: ServerCertificate;
let receiver: Server;
const told: Told[] = [];

beforeAll(async () => {
  [world, certificate] = await Promise.all([startWorld(), makeServerCertificate()]);
  receiver = createServer({ key: certificate.keyPem, cert: certificate.certPem }, (request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      told.push({ authorization: request.headers.authorization, event: JSON.parse(body) });
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  receiver?.closeAllConnections();
  receiver?.close();
  await world?.stop();
});

const call = (method: string, path: string, body?: JsonObject) => world.standIn.request(method, path, body === undefined ? {} : { body });

async function install(name: string, caPem: string): Promise<void> {
  const url = `https://localhost:${(receiver.address() as AddressInfo).port}`;
  const ssl = { enable: true, verify: 'verify_peer', cacertfile: caPem };
  expect((await call('POST', '/connectors', { type: 'http', name, enable: true, url, headers: { authorization: name }, ssl })).status).toBe(
    201,
  );
  const parameters = { method: 'post', path: '/events', headers: {}, body: `$${'{.}'}` };
  expect((await call('POST', '/actions', { type: 'http', name, connector: name, enable: true, parameters })).status).toBe(201);
  const sql = `SELECT * FROM "$events/client_check_authz_complete" WHERE result = 'deny'`;
  expect((await call('PUT', `/rules/${name}`, { sql, actions: [`http:${name}`], enable: true })).status).toBe(200);
}

describe('events over TLS', () => {
  it('go to whom the CA of the connector vouches for, with its headers, and to nobody else', async () => {
    await install('stranger', (await makeServerCertificate()).caPem);
    await install('operator', certificate.caPem);
    const device = await world.connect('thermo-1.berlin', 'office.berlin');
    const deny = () => void device.client.publish('dt/another/topic', '{}', { qos: 1 }, () => undefined);
    deny();
    const first = await waitFor('the denial', () => told.find(({ authorization }) => authorization === 'operator'));
    expect(first).toMatchObject({
      authorization: 'operator',
      event: { event: 'client.check_authz_complete', clientid: 'thermo-1.berlin', topic: 'dt/another/topic', result: 'deny' },
    });
    // Whatever went out with the first has come before the second.
    deny();
    await waitFor('the second', () => (told.filter(({ authorization }) => authorization === 'operator').length > 1 ? true : undefined));
    expect(told.map(({ authorization }) => authorization)).not.toContain('stranger');
  });

  it('a CA that was sent as PEM is shown as a file', async () => {
    const { body } = await call('GET', '/connectors/http:operator');
    expect((body as { ssl: { cacertfile: string } }).ssl.cacertfile).toMatch(/^certs\/connectors\/http:operator\/cacert-[0-9a-f]{16}$/);
  });
});
