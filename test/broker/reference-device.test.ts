// The reference device on real sockets: its firmware is updated through the broker and an HTTPS server, whatever is killed meanwhile.

import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeServerCertificate } from '../harness/certificates.ts';
import { waitFor } from '../harness/wait.ts';
import { createDevice } from '../simulator/device.ts';
import { type ConnectedDevice, connectedDevice } from '../simulator/firmware/connected.ts';
import { directoryFlash } from '../simulator/firmware/flash.ts';
import { CLASS, commander, factory, type Image, makeSite, type Site } from '../simulator/firmware/testing/site.ts';
import { startWorld, type World } from './testing/world.ts';

const NAME = 'cam-1.berlin';
/** What the device may do by the base rights of Hedgerow, and nobody anything else. */
const RULES = [
  `{allow, all, publish, ["ota/v1/d/${NAME}/state", "ota/v1/d/${NAME}/hello", "ota/v1/d/${NAME}/log"]}.`,
  `{allow, all, subscribe, ["ota/v1/d/${NAME}/directive"]}.`,
  '{deny, all}.',
  '',
].join('\n');

let world: World;
let site: Site;
let server: Server;
let served: Map<string, Buffer>;
/** Requests that came with a certificate, and what they asked for. */
let asked: { path: string; cn: string; range: string }[];
let base: string;
let caPem: string;
let dir: string;
let device: ConnectedDevice;
let good: Image;

beforeAll(async () => {
  world = await startWorld();
  await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: RULES } });
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-reference-'));
  // The site's clock is the real one here: so is the device's.
  site = await makeSite(Date.now());
  const old = site.image({ version: '2.3.0', securityCounter: 4 });
  good = site.image({ version: '2.4.0', securityCounter: 5, size: 200_000 });
  served = new Map([
    [`/${good.digest}`, good.bytes],
    [`/${good.statementDigest}`, good.statement],
  ]);
  asked = [];
  const certificate = await makeServerCertificate();
  caPem = certificate.caPem;
  const tls = { cert: certificate.certPem, key: certificate.keyPem, ca: world.ca.certPem, requestCert: true, rejectUnauthorized: true };
  server = createServer(tls, (request, answer) => {
    const socket = request.socket as unknown as { getPeerCertificate(): { subject: { CN: string } } };
    const [, from = '0', to = '0'] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    asked.push({ path: request.url ?? '', cn: socket.getPeerCertificate().subject.CN, range: request.headers.range ?? '' });
    const file = served.get(request.url ?? '');
    answer.writeHead(file === undefined ? 404 : 206).end(file?.subarray(Number(from), Number(to) + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const identity = await world.identity(NAME, 'cams.berlin');
  const ownKey = { privateKeyPem: identity.keyPem, csrPem: '' };
  const flash = directoryFlash(join(dir, 'flash'));
  factory(flash, old);
  const simulated = await createDevice({ device: 'cam-1', segment: 'cams', namespace: 'berlin' }, 0, '', ownKey);
  device = connectedDevice(
    {
      ...{ device: NAME, component: 'app', classId: CLASS, firstRoot: site.firstRoot, cas: site.cas, flash, selfTest: () => 0 },
      bootKey: generateKeyPairSync('ed25519').privateKey,
    },
    { device: simulated, address: world.broker, certificatePem: identity.certPem, artifactsCaPem: caPem },
  );
  await device.start();
});
afterAll(async () => {
  await device?.stop();
  server?.closeAllConnections();
  server?.close();
  await world?.stop();
  rmSync(dir, { recursive: true, force: true });
});

type State = { state: string; boot: number; digest: string };
/** What the broker keeps of it. */
async function state(): Promise<State | undefined> {
  const { body } = await world.standIn.request('GET', `/mqtt/retainer/message/${encodeURIComponent(`ota/v1/d/${NAME}/state`)}`);
  const { payload } = body as { payload?: string };
  return payload === undefined ? undefined : (JSON.parse(Buffer.from(payload, 'base64').toString()) as State);
}
const reaches = (wanted: string): Promise<State> => {
  let last: State | undefined;
  return waitFor(
    `the device to be ${wanted}`,
    async () => {
      last = await state();
      return last?.state === wanted ? last : undefined;
    },
    { describe: () => JSON.stringify(last) },
  );
};

describe('the reference device on real sockets', () => {
  it('says hello and what it runs', async () => {
    expect((await reaches('Idle')).boot).toBe(1);
  });

  it('comes back to a broker that was killed, takes a directive, updates itself and comes back by another connection', async () => {
    const { make, sign } = commander(site);
    const now = Math.floor(Date.now() / 1000);
    const directive = make(NAME, 'Install', good, { seq: Date.now(), iat: now, exp: now + 3600 });
    const { release, artifact } = directive;
    if (release === undefined || artifact === undefined) throw new Error('an Install without a release');
    release.urls = [`${base}/${good.statementDigest}`];
    artifact.urls = [`${base}/${good.digest}`];
    await world.standIn.kill();
    await world.standIn.restart();
    await waitFor(
      'the device to be back',
      async () => (await world.standIn.clients()).some(({ clientid }) => clientid === NAME) || undefined,
    );
    const payload = sign(directive).toString();
    await world.standIn.request('POST', '/publish', { body: { topic: `ota/v1/d/${NAME}/directive`, payload, qos: 1, retain: true } });
    expect(await reaches('Confirmed')).toMatchObject({ boot: 2, digest: good.digest });
    expect(device.booted()).toMatchObject({ slot: 'B', digest: good.digest, mode: 'Test' });
    expect(new Set(asked.map(({ cn }) => cn))).toEqual(new Set([NAME]));
    expect(asked.map(({ range }) => range).at(-1)).toBe('bytes=196608-199999');
  });
});
