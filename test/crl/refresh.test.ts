// Our lists in the cache of the broker stand-in, which reads them as EMQX does: PEM at a refresh, by the URL in the certificate.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { createPublisher } from '../../operator/crl/publisher.ts';
import { Revocations } from '../../operator/crl/revocations.ts';
import { createListServer } from '../../operator/crl/server.ts';
import { authorityOf, KEYS, makeCa, makeLeaf } from '../../operator/crl/testing/ca.ts';
import { OpenSsl } from '../../operator/identity/testing/openssl.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { CrlCache } from '../broker/crl.ts';

const ISSUER = 'Issuer/berlin/devices';
const WEEK_MS = 604_800_000;
const ssl = new OpenSsl();
afterAll(() => ssl[Symbol.dispose]());

describe('a list of ours in a broker', () => {
  it.each(['P-256', 'P-384', 'RSA'] as const)(
    'signed by %s lets in until the refresh after the revocation, and others from then on too',
    async (key) => {
      const revocations = new Revocations(0);
      const base = { clock: systemClock, log: silentLog };
      const publisher = createPublisher({ revocations, validityMs: WEEK_MS, ...base, published: () => undefined });
      const server = createListServer({
        host: '127.0.0.1',
        port: 0,
        list: publisher.list,
        problem: () => undefined,
        observed: () => undefined,
        ...base,
      });
      const cache = new CrlCache(() => ({ refresh_interval: '1m', http_timeout: '5s' }));
      try {
        const { port } = await server.listen();
        const url = `http://127.0.0.1:${port}/crl/berlin/devices.pem`;
        const ca = makeCa(ssl, KEYS[key]);
        const leaf = (serial: string): Buffer =>
          new X509Certificate(readFileSync(makeLeaf(ssl, ca, serial, `crlDistributionPoints=URI:${url}\n`))).raw;
        const [bad, good] = [leaf('0f17'), leaf('0f18')];
        publisher.setAuthority(ISSUER, authorityOf(ca));
        await publisher.idle();
        expect(await cache.check(bad, ca.certificatePem)).toBe('good');
        const one = {
          issuer: ISSUER,
          serial: 'f17',
          notAfterMs: Date.now() + WEEK_MS,
          revokedAtMs: Date.now(),
          reason: 'Revoked',
        } as const;
        publisher.changed(revocations.take([one], Date.now()));
        await publisher.idle();
        expect(await cache.check(bad, ca.certificatePem)).toBe('good');
        await cache.refresh(url);
        expect(await cache.check(bad, ca.certificatePem)).toBe('revoked');
        expect(await cache.check(good, ca.certificatePem)).toBe('good');
      } finally {
        cache.close();
        await server.close();
      }
    },
  );
});
