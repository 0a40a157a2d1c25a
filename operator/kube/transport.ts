// HTTP to one API server: two capped keep-alive pools (calls, watches), deadlines, bounded retries, fresh credentials.
import { Agent, request } from 'undici';
import { errorFromAnswer, errorFromNetwork, timeoutError } from './answer.ts';
import type { Credentials, KubeConnection, TlsMaterial } from './config.ts';
import { KubeError } from './errors.ts';
import type { Clock, KubeMetrics, Log, Random } from './ports.ts';
import { retryDelayMs } from './retry.ts';

export type TransportDeps = {
  clock: Clock;
  random: Random;
  log: Log;
  metrics: KubeMetrics;
  userAgent?: string;
  /** Told the server's time with each answer, ms since the epoch, cut off at seconds (RFC 9110 §6.6.1); NaN where it does not say. */
  onDate?: (serverMs: number) => void;
};

export type Call = {
  method: string;
  /** With the query. */
  path: string;
  body?: unknown;
  contentType?: string;
  accept?: string;
  /** For the whole call with its retries. */
  deadlineMs?: number;
  signal?: AbortSignal | undefined;
};

export interface Transport {
  /** The parsed JSON answer; text when it is not JSON; `undefined` when empty. */
  call(call: Call): Promise<unknown>;
  /** The bytes of the answer as they come. The deadline is for the first byte of the head only; the signal ends it at any time. */
  stream(call: Call): Promise<AsyncIterable<Buffer>>;
  close(): Promise<void>;
}

/** 100-wide uncapped: 2,000 calls in 4.0 s; capped at 16: 1.6 s (measured). 24 keeps two cores busy and stays far below the server's in-flight limit of 400. */
const CALL_CONNECTIONS = 24;
/** A watch holds its connection; a process has one a kind. */
const WATCH_CONNECTIONS = 64;
/** Below the API server's own 90 s, so that we close first and never write into a closing socket. */
const KEEP_ALIVE_MS = 60_000;
const CONNECT_TIMEOUT_MS = 10_000;
const DEADLINE_MS = 30_000;
const CREDENTIALS_FRESH_MS = 30_000;
const ERROR_BODY_LIMIT = 64 * 1024;

type Pools = { tls: TlsMaterial; calls: Agent; watches: Agent };

export function createTransport(connection: KubeConnection, deps: TransportDeps): Transport {
  const session = createSession(connection, deps);
  const host = new URL(connection.server).host;

  async function once(
    call: Call,
    kind: 'calls' | 'watches',
    signal: AbortSignal,
  ): Promise<{ status: number; type: string; body: AsyncIterable<Buffer> & { text(): Promise<string> } }> {
    const { credentials, pools } = await session.current();
    const startedAt = deps.clock.elapsed();
    const observe = (code: string): void =>
      deps.metrics.request({ method: call.method, code, host, seconds: (deps.clock.elapsed() - startedAt) / 1000 });
    try {
      const answer = await request(connection.server + call.path, {
        method: call.method as 'GET',
        dispatcher: pools[kind],
        headers: headersOf(call, credentials, deps.userAgent),
        body: call.body === undefined ? null : JSON.stringify(call.body),
        signal,
      });
      observe(String(answer.statusCode));
      deps.onDate?.(Date.parse(String(answer.headers.date)));
      if (answer.statusCode >= 400) throw await refused(call, answer);
      return { status: answer.statusCode, type: String(answer.headers['content-type'] ?? ''), body: answer.body };
    } catch (error) {
      if (error instanceof KubeError) throw error;
      if (signal.aborted) throw signal.reason;
      observe('<error>');
      throw errorFromNetwork(error, `${call.method} ${call.path}`);
    }
  }

  /** Tries again where `retryDelayMs` says so, as long as the deadline leaves room, and once after a 401 with credentials read anew. */
  async function persist<T>(call: Call, deadlineAt: number, attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    let renewed = false;
    for (let tries = 1; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        if (error.status === 401 && !renewed) {
          renewed = true;
          session.forget();
          continue;
        }
        const delayMs = retryDelayMs(error, call.method, tries, deps.random);
        if (delayMs === undefined || deps.clock.elapsed() + delayMs >= deadlineAt) throw error;
        deps.metrics.requestRetried(call.method, String(error.status));
        await deps.clock.sleep(delayMs, signal);
      }
    }
  }

  return {
    async call(call) {
      const deadlineMs = call.deadlineMs ?? DEADLINE_MS;
      using scope = withDeadline(deps.clock, call, deadlineMs);
      const attempt = async (): Promise<unknown> => {
        const answer = await once(call, 'calls', scope.signal);
        try {
          const text = await answer.body.text();
          return text === '' ? undefined : answer.type.includes('json') ? JSON.parse(text) : text;
        } catch (error) {
          throw scope.signal.aborted ? scope.signal.reason : errorFromNetwork(error, `${call.method} ${call.path}`);
        }
      };
      return await persist(call, deps.clock.elapsed() + deadlineMs, attempt, scope.signal);
    },
    async stream(call) {
      const deadlineMs = call.deadlineMs ?? DEADLINE_MS;
      const scope = withDeadline(deps.clock, call, deadlineMs);
      try {
        // No retries here but for credentials: the reflector has its own back-off for whatever a watch meets.
        const answer = await persist(call, 0, () => once(call, 'watches', scope.signal), scope.signal);
        scope.noDeadline();
        return answer.body;
      } catch (error) {
        scope[Symbol.dispose]();
        throw error;
      }
    },
    close: () => session.close(),
  };
}

