// HTTPS to registries: redirects to https only and without the credentials of another host, no decompression, a deadline for every silence.
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import { Agent, errors, request } from 'undici';
import { Refused } from './errors.ts';

export type Head = Readonly<Record<string, string | string[] | undefined>>;
export type OriginAnswer = { status: number; headers: Head; body: Readable };

export interface OriginHttp {
  /** Any answer that is no redirect. Rejects with `Refused` HR-FW-410 or 415, or with the signal's reason. The body is the caller's to end. */
  get(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<OriginAnswer>;
  close(): Promise<void>;
}

const MOST_REDIRECTS = 5;
const CONNECT_MS = 10_000;
const SILENCE_MS = 30_000;
const CONNECTIONS = 8;

/** `caFile`: CAs in PEM that registries may have besides the public ones; read once. */
export async function createOriginHttp(caFile: string | undefined): Promise<OriginHttp> {
  const ca = caFile === undefined ? {} : { ca: [...rootCertificates, await readFile(caFile, 'utf8')] };
  const agent = new Agent({
    connections: CONNECTIONS,
    allowH2: false,
    headersTimeout: SILENCE_MS,
    bodyTimeout: SILENCE_MS,
    maxHeaderSize: 16_384,
    connect: { ...ca, timeout: CONNECT_MS },
  });

  async function once(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<OriginAnswer> {
    try {
      const { statusCode, headers: head, body } = await request(url, { dispatcher: agent, headers, signal });
      return { status: statusCode, headers: head, body };
    } catch (error) {
      signal.throwIfAborted();
      throw new Refused('HR-FW-410', `${url.host} does not answer: ${reasonOf(error)}`);
    }
  }

  return {
    async get(first, headers, signal) {
      let url = secure(first);
      let sent: Readonly<Record<string, string>> = { ...headers, 'accept-encoding': 'identity', 'user-agent': 'hedgerow-artifacts' };
      for (let hops = 0; hops <= MOST_REDIRECTS; hops++) {
        const answer = await once(url, sent, signal);
        if (![301, 302, 303, 307, 308].includes(answer.status)) return answer;
        dismiss(answer.body);
        const next = secure(String(answer.headers.location ?? ''), url);
        if (next.origin !== url.origin) sent = Object.fromEntries(Object.entries(sent).filter(([name]) => name !== 'authorization'));
        url = next;
      }
      throw new Refused('HR-FW-415', `${url.host} redirects more than ${MOST_REDIRECTS} times`);
    },
    close: () => agent.destroy(),
  };
}

function secure(text: string, base?: URL): URL {
  const url = text !== '' && URL.canParse(text, base?.href) ? new URL(text, base) : undefined;
  if (url?.protocol === 'https:' && url.username === '' && url.password === '') return url;
  throw new Refused('HR-FW-415', `${base?.host ?? 'the registry'} redirects to what is no https URL`);
}

/** Ends an answer that nobody reads, with its connection. */
export function dismiss(body: Readable): void {
  body.on('error', () => undefined);
  body.destroy();
}

/** The code of the system or of TLS: what a server writes is not repeated. */
export function reasonOf(error: unknown): string {
  if (error instanceof errors.UndiciError) return error.code;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'the connection broke';
}
