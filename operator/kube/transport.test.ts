import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { collectionPath, connect, objectPath } from './client.ts';
import { KubeError } from './errors.ts';
import { type KubeMetrics, noKubeMetrics } from './ports.ts';

const DEVICES = { group: 'hedgerow.dev', version: 'v1alpha1', plural: 'devices', kind: 'Device', namespaced: true };
const NAMESPACES = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false };

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;
const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function serving(
  answers: Answer[],
  deps: { metrics?: Partial<KubeMetrics>; token?: () => string; onDate?: (serverMs: number) => void } = {},
) {
  const requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = [];
  let sockets = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      requests.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      (answers[Math.min(requests.length, answers.length) - 1] ?? ok)(request, response, body);
    });
  }).on('connection', () => sockets++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const token = deps.token ?? (() => 't0');
  const client = connect(
    {
      server: `http://127.0.0.1:${port}`,
      namespace: 'default',
      credentials: async () => ({ authorization: `Bearer ${token()}`, tls: {} }),
    },
    {
      ...{ clock: systemClock, random: () => 0, log: silentLog, metrics: { ...noKubeMetrics, ...deps.metrics } },
      ...(deps.onDate === undefined ? {} : { onDate: deps.onDate }),
    },
  );
  cleanups.push(async () => {
    await client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { client, requests, server, sockets: () => sockets };
}

const json = (response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};
const ok: Answer = (_request, response) => json(response, 200, { metadata: { name: 'd', namespace: 'ns', resourceVersion: '9' } });
const refuse =
  (code: number, reason: string, headers: Record<string, string> = {}): Answer =>
  (_request, response) =>
    json(response, code, { kind: 'Status', code, reason, message: `${reason} it is` }, headers);

const ref = { namespace: 'ns', name: 'd' };

describe('the time of the server', () => {
  it('is told with each answer, a refusal included', async () => {
    const told: number[] = [];
    const date = { date: 'Wed, 25 Nov 2026 10:00:00 GMT' };
    const { client } = await serving([(_request, response) => json(response, 200, {}, date), refuse(403, 'Forbidden', date)], {
      onDate: (serverMs) => told.push(serverMs),
    });
    await client.get(DEVICES, ref);
    await expect(client.get(DEVICES, ref)).rejects.toMatchObject({ status: 403 });
    expect(told).toEqual([Date.parse('2026-11-25T10:00:00Z'), Date.parse('2026-11-25T10:00:00Z')]);
  });
});

describe('client', () => {
  it('gives undefined for an object that is not there, and false for deleting it', async () => {
    const { client } = await serving([refuse(404, 'NotFound')]);
    expect(await client.get(DEVICES, ref)).toBeUndefined();
    expect(await client.delete(DEVICES, ref)).toBe(false);
  });

  it('gives the server’s own message, reason and details in the error', async () => {
    const { client } = await serving([refuse(409, 'Conflict')]);
    await expect(client.update(DEVICES, { metadata: ref })).rejects.toMatchObject({
      status: 409,
      reason: 'Conflict',
      message: 'Conflict it is',
    });
  });

  it('never quotes a body that is not a Status', async () => {
    const { client } = await serving([(_request, response) => response.writeHead(502).end('<html>secret of the proxy</html>')]);
    await expect(client.get(DEVICES, ref)).rejects.toMatchObject({
      status: 502,
      message: 'GET /apis/hedgerow.dev/v1alpha1/namespaces/ns/devices/d: 502 Bad Gateway',
    });
  });

  it('waits as long as a 429 says and tries again, with the same body', async () => {
    const retried: string[] = [];
    const { client, requests } = await serving([refuse(429, 'TooManyRequests', { 'retry-after': '1' }), ok], {
      metrics: { requestRetried: (method, code) => retried.push(`${method} ${code}`) },
    });
    const startedAt = performance.now();
    await client.create(DEVICES, { metadata: ref });
    expect(performance.now() - startedAt).toBeGreaterThan(990);
    expect(requests.map((request) => request.body)).toEqual([requests[0]?.body, requests[0]?.body]);
    expect(JSON.parse(requests[0]?.body ?? '')).toEqual({ metadata: ref, apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device' });
    expect(retried).toEqual(['POST 429']);
  });

  it('gives a 500 without Retry-After back at once: the write may have been done', async () => {
    const { client, requests } = await serving([refuse(500, 'InternalError')]);
    await expect(client.create(DEVICES, { metadata: ref })).rejects.toMatchObject({ status: 500 });
    expect(requests).toHaveLength(1);
  });

  it('gives up when the server asks for more time than the deadline leaves', async () => {
    const { client, requests } = await serving([refuse(503, 'ServiceUnavailable', { 'retry-after': '120' })]);
    await expect(client.get(DEVICES, ref)).rejects.toMatchObject({ status: 503, retryAfterMs: 120_000 });
    expect(requests).toHaveLength(1);
  });

  it('reads its credentials anew after a 401, once', async () => {
    let token = 0;
    const { client, requests } = await serving([refuse(401, 'Unauthorized'), ok, refuse(401, 'Unauthorized')], {
      token: () => `t${token++}`,
    });
    await client.get(DEVICES, ref);
    expect(requests.map((request) => request.headers.authorization)).toEqual(['Bearer t0', 'Bearer t1']);
    await expect(client.get(DEVICES, ref)).rejects.toMatchObject({ status: 401 });
    expect(requests).toHaveLength(4);
  });

  it('a lost connection is tried again for GET only', async () => {
    const cut: Answer = (request) => request.socket.destroy();
    const reading = await serving([cut, ok]);
    expect(await reading.client.get(DEVICES, ref)).toBeDefined();
    const writing = await serving([cut, ok]);
    await expect(writing.client.create(DEVICES, { metadata: ref })).rejects.toMatchObject({ status: 0, reason: 'NetworkError' });
    expect(writing.requests).toHaveLength(1);
  });

  it('a server that never answers ends with the caller’s signal and its reason', async () => {
    const { client } = await serving([() => undefined]);
    await expect(client.get(DEVICES, ref, AbortSignal.timeout(50))).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('200 calls use a capped number of connections', async () => {
    const { client, sockets } = await serving([ok]);
    await Promise.all(Array.from({ length: 200 }, () => client.get(DEVICES, ref)));
    expect(sockets()).toBeLessThanOrEqual(24);
  });

  it('lists page by page, with the selectors on every page', async () => {
    const page =
      (names: string[], more: string): Answer =>
      (_request, response) =>
        json(response, 200, { metadata: { resourceVersion: '5', continue: more }, items: names.map((name) => ({ metadata: { name } })) });
    const { client, requests } = await serving([page(['a', 'b'], 'token+/='), page(['c'], '')]);
    const items = await client.list(DEVICES, { namespace: 'ns', labelSelector: 'a=b' });
    expect(items.map((item) => item.metadata.name)).toEqual(['a', 'b', 'c']);
    expect(requests.map((request) => request.url)).toEqual([
      '/apis/hedgerow.dev/v1alpha1/namespaces/ns/devices?labelSelector=a%3Db&limit=500',
      '/apis/hedgerow.dev/v1alpha1/namespaces/ns/devices?labelSelector=a%3Db&limit=500&continue=token%2B%2F%3D',
    ]);
  });

  it('sends preconditions and propagation in the body of a DELETE', async () => {
    const { client, requests } = await serving([ok]);
    expect(await client.delete(DEVICES, ref, { uid: 'u', resourceVersion: '3', propagation: 'Background' })).toBe(true);
    expect(JSON.parse(requests[0]?.body ?? '')).toMatchObject({
      preconditions: { uid: 'u', resourceVersion: '3' },
      propagationPolicy: 'Background',
    });
  });

  it('counts every request with its code', async () => {
    const seen: string[] = [];
    const { client } = await serving([ok, refuse(404, 'NotFound')], {
      metrics: { request: ({ method, code }) => seen.push(`${method} ${code}`) },
    });
    await client.get(DEVICES, ref);
    await client.get(DEVICES, ref);
    expect(seen).toEqual(['GET 200', 'GET 404']);
  });

  it('a watch hands on bytes as they come and ends with its signal', async () => {
    const { client, requests } = await serving([
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('one');
      },
    ]);
    const stop = new AbortController();
    const body = await client.watch(DEVICES, { timeoutSeconds: 60, resourceVersion: '5' }, stop.signal);
    const seen: string[] = [];
    await expect(
      (async () => {
        for await (const chunk of body) {
          seen.push(chunk.toString());
          stop.abort(new Error('enough'));
        }
      })(),
    ).rejects.toThrow('enough');
    expect(seen).toEqual(['one']);
    expect(requests[0]?.url).toBe(
      '/apis/hedgerow.dev/v1alpha1/devices?watch=true&allowWatchBookmarks=true&timeoutSeconds=60&resourceVersion=5',
    );
  });
});

describe('paths', () => {
  it('of the core group and of others, with and without a namespace', () => {
    expect(collectionPath(NAMESPACES, undefined)).toBe('/api/v1/namespaces');
    expect(collectionPath(DEVICES, undefined)).toBe('/apis/hedgerow.dev/v1alpha1/devices');
    expect(objectPath(DEVICES, ref, 'status')).toBe('/apis/hedgerow.dev/v1alpha1/namespaces/ns/devices/d/status');
    expect(objectPath(NAMESPACES, { name: 'n' })).toBe('/api/v1/namespaces/n');
  });

  it('an object without a name or a namespace is refused: its path would be that of all objects', () => {
    expect(() => objectPath(DEVICES, { namespace: 'ns', name: '' })).toThrow('needs a name');
    expect(() => objectPath(DEVICES, { name: 'd' })).toThrow('needs a namespace');
  });
});

it('a KubeError is an Error with a message that a person can read', () => {
  expect(String(new KubeError({ status: 404, reason: 'NotFound', message: 'devices "d" not found' }))).toBe(
    'KubeError: devices "d" not found',
  );
});
