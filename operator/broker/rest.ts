// HTTP to EMQX's REST API: one capped keep-alive pool, a deadline for every call, the key read anew for each attempt.
// What EMQX writes into an answer of 500 is never kept: it holds the caller's whole Authorization header (emqx.md §1.2).
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import type { Clock } from '../runtime/clock.ts';
import { redactText } from '../runtime/log.ts';
import type { BrokerCode } from './errors.ts';

export type Answer = { status: number; body: unknown };

export type RestCall = { method: 'GET' | 'PUT' | 'POST' | 'DELETE'; path: string; body?: unknown; deadlineMs?: number };

export interface Rest {
  /** Any answer below 500 but 401, 403 and 429 is a value; the others, and no answer, throw a `BrokerError`. `path` begins behind `/api/v5`. */
  call(call: RestCall): Promise<Answer>;
  /** Ends what is in flight: the process stops. */
  stop(): void;
  close(): Promise<void>;
}

export class BrokerError extends Error {
  readonly code: BrokerCode;
  /** 0 when there was no answer. */
  readonly status: number;
  constructor(code: BrokerCode, status: number, message: string) {
    super(message);
    this.name = 'BrokerError';
    this.code = code;
    this.status = status;
  }
}

/** What was to be done for one identity failed; the broker itself answers. */
export class OneFailed extends BrokerError {
  constructor(cause: BrokerError) {
    super(cause.code, cause.status, cause.message);
    this.name = 'OneFailed';
  }
}

export type RestDeps = {
  url: string;
  apiKeyFile: string;
  caFile: string | undefined;
  clock: Clock;
  /** `code` is the status, or `<error>`. */
  observe(sample: { method: string; code: string; seconds: number }): void;
};

/** 8 writes in flight are what EMQX does fastest (emqx.md §8); the rest is for reads and the pulse beside them. */
const CONNECTIONS = 12;
const KEEP_ALIVE_MS = 30_000;
const CONNECT_TIMEOUT_MS = 3000;
const DEADLINE_MS = 10_000;
/** 10,000 rows of clients with the fields we ask for are 2 MB; the largest text EMQX bears is under 1 MB. */
const BODY_LIMIT = 32 * 1024 * 1024;

export function createRest(deps: RestDeps): Rest {
  const pool = createPool(deps.caFile);
  const stopping = new AbortController();

  async function attempt(call: RestCall, key: string): Promise<Answer> {
    const startedAt = deps.clock.elapsed();
    const observe = (code: string): void => deps.observe({ method: call.method, code, seconds: (deps.clock.elapsed() - startedAt) / 1000 });
    using deadline = withDeadline(deps.clock, call.deadlineMs ?? DEADLINE_MS, stopping.signal);
    try {
      const answer = await request(`${deps.url}/api/v5${call.path}`, {
        method: call.method,
        dispatcher: await pool.agent(),
        headers: {
          accept: 'application/json',
          authorization: `Basic ${Buffer.from(key, 'utf8').toString('base64')}`,
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: call.body === undefined ? null : JSON.stringify(call.body),
        signal: deadline.signal,
      });
      observe(String(answer.statusCode));
      return { status: answer.statusCode, body: parse(await readText(answer.body), answer.statusCode, call) };
    } catch (error) {
      if (error instanceof BrokerError) throw error;
      observe('<error>');
      pool.suspect();
      throw new BrokerError('HR-BRK-001', 0, `${nameOf(call)}: ${deadline.missed ? 'no answer in time' : networkText(error)}`);
    }
  }

  return {
    async call(call) {
      const key = await readKey(deps.apiKeyFile);
      const first = await attempt(call, key);
      if (first.status !== 401) return judged(first, call);
      // The key may have been rotated between our reading and EMQX's.
      const again = await readKey(deps.apiKeyFile);
      return judged(again === key ? first : await attempt(call, again), call);
    },
    stop: () => stopping.abort(new Error('the process stops')),
    close: () => pool.close(),
  };
}

function judged(answer: Answer, call: RestCall): Answer {
  const { status } = answer;
  if (status === 401) throw new BrokerError('HR-BRK-002', status, `${nameOf(call)}: 401`);
  if (status === 403) throw new BrokerError('HR-BRK-003', status, `${nameOf(call)}: 403`);
  if (status === 429 || status >= 500)
    throw new BrokerError('HR-BRK-004', status, `${nameOf(call)}: ${status} ${codeOf(answer.body)}`.trimEnd());
  return answer;
}

/** EMQX's own word for what went wrong, for example `ALREADY_EXISTS`; never its text. */
export function codeOf(body: unknown): string {
  const code = typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined;
  return typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code) ? code : '';
}

