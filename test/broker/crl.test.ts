/** The CRL check (crl.json, crl-fresh-broker.json): it looks at the leaf only, and closes to everybody without a CRL of the issuer. */

import { X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CrlCache } from './crl.ts';
import { type DeviceCa, type Identity, makeDeviceCa, subject } from './testing/pki.ts';
import { startWorld } from './testing/world.ts';

const NAME = subject('hedgerow', 'office.berlin', 'thermo.berlin');
const SETTINGS = { refresh_interval: '1m', http_timeout: '200ms' };
const der = (identity: Identity) => new X509Certificate(identity.certPem).raw;

/** A server of CRLs: what it answers is set by path. */
let server: Server;
let base: string;
const bodies = new Map<string, string | Buffer>();
const asked: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const body = bodies.get(request.url ?? '');
    if (body === 'never') return;
    response.writeHead(body === undefined ? 404 : 200).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  bodies.clear();
  asked.length = 0;
});

describe('a CRL cache', () => {
  let ca: DeviceCa;
  let cache: CrlCache;

  beforeAll(async () => {
    ca = await makeDeviceCa('device-ca');
  });
  beforeEach(() => {
    cache = new CrlCache(() => SETTINGS);
    return () => cache.close();
  });

  const check = async (identity: Identity) => cache.check(der(identity), ca.certPem);
  const issue = (path?: string) => ca.issue(NAME, path === undefined ? {} : { crl: `${base}${path}` });

  it('lets in who is not on the list and refuses who is', async () => {
    const [good, revoked] = [await issue('/ok.pem'), await issue('/ok.pem')];
    bodies.set('/ok.pem', await ca.crl([revoked]));
    expect(await check(good)).toBe('good');
    expect(await check(revoked)).toBe('revoked');
    expect(asked).toEqual(['/ok.pem']); // cached after the first handshake
  });

  const useless: [string, (path: string) => Promise<void>][] = [
    ['answers 404', async () => undefined],
    ['does not answer in time', async (path) => void bodies.set(path, 'never')],
    ['serves garbage', async (path) => void bodies.set(path, 'garbage')],
    ['serves a CRL of another CA', async (path) => void bodies.set(path, await (await makeDeviceCa('device-ca')).crl([]))],
    ['serves a CRL whose nextUpdate is past', async (path) => void bodies.set(path, await ca.crl([], -1000))],
  ];
  it.each(useless)('closes to everybody while the distribution point %s', async (_case, prepare) => {
    await prepare('/x.pem');
    const device = await issue('/x.pem');
    expect(await check(device)).toBe('no usable CRL');
    expect(await check(await issue())).toBe('no usable CRL'); // a certificate without a distribution point too
  });

  it('asks again at every handshake after a failure', async () => {
    const device = await issue('/late.pem');
    expect(await check(device)).toBe('no usable CRL');
    bodies.set('/late.pem', await ca.crl([]));
    expect(await check(device)).toBe('good');
    expect(asked).toEqual(['/late.pem', '/late.pem']);
  });

  it('takes any cached CRL of the same issuer where the own one is of no use', async () => {
    const [other, revoked] = [await issue('/404.pem'), await issue('/404.pem')];
    bodies.set('/ok.pem', await ca.crl([revoked]));
    expect(await check(await issue('/ok.pem'))).toBe('good');
    expect(await check(other)).toBe('good');
    expect(await check(await issue())).toBe('good');
    expect(await check(revoked)).toBe('revoked');
  });

  it('a new CRL bites at the refresh, not before; a failing server changes nothing', async () => {
    const device = await issue('/ok.pem');
    bodies.set('/ok.pem', await ca.crl([]));
    expect(await check(device)).toBe('good');
    bodies.set('/ok.pem', await ca.crl([device]));
    expect(await check(device)).toBe('good');
    await cache.refresh(`${base}/ok.pem`);
    expect(await check(device)).toBe('revoked');
    bodies.delete('/ok.pem');
    await cache.refresh(`${base}/ok.pem`);
    expect(await check(device)).toBe('revoked');
  });

  it('drops a DER list at its refresh: only PEM is read there', async () => {
    const device = await issue('/der.crl');
    const pem = await ca.crl([]);
    bodies.set('/der.crl', Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64'));
    expect(await check(device)).toBe('good');
    await cache.refresh(`${base}/der.crl`);
    bodies.delete('/der.crl');
    expect(await check(device)).toBe('no usable CRL');
  });
});

describe('enable_crl_check on the listener', () => {
  it('reaches new handshakes only, as soon as it is put', async () => {
    const world = await startWorld();
    try {
      const id = 'ssl:default';
      const put = (enable_crl_check: boolean) =>
        world.standIn.request('PUT', `/listeners/${id}`, {
          body: { id, type: 'ssl', ssl_options: { verify: 'verify_peer', enable_crl_check } },
        });
      const revoked = await world.ca.issue(NAME, { crl: `${base}/live.pem` });
      const good = await world.ca.issue(subject('hedgerow', 'office.berlin', 'other.berlin'), { crl: `${base}/live.pem` });
      bodies.set('/live.pem', await world.ca.crl([revoked]));
      const live = await world.attempt(revoked);
      expect((await put(true)).status).toBe(200);
      expect(await world.attempt(revoked)).toMatchObject({ ok: false, code: undefined });
      expect(await world.attempt(good)).toMatchObject({ ok: true });
      await sleep(50);
      expect(live.ok && live.device.closed).toBe(false);
      await put(false);
      expect(await world.attempt(revoked)).toMatchObject({ ok: true });
    } finally {
      await world.stop();
    }
  });
});
