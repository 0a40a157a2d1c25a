// /cacerts and the signed message, over real TLS, from files that change while the server runs.
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeServerCertificate } from '../../test/harness/certificates.ts';
import { OpenSsl } from '../identity/testing/openssl.ts';
import { systemClock } from '../runtime/clock.ts';
import { recordingLog } from '../runtime/testing/recording-log.ts';
import { certificate } from '../trust/testing/authority.ts';
import { createLimiter } from './limits.ts';
import { createEstServer, type EstServer } from './server.ts';
import { createToldAnchors } from './told-anchors.ts';

const ssl = new OpenSsl();
const dir = mkdtempSync(join(tmpdir(), 'told-'));
const write = (name: string, text: string): void => writeFileSync(join(dir, name), text);
const device = new X509Certificate(certificate('devices'));
const [old, coming] = [certificate('servers 1'), certificate('servers 2')];
const log = recordingLog();
/** Certificates are made now; a second on, none is in the future. */
const clock = { ...systemClock, now: () => systemClock.now() + 1_000 };
const told = createToldAnchors({ anchorsDir: dir, messageFile: join(dir, 'anchors.json'), clock, log });
let server: EstServer;
let port: number;
let ca: string;

beforeAll(async () => {
  const tls = await makeServerCertificate();
  ca = tls.caPem;
  server = createEstServer({
    ...{ host: '127.0.0.1', port: 0, key: tls.keyPem, cert: tls.certPem, authorities: () => [device], told, clock, log },
    enrol: () => Promise.reject(new Error('nobody enrols here')),
    subjectFor: async () => undefined,
    perAddress: createLimiter({ burst: 1_000, refillEveryMs: 1, clock }),
    observed: () => undefined,
  });
  port = (await server.listen()).port;
});
afterAll(async () => {
  await server.close();
  rmSync(dir, { recursive: true });
  ssl[Symbol.dispose]();
});

function get(path: string, method = 'GET'): Promise<{ status: number; type: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, ca, agent: false }, (answer) => {
      let body = '';
      answer.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, type: answer.headers['content-type'], body }));
    });
    asked.on('error', reject);
    asked.end();
  });
}
/** As openssl reads them. */
async function subjects(): Promise<string[]> {
  const { body } = await get('/.well-known/est/cacerts');
  const text = ssl.run(['pkcs7', '-inform', 'DER', '-print_certs', '-noout'], Buffer.from(body, 'base64')).toString();
  return [...text.matchAll(/subject=CN ?= ?(.*)/g)].map((match) => match[1] ?? '').sort();
}

it('/cacerts gives the CAs of devices alone while there are no server anchors, and there is no message', async () => {
  await told.read();
  expect(await subjects()).toEqual(['devices']);
  expect(await get('/.well-known/hedgerow/anchors')).toMatchObject({ status: 404, body: expect.stringContaining('HR-EST-036') });
});

it('then also current and next server anchors, each once', async () => {
  write('current.pem', old + device.toString());
  write('next.pem', coming);
  await told.read();
  expect(await subjects()).toEqual(['devices', 'servers 1', 'servers 2']);
});

it('files that do not read leave the last good in force, and are complained of once', async () => {
  write('next.pem', 'hello');
  await told.read();
  await told.read();
  expect(await subjects()).toEqual(['devices', 'servers 1', 'servers 2']);
  expect(log.said.filter(({ level, fields }) => level === 'warn' && String(fields.err).includes('next.pem holds'))).toHaveLength(1);
  write('next.pem', coming);
});

it('the message comes byte for byte, by GET alone', async () => {
  write('anchors.json', '{"payload":"…"}\n');
  await told.read();
  expect(await get('/.well-known/hedgerow/anchors')).toEqual({ status: 200, type: 'application/json', body: '{"payload":"…"}\n' });
  expect((await get('/.well-known/hedgerow/anchors', 'POST')).status).toBe(405);
  expect((await get('/.well-known/est/anchors')).status).toBe(404);
});
