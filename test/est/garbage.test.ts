// Thousands of bodies that no device would send, over real TLS to the real handler: an answer to each, and no certificate.
import { createHash } from 'node:crypto';
import { Agent, request } from 'node:https';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { pemOfBody } from '../../operator/est/body.ts';
import { verifyCsr } from '../../operator/identity/csr.ts';
import { dictatedSubject, type Subject } from '../../operator/identity/subject.ts';
import { makeCsr } from '../../operator/identity/testing/authority.ts';
import { derOf } from '../../operator/identity/testing/openssl.ts';
import { startWorld, type World } from './world.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 30_000);
afterAll(async () => await world?.end());

const BODIES = 3_000;
/** A stream of bytes that is the same in every run. */
function* bytesOf(seed: string): Generator<number> {
  for (let n = 0; ; n++) yield* createHash('sha256').update(`${seed}/${n}`).digest();
}

it('3,000 bodies made of one good request: each is answered, none is certified, and the good one still is', async () => {
  await world.addDevice('target');
  await world.giveToken('target', 'token-of-target-0123456789');
  const good = world.makeRequest('target').body;
  const der = derOf(`-----BEGIN CERTIFICATE REQUEST-----\n${good}\n-----END CERTIFICATE REQUEST-----`);
  const random = bytesOf('garbage');
  const next = (below: number): number => ((random.next().value as number) * 256 + (random.next().value as number)) % below;
  const garbage = (): string => {
    const bytes = Buffer.from(der);
    switch (next(5)) {
      case 0:
        return bytes.subarray(0, next(bytes.length)).toString('base64');
      case 1:
        return Buffer.from(Array.from({ length: next(300) }, () => next(256))).toString('base64');
      case 2:
        return Buffer.from(Array.from({ length: next(300) }, () => next(256))).toString('latin1');
      case 3:
        return Buffer.concat([bytes, Buffer.from([next(256)])]).toString('base64');
      default: {
        // One bit: the signature of the request finds every one of them.
        const at = next(bytes.length);
        bytes[at] = (bytes[at] as number) ^ (1 << next(8));
        return bytes.toString('base64');
      }
    }
  };
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const statuses = new Map<number, number>();
  const authorization = `Basic ${Buffer.from('target.berlin:token-of-target-0123456789').toString('base64')}`;
  const post = (body: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: world.port,
          path: '/.well-known/est/simpleenroll',
          method: 'POST',
          agent,
          ca: world.ssl.file(world.tls.cert),
          headers: { 'content-type': 'application/pkcs10', 'content-length': Buffer.byteLength(body, 'latin1'), authorization },
        },
        (response) => response.resume().on('end', () => resolve(response.statusCode ?? 0)),
      );
      sent.on('error', reject).end(body, 'latin1');
    });
  for (let n = 0; n < BODIES; n += 50) {
    for (const status of await Promise.all(Array.from({ length: 50 }, () => post(garbage())))) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  }
  agent.destroy();
  expect([...statuses.keys()].filter((status) => status !== 400)).toEqual([]);
  expect(world.ledger()).toEqual([]);
  expect(world.requests('target')).toEqual([]);
  expect((await world.ask('simpleenroll', { body: good, token: ['target.berlin', 'token-of-target-0123456789'] })).status).toBe(200);
}, 120_000);

it('100,000 bodies, most of them a good request with a byte changed or an end cut off: the gates refuse each and throw at none', async () => {
  const subject = dictatedSubject({ name: 'thermo-17', namespace: 'berlin', segment: 'office' }) as Subject;
  const good = derOf(await makeCsr());
  const passes = (der: Uint8Array | string): boolean => {
    const read = pemOfBody(Buffer.from(typeof der === 'string' ? der : Buffer.from(der).toString('base64')));
    return 'pem' in read && verifyCsr(read.pem, subject).ok;
  };
  expect(passes(good)).toBe(true);
  const changed = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, bits]) => {
    const der = Buffer.from(good);
    der[at] = (der[at] as number) ^ bits;
    return der;
  });
  const cut = fc.nat(good.length - 1).map((length) => good.subarray(0, length));
  const longer = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((end) => Buffer.concat([good, end]));
  const anything = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ maxLength: 60 }), fc.base64String({ maxLength: 60 }));
  fc.assert(
    fc.property(fc.oneof(changed, cut, longer, anything), (body) => {
      expect(passes(body)).toBe(false);
    }),
    { numRuns: 100_000 },
  );
}, 240_000);
