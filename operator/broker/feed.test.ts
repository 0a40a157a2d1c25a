import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeServerCertificate, type ServerCertificate } from '../../test/harness/certificates.ts';
import { freePort } from '../../test/harness/operator-process.ts';
import { waitFor } from '../../test/harness/wait.ts';
import { systemClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { createFeed, type Feed } from './feed.ts';
import { partsOf, stands } from './feed-install.ts';
import type { Answer, Rest, RestCall } from './rest.ts';

/** EMQX's connectors, actions and rules in memory, as events.json says; a header comes back in clear, as recorded, and PEM as a file. */
class Integration implements Rest {
  readonly held = new Map<string, Record<string, unknown>>();
  readonly writes: string[] = [];
  refuses: Answer | undefined;
  async call({ method, path, body }: RestCall): Promise<Answer> {
    if (this.refuses !== undefined) return this.refuses;
    if (method !== 'GET') this.writes.push(`${method} ${path}`);
    const value = body as { type: string; name: string; ssl?: object } | undefined;
    if (method === 'POST') this.held.set(`${path}/${value?.type}:${value?.name}`, { ...value });
    else if (method === 'PUT') this.held.set(path, { ...value });
    else if (method === 'DELETE') return { status: this.held.delete(path) ? 204 : 404, body: undefined };
    const found = this.held.get(method === 'POST' ? `${path}/${value?.type}:${value?.name}` : path);
    if (found === undefined) return { status: 404, body: { code: 'NOT_FOUND', message: 'no' } };
    const ssl = found.ssl === undefined ? {} : { ssl: { ...(found.ssl as object), cacertfile: 'certs/ca', ciphers: [] } };
    return { status: method === 'POST' ? 201 : 200, body: { ...found, ...ssl, status: 'connected' } };
  }
  stop(): void {}
  async close(): Promise<void> {}
  get authorization(): string {
    const { headers } = this.held.get('/connectors/http:hedgerow-events') ?? {};
    return (headers as { authorization?: string } | undefined)?.authorization ?? '';
  }
}

let server: ServerCertificate;
let dir: string;
let stop: AbortController;
beforeAll(async () => {
  server = await makeServerCertificate();
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-feed-'));
  writeFileSync(join(dir, 'tls.crt'), server.certPem);
  writeFileSync(join(dir, 'tls.key'), server.keyPem);
  writeFileSync(join(dir, 'ca.crt'), server.caPem);
});
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(() => stop?.abort());

async function scene(): Promise<{ feed: Feed; rest: Integration; port: number; registry: Registry }> {
  const rest = new Integration();
  const registry = new Registry();
  const port = await freePort();
  stop = new AbortController();
  const options = { url: `https://localhost:${port}`, host: '127.0.0.1', port, tlsDir: dir };
  const segmentOf = (client: string) => (client.endsWith('.berlin') ? 'sensors.berlin' : undefined);
  const feed = createFeed({ ...options, rest, segmentOf, registry, clock: systemClock, log: silentLog });
  void feed.run(stop.signal);
  await waitFor('the feed to listen', () => send(port, '', { method: 'GET' }).then(() => true));
  return { feed, rest, port, registry };
}

function send(port: number, body: string, o: { method?: string; path?: string; authorization?: string } = {}): Promise<number> {
  const { method = 'POST', path = '/events', authorization } = o;
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { authorization };
    const sent = request({ host: '127.0.0.1', servername: 'localhost', port, path, method, headers, ca: server.caPem }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const DENIED = JSON.stringify({ event: 'client.check_authz_complete', clientid: 'thermo-1.berlin', result: 'deny', topic: 'x' });

describe('the rules by which EMQX tells', () => {
  it('are installed once, from the rules down and up again, and nothing is written while they stand', async () => {
    const { feed, rest } = await scene();
    await feed.enforce();
    const [first] = [rest.writes.splice(0)];
    expect(first).toEqual([
      'DELETE /rules/hedgerow-denials',
      'DELETE /rules/hedgerow-presence',
      'DELETE /actions/http:hedgerow-events',
      'DELETE /connectors/http:hedgerow-events',
      'POST /connectors',
      'POST /actions',
      'PUT /rules/hedgerow-denials',
      'PUT /rules/hedgerow-presence',
    ]);
    await feed.enforce();
    expect(rest.writes).toEqual([]);
  });

  it.each<[string, (rest: Integration) => void, number]>([
    ['a rule that is gone', (rest) => rest.held.delete('/rules/hedgerow-denials'), 1],
    ['a rule that was switched off', (rest) => void Object.assign(rest.held.get('/rules/hedgerow-presence') ?? {}, { enable: false }), 1],
    [
      'a rule that hears of less',
      (rest) => void Object.assign(rest.held.get('/rules/hedgerow-denials') ?? {}, { sql: 'SELECT * FROM "t"' }),
      1,
    ],
    [
      'a rule that tells somebody else too',
      (rest) => void Object.assign(rest.held.get('/rules/hedgerow-denials') ?? {}, { actions: ['http:hedgerow-events', 'http:x'] }),
      1,
    ],
    [
      'an action that leads elsewhere',
      (rest) => void Object.assign(rest.held.get('/actions/http:hedgerow-events') ?? {}, { connector: 'x' }),
      8,
    ],
    [
      'a connector that trusts anybody',
      (rest) => void Object.assign(rest.held.get('/connectors/http:hedgerow-events') ?? {}, { ssl: { verify: 'verify_none' } }),
      8,
    ],
    ['a broker that has lost all', (rest) => rest.held.clear(), 8],
  ])('%s is put right', async (_name, harm, writes) => {
    const { feed, rest } = await scene();
    await feed.enforce();
    const before = JSON.stringify([...rest.held].sort());
    rest.writes.length = 0;
    harm(rest);
    await feed.enforce();
    expect(rest.writes).toHaveLength(writes);
    expect(JSON.stringify([...rest.held].sort())).toBe(before);
  });

  it('what another process has left is made anew, with the token of this one', async () => {
    const [before, s] = [await scene(), await scene()];
    await before.feed.enforce();
    // All but the token, which does not tell by itself.
    const url = `https://localhost:${s.port}`;
    for (const [path, part] of before.rest.held) s.rest.held.set(path, part.url === undefined ? part : { ...part, url });
    const left = before.rest.authorization;
    await s.feed.enforce();
    expect(s.rest.writes).toHaveLength(8);
    expect(s.rest.authorization).not.toBe(left);
  });

  it('a broker that refuses them keeps nobody from anything, and a metric says so', async () => {
    const { feed, rest, registry } = await scene();
    rest.refuses = { status: 400, body: { code: 'BAD_REQUEST', message: 'no' } };
    await feed.enforce();
    expect(await registry.metrics()).toContain('fleet_broker_events_installed 0');
    rest.refuses = undefined;
    await feed.enforce();
    expect(await registry.metrics()).toContain('fleet_broker_events_installed 1');
  });

  it('every part that is wanted is looked at: one that differs does not stand', () => {
    const parts = partsOf({ url: 'https://x', authorization: 'Bearer a', caPem: 'PEM' }, '/events');
    for (const { body } of [parts.connector, parts.action, ...parts.rules]) {
      expect(stands(structuredClone(body), body)).toBe(true);
      for (const name of Object.keys(body)) expect(stands({ ...body, [name]: 'another' }, body), name).toBe(false);
    }
  });
});

describe('the feed', () => {
  it('counts what comes with the token of this process, of devices only', async () => {
    const { feed, rest, port, registry } = await scene();
    await feed.enforce();
    const { authorization } = rest;
    expect(await send(port, DENIED, { authorization })).toBe(204);
    expect(await send(port, DENIED.replace('.berlin', '.paris'), { authorization })).toBe(204);
    expect(feed.totals('thermo-1.berlin')).toEqual({ denied: 1, connected: 0, disconnected: 0 });
    expect(feed.totals('thermo-1.paris').denied).toBe(0);
    const metrics = await registry.metrics();
    expect(metrics).toContain('fleet_broker_events_total{kind="denied",segment="sensors.berlin"} 1');
    expect(metrics).not.toContain('thermo-1');
  });

  it.each([
    ['without a token', DENIED, undefined, 401],
    ['with another token', DENIED, 'Bearer x', 401],
    ['with the header of another scheme', DENIED, 'Basic YTpi', 401],
    ['no JSON', 'hello', 'token', 400],
    ['no event', '{}', 'token', 400],
    ['too large', 'x'.repeat(600_000), 'token', 413],
  ])('%s is refused and counted nowhere else', async (_name, body, authorization, status) => {
    const { feed, rest, port, registry } = await scene();
    await feed.enforce();
    const given = authorization === 'token' ? rest.authorization : authorization;
    const answer = send(port, body, given === undefined ? {} : { authorization: given });
    // Of a body that is too large the rest is not read: the answer or the reset comes first.
    expect(await answer.catch(() => 413)).toBe(status);
    await waitFor('it to be counted', async () =>
      /fleet_broker_events_refused_total[{]why="[a-z-]+"[}] 1/.test(await registry.metrics()) ? true : undefined,
    );
    expect(feed.totals('thermo-1.berlin').denied).toBe(0);
  });

  it('a device cannot hide by a long topic', async () => {
    const { feed, rest, port } = await scene();
    await feed.enforce();
    const body = JSON.stringify({ ...JSON.parse(DENIED), topic: '\u0001'.repeat(65_535) });
    expect(await send(port, body, { authorization: rest.authorization })).toBe(204);
    expect(feed.totals('thermo-1.berlin').denied).toBe(1);
  });

  it('the token is another in each process, and long enough that nobody guesses it', async () => {
    const [one, two] = [await scene(), await scene()];
    for (const { feed } of [one, two]) await feed.enforce();
    expect(one.rest.authorization).toMatch(/^Bearer [A-Za-z0-9_-]{43}$/);
    expect(one.rest.authorization).not.toBe(two.rest.authorization);
  });
});