type Scope = Disposable & { signal: AbortSignal; noDeadline(): void };

/** One signal for the caller's abort and the deadline. */
function withDeadline(clock: Clock, call: Call, deadlineMs: number): Scope {
  const controller = new AbortController();
  const stop = (): void => controller.abort(call.signal?.reason);
  if (call.signal?.aborted) stop();
  call.signal?.addEventListener('abort', stop, { once: true });
  const timer = clock.setTimer(deadlineMs, () => controller.abort(timeoutError(`${call.method} ${call.path}`, deadlineMs)));
  return {
    signal: controller.signal,
    noDeadline: () => timer.cancel(),
    [Symbol.dispose]: () => {
      timer.cancel();
      call.signal?.removeEventListener('abort', stop);
    },
  };
}

function headersOf(call: Call, credentials: Credentials, userAgent = 'hedgerow'): Record<string, string> {
  const headers: Record<string, string> = { accept: call.accept ?? 'application/json', 'user-agent': userAgent };
  if (credentials.authorization !== undefined) headers.authorization = credentials.authorization;
  if (call.body !== undefined) headers['content-type'] = call.contentType ?? 'application/json';
  return headers;
}

type Refusal = { statusCode: number; headers: Record<string, string | string[] | undefined>; body: AsyncIterable<Buffer> };

async function refused(call: Call, answer: Refusal): Promise<KubeError> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer.body) {
    size += chunk.length;
    if (size > ERROR_BODY_LIMIT) break;
    chunks.push(chunk);
  }
  const retryAfter = answer.headers['retry-after'];
  return errorFromAnswer(
    answer.statusCode,
    Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
    Buffer.concat(chunks).toString('utf8'),
    `${call.method} ${call.path}`,
  );
}

/** Credentials kept for half a minute, and the pools that belong to their certificates. A rotated certificate gets new pools; the old ones finish what runs. */
function createSession(connection: KubeConnection, deps: TransportDeps) {
  let pools: Pools | undefined;
  let known: { credentials: Promise<Credentials>; at: number } | undefined;

  function credentials(): Promise<Credentials> {
    if (known === undefined || deps.clock.elapsed() - known.at > CREDENTIALS_FRESH_MS) {
      const fresh = { credentials: connection.credentials(), at: deps.clock.elapsed() };
      fresh.credentials.catch(() => {
        if (known === fresh) known = undefined;
      });
      known = fresh;
    }
    return known.credentials;
  }

  function poolsFor(tls: TlsMaterial): Pools {
    if (pools !== undefined && sameTls(pools.tls, tls)) return pools;
    closeLater(pools, deps.log);
    pools = { tls, calls: agent(tls, CALL_CONNECTIONS), watches: agent(tls, WATCH_CONNECTIONS) };
    return pools;
  }

  return {
    async current(): Promise<{ credentials: Credentials; pools: Pools }> {
      const now = await credentials();
      return { credentials: now, pools: poolsFor(now.tls) };
    },
    forget(): void {
      known = undefined;
    },
    async close(): Promise<void> {
      const last = pools;
      pools = undefined;
      await Promise.all([last?.calls.destroy(), last?.watches.destroy()]);
    },
  };
}

const TLS_FIELDS = ['ca', 'cert', 'key', 'servername', 'rejectUnauthorized'] as const;
const sameTls = (a: TlsMaterial, b: TlsMaterial): boolean => TLS_FIELDS.every((field) => a[field] === b[field]);

/** `close` lets requests in flight end; `destroy` would cut them. */
function closeLater(old: Pools | undefined, log: Log): void {
  if (old === undefined) return;
  Promise.all([old.calls.close(), old.watches.close()]).catch((err: unknown) => log.warn({ err }, 'closing old connections failed'));
}

/** HTTP/1.1 on purpose: one HTTP/2 connection is no faster than 16 capped ones and its memory grows under watches (typescript-operator.md §2.1). */
function agent(tls: TlsMaterial, connections: number): Agent {
  return new Agent({
    connections,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { ...tls, timeout: CONNECT_TIMEOUT_MS, keepAlive: true },
  });
}
