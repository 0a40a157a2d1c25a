// What a broker and a cache between are told.
import { request } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock, systemClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import type { PublishedList } from './publisher.ts';
import { type Answer, answerTo, createListServer } from './server.ts';

const NOW = Date.parse('2026-01-01T00:00:00.700Z');
const published = (more: Partial<PublishedList> = {}): PublishedList => ({
  der: Buffer.from([0x30, 0x03, 0x02, 0x01, 0x01]),
  pem: Buffer.from('-----BEGIN X509 CRL-----\n'),
  hash: 'ab'.repeat(32),
  number: 1,
  issuedAtMs: NOW,
  nextUpdateMs: NOW + 604_800_000,
  entries: 0,
  datable: true,
  ...more,
});

function ask(
  url: string,
  options: { method?: string; headers?: Record<string, string>; list?: PublishedList; clock?: FakeClock } = {},
): Answer {
  const { method = 'GET', headers = {}, list = published() } = options;
  return answerTo(
    { method, url, headers },
    {
      list: (issuer) => (['Issuer/berlin/devices', 'ClusterIssuer//fleet'].includes(issuer) ? list : undefined),
      problem: (issuer) =>
        issuer === 'Issuer/berlin/broken' ? { code: 'HR-CRL-012' } : issuer.endsWith('devices') ? { code: 'HR-CRL-023' } : undefined,
      clock: options.clock ?? new FakeClock(NOW),
    },
  );
}

describe('a list', () => {
  it.each([
    ['/crl/berlin/devices.crl', 'application/pkix-crl', published().der],
    ['/crl/berlin/devices.pem', 'application/x-pem-file', published().pem],
    ['/crl/fleet.pem?x=1', 'application/x-pem-file', published().pem],
  ])('%s is given as %s', (url, type, body) => {
    expect(ask(url)).toEqual({
      status: 200,
      headers: {
        'content-type': type,
        etag: expect.stringMatching(/^"(ab){16}\.(crl|pem)"$/),
        'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
        'cache-control': 'public, max-age=30',
      },
      body,
    });
  });

  it.each([
    ['the same tag', { 'if-none-match': '"abababababababababababababababab.pem"' }, 304],
    ['the same tag among others, weak', { 'if-none-match': '"x", W/"abababababababababababababababab.pem"' }, 304],
    ['any tag', { 'if-none-match': '*' }, 304],
    ['another tag, whatever the date', { 'if-none-match': '"x"', 'if-modified-since': 'Thu, 01 Jan 2026 00:00:00 GMT' }, 200],
    ['the tag of the other form', { 'if-none-match': '"abababababababababababababababab.crl"' }, 200],
    ['its date', { 'if-modified-since': 'Thu, 01 Jan 2026 00:00:00 GMT' }, 304],
    ['an earlier date', { 'if-modified-since': 'Wed, 31 Dec 2025 23:59:59 GMT' }, 200],
    ['no date', { 'if-modified-since': 'yesterday' }, 200],
  ])('asked for with %s', (_what, headers, status) => {
    const answer = ask('/crl/berlin/devices.pem', { headers: headers as Record<string, string> });
    expect(answer.status).toBe(status);
    expect(answer.body === undefined).toBe(status === 304);
    expect(answer.headers).toHaveProperty('etag');
  });

  it('that is the second of its second has no date, so that nobody takes it for the first', () => {
    const list = published({ datable: false });
    expect(ask('/crl/berlin/devices.pem', { list }).headers).not.toHaveProperty('last-modified');
    const headers = { 'if-modified-since': 'Thu, 01 Jan 2026 00:00:00 GMT' };
    expect(ask('/crl/berlin/devices.pem', { list, headers }).status).toBe(200);
  });

  it('is never kept by a cache beyond its nextUpdate, and not given after it', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1_000_000, max: 1_000_000 }), (leftMs) => {
        const answer = ask('/crl/berlin/devices.pem', { list: published({ nextUpdateMs: NOW + leftMs }) });
        const gone = { status: 503, headers: { 'cache-control': 'no-store', 'retry-after': 10 } };
        const age = /max-age=(\d+)$/.exec(String(answer.headers['cache-control']))?.[1];
        if (leftMs <= 0) expect(answer).toMatchObject(gone);
        else expect(Number(age) * 1000).toBeLessThan(leftMs);
      }),
    );
  });
});

describe('what there is no list of', () => {
  it.each([
    ['GET', '/crl/berlin/broken.pem', 503, /^HR-CRL-012 CaKeyMismatch: .*Cure: /],
    ['GET', '/crl/berlin/unknown.pem', 404, /^HR-CRL-030/],
    ['GET', '/crl/berlin/devices.txt', 404, /^HR-CRL-030/],
    ['GET', '/', 404, /^HR-CRL-030/],
    ['POST', '/crl/berlin/devices.pem', 405, /^HR-CRL-030/],
  ])('%s %s: %i', (method, url, status, words) => {
    const answer = ask(url, { method });
    expect(answer.status).toBe(status);
    expect(String(answer.body)).toMatch(words);
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  it('is never found by another way of writing a path', () => {
    const parts = fc.array(fc.constantFrom('/', '..', '.', '%2e', '//', 'crl', 'berlin', 'devices', '.pem', '.crl', '\\', '?', '#', '\0'), {
      maxLength: 9,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          parts.map((all) => all.join('')),
          fc.string(),
        ),
        (url) => {
          const answer = ask(url);
          const [path = ''] = url.split('?', 1);
          if (answer.status === 200) expect(['/crl/berlin/devices.pem', '/crl/berlin/devices.crl']).toContain(path);
          else expect([404, 405]).toContain(answer.status);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('over the wire', () => {
  it('HEAD gives the head of GET, 304 no body, a broken request a closed connection', async () => {
    const statuses: number[] = [];
    const list = published({ issuedAtMs: Date.now(), nextUpdateMs: Date.now() + 604_800_000 });
    const server = createListServer({
      host: '127.0.0.1',
      port: 0,
      list: () => list,
      problem: () => undefined,
      observed: (status) => void statuses.push(status),
      clock: systemClock,
      log: silentLog,
    });
    const { port } = await server.listen();
    try {
      const url = `http://127.0.0.1:${port}/crl/berlin/devices.crl`;
      const [get, head] = [await fetch(url), await fetch(url, { method: 'HEAD' })];
      expect(Buffer.from(await get.arrayBuffer())).toEqual(list.der);
      for (const name of ['etag', 'content-type', 'content-length', 'last-modified', 'cache-control'])
        expect(head.headers.get(name)).toBe(get.headers.get(name));
      expect(await head.text()).toBe('');
      const again = await new Promise<{ status: number | undefined; length: string | undefined }>((resolve, reject) => {
        request(url, { headers: { 'if-none-match': get.headers.get('etag') ?? '' } }, (answer) => {
          answer.resume();
          resolve({ status: answer.statusCode, length: answer.headers['content-length'] });
        })
          .on('error', reject)
          .end();
      });
      expect(again).toEqual({ status: 304, length: undefined });
      expect(statuses).toEqual([200, 200, 304]);
    } finally {
      await server.close();
    }
  });
});
