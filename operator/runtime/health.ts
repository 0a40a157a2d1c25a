// /healthz, /readyz, /metrics: what a kubelet and Prometheus ask.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { Log } from './log.ts';

/** `undefined` when all is well, else what is wrong in a few words. */
export type Check = { name: string; failing: () => string | undefined };

export interface HealthServer {
  /** Must keep working, or the kubelet restarts the pod. */
  healthy(check: Check): void;
  /** Must hold for the pod to count as ready. */
  ready(check: Check): void;
  listen(): Promise<{ port: number }>;
  close(): Promise<void>;
}

export function createHealthServer(o: { host?: string; port: number; registry: Registry; log: Log }): HealthServer {
  const checks: { healthy: Check[]; ready: Check[] } = { healthy: [], ready: [] };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'GET only\n');
    if (path === '/healthz') return report(response, checks.healthy);
    if (path === '/readyz') return report(response, [...checks.healthy, ...checks.ready]);
    if (path === '/metrics') return send(response, 200, await o.registry.metrics(), o.registry.contentType);
    return send(response, 404, '/healthz, /readyz, /metrics\n');
  }

  const server: Server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 8192 }, (request, response) => {
    answer(request, response).catch((err: unknown) => {
      o.log.error({ err }, 'a health or metrics request failed');
      response.destroy();
    });
  });

  return {
    healthy: (check) => void checks.healthy.push(check),
    ready: (check) => void checks.ready.push(check),
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(o.port, o.host, () => resolve({ port: (server.address() as AddressInfo).port }));
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** One line a check, `+` or `-`, as Kubernetes' own servers print with ?verbose. */
function report(response: ServerResponse, checks: Check[]): void {
  const lines = checks.map((check) => {
    const wrong = check.failing();
    return { ok: wrong === undefined, text: wrong === undefined ? `[+] ${check.name} ok` : `[-] ${check.name} failed: ${wrong}` };
  });
  const ok = lines.every((line) => line.ok);
  send(response, ok ? 200 : 503, `${[...lines.map((line) => line.text), ok ? 'ok' : 'failed'].join('\n')}\n`);
}

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}

/** Longest idle limit of a watch (120 s) and the longest pause before the next one (30 s). */
const SILENT_LIMIT_MS = 150_000;
/** Twice the deadline of a reconcile: longer means that one ignores its signal, and that its key is stuck for ever. */
const STUCK_LIMIT_MS = 180_000;

type Watching = { kind: string; store: { synced: boolean }; silentMs(): number };
type Working = { name: string; queue: { longestRunningMs(): number } };

export const cacheSynced = (reflector: Watching): Check => ({
  name: `cache-${reflector.kind}`,
  failing: () => (reflector.store.synced ? undefined : 'the first complete state is not in yet'),
});

export const watchAlive = (reflector: Watching): Check => ({
  name: `watch-${reflector.kind}`,
  failing: () => (reflector.silentMs() > SILENT_LIMIT_MS ? `nothing heard for ${Math.round(reflector.silentMs() / 1000)} s` : undefined),
});

export const queueMoving = (controller: Working): Check => ({
  name: `queue-${controller.name}`,
  failing: () => {
    if (controller.queue.longestRunningMs() > STUCK_LIMIT_MS)
      return `a reconcile has run for ${Math.round(controller.queue.longestRunningMs() / 1000)} s`;
    return undefined;
  },
});
