// EMQX tells of denials, connects and disconnects as they happen. What it tells is a hint: it may be lost, and nobody loses a right because it was. It is counted, and looked at when the broker is.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { untilAborted } from '../runtime/until-aborted.ts';
import { explain } from './errors.ts';
import { createFeedCounts, type FeedTotals } from './feed-counts.ts';
import { createFeedInstall } from './feed-install.ts';
import { createFeedServer, FEED_PATH, type FeedServer } from './feed-server.ts';
import { BrokerError, type Rest } from './rest.ts';

export type FeedOptions = {
  /** Where EMQX reaches this process, https://…, without a slash at the end. */
  url: string;
  host: string;
  port: number;
  /** A folder with tls.crt and tls.key of the server and ca.crt, by which EMQX knows it. */
  tlsDir: string;
};

export type FeedDeps = FeedOptions & {
  rest: Rest;
  /** `<segment>.<namespace>` of a client that is a Device. */
  segmentOf(client: string): string | undefined;
  registry: Registry;
  clock: Clock;
  log: Log;
};

export interface Feed {
  /** Installs or repairs what sends the events. Never throws: rights do not depend on it. */
  enforce(): Promise<void>;
  /** Listens until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  totals(client: string): FeedTotals;
}

const LISTEN_AGAIN_MS = 10_000;

type Material = { key: string; cert: string; caPem: string };

export function createFeed(deps: FeedDeps): Feed {
  const { log } = deps;
  const counts = createFeedCounts();
  const install = createFeedInstall(deps.rest);
  const measured = feedMetrics(deps.registry);
  /** Of this process alone, and nowhere but in its memory and in the connector: the next process makes its own. */
  const authorization = `Bearer ${randomBytes(32).toString('base64url')}`;
  let material: Material | undefined;
  let server: FeedServer | undefined;
  let problem: string | undefined;

  async function read(): Promise<Material> {
    const [key, cert, caPem] = await Promise.all(['tls.key', 'tls.crt', 'ca.crt'].map((name) => readFile(join(deps.tlsDir, name), 'utf8')));
    return { key: key ?? '', cert: cert ?? '', caPem: caPem ?? '' };
  }

  /** A certificate that was renewed is served from now on. */
  async function refresh(): Promise<Material> {
    const now = await read();
    if (material !== undefined && (now.key !== material.key || now.cert !== material.cert)) server?.setCertificate(now.key, now.cert);
    material = now;
    return now;
  }

  function found(now: string | undefined): void {
    measured.installed.set(now === undefined ? 1 : 0);
    if (now !== undefined && now !== problem) log.warn({ found: now }, 'events of the broker cannot be had; what is polled goes on');
    problem = now;
  }

  async function listen(): Promise<FeedServer> {
    const { key, cert } = await refresh();
    const next = createFeedServer(
      {
        ...{ host: deps.host, port: deps.port, authorization, clock: deps.clock },
        onEvent({ kind, client }) {
          const segment = deps.segmentOf(client);
          if (segment === undefined) measured.refused.inc({ why: 'stranger' });
          else if (counts.add(client, kind)) measured.events.inc({ kind, segment });
        },
        refused: (why) => measured.refused.inc({ why }),
      },
      { key, cert },
    );
    await next.listen();
    return next;
  }

  return {
    async enforce() {
      counts.keep((client) => deps.segmentOf(client) !== undefined);
      try {
        const { caPem } = await refresh();
        const changed = await install.enforce({ url: deps.url, authorization, caPem }, FEED_PATH);
        if (changed > 0) log.info({ changed }, 'what sends the events of the broker was put right');
        found(undefined);
      } catch (error) {
        found(explain('HR-BRK-040', error instanceof BrokerError ? error.message : 'its certificate cannot be read'));
      }
    },
    async run(signal) {
      while (!signal.aborted) {
        try {
          server = await listen();
          break;
        } catch (error) {
          found(explain('HR-BRK-040', `the feed cannot listen: ${codeOfError(error)}`));
          await deps.clock.sleep(LISTEN_AGAIN_MS, signal).catch(() => undefined);
        }
      }
      await untilAborted(signal);
      await server?.close();
    },
    totals: counts.of,
  };
}

/** Never the text: it may quote a file. */
function codeOfError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'its certificate or key is none';
}

function feedMetrics(registry: Registry) {
  const registers = [registry];
  return {
    events: new Counter({
      name: 'fleet_broker_events_total',
      help: 'Events that EMQX sent about devices: denied, connected, disconnected. Hints: some may be missing',
      labelNames: ['kind', 'segment'],
      registers,
    }),
    refused: new Counter({
      name: 'fleet_broker_events_refused_total',
      help: 'Requests to the feed of events that were not counted, by why: unauthorized, malformed, too-large, too-fast, stranger',
      labelNames: ['why'],
      registers,
    }),
    installed: new Gauge({
      name: 'fleet_broker_events_installed',
      help: 'Whether EMQX was seen with the rules that send its events (1), or they cannot be had (0)',
      registers,
    }),
  };
}