/** EMQX's text of an answer of 400, shortened and without anything that looks like a credential. */
export function messageOf(body: unknown): string {
  const message = typeof body === 'object' && body !== null && 'message' in body ? body.message : undefined;
  const text = typeof message === 'string' ? message : message === undefined ? '' : JSON.stringify(message);
  return redactText(text.replaceAll(/\s+/g, ' ').slice(0, 300));
}

async function readKey(file: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(file, 'utf8')).trim();
  } catch {
    throw new BrokerError('HR-BRK-002', 0, 'the file of the API key cannot be read');
  }
  if (!/^[^:\s]+:\S+$/.test(text)) throw new BrokerError('HR-BRK-002', 0, 'the file of the API key does not hold one line <key>:<secret>');
  return text;
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new BrokerError('HR-BRK-005', 0, 'an answer is larger than 32 MB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** An error may come without a body, or as HTML from something in between: its status says enough. */
function parse(text: string, status: number, call: RestCall): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    if (status >= 400) return undefined;
    throw new BrokerError('HR-BRK-005', status, `${nameOf(call)}: the answer is no JSON`);
  }
}

/** Without the query. */
function nameOf(call: RestCall): string {
  return `${call.method} ${call.path.replace(/[?].*$/, '')}`;
}

function networkText(error: unknown): string {
  let lowest: unknown = error;
  while (lowest instanceof Error && lowest.cause instanceof Error) lowest = lowest.cause;
  const code = lowest instanceof Error && 'code' in lowest && typeof lowest.code === 'string' ? lowest.code : '';
  const text = lowest instanceof AggregateError ? lowest.errors.map(String).join('; ') : lowest instanceof Error ? lowest.message : '';
  return redactText(`${code} ${text}`.trim().slice(0, 200)) || 'the connection failed';
}

function withDeadline(
  clock: Clock,
  deadlineMs: number,
  parent: AbortSignal,
): Disposable & { signal: AbortSignal; readonly missed: boolean } {
  const controller = new AbortController();
  let missed = false;
  const stop = (): void => controller.abort(parent.reason);
  if (parent.aborted) stop();
  parent.addEventListener('abort', stop, { once: true });
  const timer = clock.setTimer(deadlineMs, () => {
    missed = true;
    controller.abort(new Error('deadline'));
  });
  return {
    signal: controller.signal,
    get missed() {
      return missed;
    },
    [Symbol.dispose]: () => {
      timer.cancel();
      parent.removeEventListener('abort', stop);
    },
  };
}

/** The CA file is read once, and again after a failure: its Secret may have been renewed. */
function createPool(caFile: string | undefined) {
  let current: { ca: string | undefined; agent: Agent } | undefined;
  let suspected = false;

  async function agent(): Promise<Agent> {
    if (current !== undefined && !suspected) return current.agent;
    const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
    suspected = false;
    if (current !== undefined && current.ca === ca) return current.agent;
    const old = current?.agent;
    current = {
      ca,
      agent: new Agent({
        connections: CONNECTIONS,
        pipelining: 1,
        allowH2: false,
        keepAliveTimeout: KEEP_ALIVE_MS,
        keepAliveMaxTimeout: KEEP_ALIVE_MS,
        headersTimeout: 0,
        bodyTimeout: 0,
        connect: { ...(ca === undefined ? {} : { ca }), timeout: CONNECT_TIMEOUT_MS },
      }),
    };
    old?.close().catch(() => undefined);
    return current.agent;
  }

  return {
    agent,
    suspect(): void {
      suspected = true;
    },
    async close(): Promise<void> {
      await current?.agent.destroy();
      current = undefined;
    },
  };
}
