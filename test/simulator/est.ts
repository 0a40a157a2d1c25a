// A device that speaks EST (RFC 7030): one request a connection, and what RFC 7030 §4.2.3 says of 202: come again with the same request.
import { request as httpsRequest } from 'node:https';

export type EstServerAddress = { port: number; caPem: string };
/** What the device shows: its factory certificate, or the one it has. PEM. */
export type Shows = { key: string; cert: string };
export type EstAnswer = { status: number; body: string; retryAfterSeconds: number | undefined };
export type EstCall = {
  path: 'simpleenroll' | 'simplereenroll' | 'cacerts' | 'csrattrs';
  as?: Shows /** base64 of a PKCS#10 request */;
  body?: string;
};

const PATIENCE_MS = 30_000;

export function askEst(server: EstServerAddress, { path, as, body }: EstCall): Promise<EstAnswer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/pkcs10', 'content-length': Buffer.byteLength(body) };
    const where = { host: '127.0.0.1', port: server.port, path: `/.well-known/est/${path}`, method: body === undefined ? 'GET' : 'POST' };
    const request = httpsRequest({ ...where, headers, agent: false, ca: server.caPem, timeout: PATIENCE_MS, ...as }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const retry = Number(response.headers['retry-after']);
        const retryAfterSeconds = Number.isInteger(retry) ? retry : undefined;
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString(), retryAfterSeconds });
      });
    });
    request.on('timeout', () => request.destroy(new Error('the EST server does not answer')));
    request.on('error', reject).end(body);
  });
}

const TEMPORARY = new Set([202, 429, 503]);
const NO_SERVER_PAUSE_MS = 300;

/** Asks until there is an answer that is final: of a server that is gone, of another one each time. */
export async function persist(
  servers: readonly EstServerAddress[],
  call: EstCall,
  options: { deadlineMs: number; longestPauseMs?: number },
): Promise<EstAnswer> {
  const end = Date.now() + options.deadlineMs;
  for (let tries = 0; ; tries += 1) {
    const server = servers[tries % servers.length];
    if (server === undefined) throw new Error('no EST server was named');
    const answer = await askEst(server, call).catch((error: unknown) => error as Error);
    if (!(answer instanceof Error) && !TEMPORARY.has(answer.status)) return answer;
    if (Date.now() > end) throw answer instanceof Error ? answer : new Error(`still ${answer.status}: ${answer.body}`);
    const told = answer instanceof Error ? NO_SERVER_PAUSE_MS : (answer.retryAfterSeconds ?? 1) * 1_000;
    await new Promise((resolve) => setTimeout(resolve, Math.min(told, options.longestPauseMs ?? told)));
  }
}
