import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../runtime/clock.ts';
import { createLog } from '../runtime/log.ts';
import { BrokerError, createRest, messageOf, type Rest } from './rest.ts';

const KEY = 'opkey';
const SECRET = 'q8Zs3cr3tOfThisTest';
const HEADER = `Basic ${Buffer.from(`${KEY}:${SECRET}`).toString('base64')}`;

let dir: string;
let keyFile: string;
let server: Server;
let rest: Rest;
let seen: { method: string; url: string; authorization: string; body: string; socket: number }[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-rest-'));
  keyFile = join(dir, 'key');
  writeFileSync(keyFile, `${KEY}:${SECRET}\n`);
  seen = [];
  answer = (_request, response) => json(response, 200, { ok: true });
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    seen.push({
      method: request.method ?? '',
      url: request.url ?? '',
      authorization: request.headers.authorization ?? '',
      body,
      socket: request.socket.remotePort ?? 0,
    });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  rest = createRest({
    url: `http://127.0.0.1:${port}`,
    apiKeyFile: keyFile,
    caFile: undefined,
    clock: systemClock,
    observe: () => undefined,
  });
});
afterEach(async () => {
  await rest.close();
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function failure(path = '/nodes', deadlineMs?: number): Promise<BrokerError> {
  try {
    await rest.call({ method: 'GET', path, ...(deadlineMs === undefined ? {} : { deadlineMs }) });
  } catch (error) {
    if (error instanceof BrokerError) return error;
    throw error;
  }
  throw new Error('no failure');
}

describe('a call', () => {
  it('carries the key, the body and the path below /api/v5', async () => {
    expect(await rest.call({ method: 'POST', path: '/banned', body: { who: 'x' } })).toEqual({ status: 200, body: { ok: true } });
    expect(seen[0]).toMatchObject({ method: 'POST', url: '/api/v5/banned', authorization: HEADER, body: '{"who":"x"}' });
  });

  it('uses one connection after the other again, never more than twelve', async () => {
    answer = (_request, response) => void systemClock.setTimer(5, () => json(response, 200, {}));
    await Promise.all(Array.from({ length: 60 }, () => rest.call({ method: 'GET', path: '/nodes' })));
    expect(new Set(seen.map((one) => one.socket)).size).toBeLessThanOrEqual(12);
  });

  it.each([200, 204, 400, 404, 409])('%i is a value', async (status) => {
    answer = (_request, response) => (status === 204 ? void response.writeHead(204).end() : json(response, status, { code: 'X' }));
    expect((await rest.call({ method: 'GET', path: '/x' })).status).toBe(status);
  });

  it.each([
    [401, 'HR-BRK-002'],
    [403, 'HR-BRK-003'],
    [429, 'HR-BRK-004'],
    [500, 'HR-BRK-004'],
    [503, 'HR-BRK-004'],
  ])('%i is %s', async (status, code) => {
    answer = (_request, response) => json(response, status, { code: 'INTERNAL_ERROR' });
    expect(await failure()).toMatchObject({ code, status });
  });

  it('a page of HTML instead of an error is only its status', async () => {
    answer = (_request, response) => void response.writeHead(404, { 'content-type': 'text/html' }).end('<html>404</html>');
    expect(await rest.call({ method: 'GET', path: '/x' })).toEqual({ status: 404, body: undefined });
  });
});

describe('what cannot be understood', () => {
  it('no JSON', async () => {
    answer = (_request, response) => void response.end('hello');
    expect((await failure()).code).toBe('HR-BRK-005');
  });

  it('an answer that is cut off', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"data":[');
      systemClock.setTimer(20, () => response.destroy());
    };
    expect((await failure()).status).toBe(0);
  });

  it('no answer in time', async () => {
    answer = () => undefined;
    expect((await failure('/nodes', 100)).message).toBe('GET /nodes: no answer in time');
  });

  it('a body that never ends in time', async () => {
    answer = (_request, response) => void response.writeHead(200).write('{');
    expect((await failure('/nodes', 100)).code).toBe('HR-BRK-001');
  });

  it('nobody listens', async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(await failure()).toMatchObject({ code: 'HR-BRK-001', status: 0 });
  });

  it('the process stops: calls in flight end', async () => {
    answer = () => undefined;
    const call = failure();
    systemClock.setTimer(20, () => rest.stop());
    expect((await call).status).toBe(0);
  });
});

describe('the key', () => {
  it('is read again for each call', async () => {
    await rest.call({ method: 'GET', path: '/nodes' });
    writeFileSync(keyFile, 'other:secret2');
    await rest.call({ method: 'GET', path: '/nodes' });
    expect(seen[1]?.authorization).toBe(`Basic ${Buffer.from('other:secret2').toString('base64')}`);
  });

  it('was rotated while the call was on its way: it is made once more with the new one', async () => {
    answer = (request, response) => {
      const fresh = request.headers.authorization !== HEADER;
      if (!fresh) writeFileSync(keyFile, 'other:secret2');
      json(response, fresh ? 200 : 401, {});
    };
    expect((await rest.call({ method: 'GET', path: '/nodes' })).status).toBe(200);
    expect(seen).toHaveLength(2);
  });

  it.each([
    ['is missing', undefined],
    ['is empty', ''],
    ['has no secret', 'opkey:'],
    ['has two lines', 'a:b\nc:d'],
  ])('%s: nothing is sent', async (_name, content) => {
    if (content === undefined) rmSync(keyFile);
    else writeFileSync(keyFile, content);
    expect((await failure()).code).toBe('HR-BRK-002');
    expect(seen).toEqual([]);
  });

  it('is never in an error, whatever EMQX writes into its answer (emqx.md §1.2)', async () => {
    const lines: string[] = [];
    const log = createLog({ level: 'debug', write: (line) => void lines.push(line) });
    const stack = `error, function_clause, [{emqx_authz_api_mnesia,client,[put,#{headers => #{<<"authorization">> => <<"${HEADER}">>}}]}]`;
    for (const status of [400, 401, 403, 500, 503]) {
      for (const body of [
        { code: 'INTERNAL_ERROR', message: stack },
        { code: stack, message: stack },
        { message: { nested: stack } },
        stack,
      ]) {
        answer = (_request, response) => json(response, status, body);
        try {
          const found = await rest.call({ method: 'GET', path: '/x' });
          log.error({ found: messageOf(found.body) }, 'a refusal');
        } catch (err) {
          log.error({ err }, 'a failure');
          lines.push(String(err), JSON.stringify(err, Object.getOwnPropertyNames(err)));
        }
      }
    }
    expect(lines.length).toBeGreaterThan(20);
    const text = lines.join('\n');
    for (const secret of [SECRET, HEADER, HEADER.slice('Basic '.length)]) expect(text).not.toContain(secret);
  });
});
