// Keeps the log of who is in touch, and its memory in a few ConfigMaps of the operator's namespace: a handful of writes in ten minutes, whatever the fleet does.
import { Gauge } from 'prom-client';
import { CONFIG_MAPS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { type Sight, type Touch, TouchLog, type Watched } from './touch.ts';
import { memoryOf, PAGES, type PageData, pagesOf } from './touch-pages.ts';

export type TouchWatchDeps = {
  client: Pick<KubeClient, 'get' | 'apply'>;
  /** The operator's own. */
  namespace: string;
  clock: Clock;
  log: Log;
  metrics: Metrics;
};

export interface TouchWatch {
  /** One look at the broker; gives those whose status has to say something else now. Does nothing before the memory was read. */
  look(clients: ReadonlyMap<string, Sight>, watched: Iterable<Watched>): string[];
  touch(device: string): Touch;
  /** ISO 8601. */
  lastSeen(device: string): string | undefined;
  run(signal: AbortSignal): Promise<void>;
}

type Page = KubeObject & { data?: PageData };

/** test/scenarios/out-of-touch.test.ts and the chart's Role name them. */
export const pageName = (at: number): string => `hedgerow-out-of-touch-${at}`;

const FIRST_WRITE_MS = 60_000;
const WRITE_EVERY_MS = 600_000;
const READ_AGAIN_MS = 5_000;

export function createTouchWatch({ client, namespace, clock, log, metrics }: TouchWatchDeps): TouchWatch {
  const startedAt = clock.now() - clock.elapsed();
  /** Steady: it does not jump when the wall clock does. */
  const now = (): number => startedAt + clock.elapsed();
  let touches: TouchLog | undefined;
  new Gauge({
    name: 'fleet_devices_out_of_touch',
    help: 'Devices that were not at the broker for longer than their offlineBudget',
    registers: [metrics.registry],
    collect() {
      this.set(touches?.out() ?? 0);
    },
  });
  let written: (PageData | undefined)[] = [];

  async function read(signal: AbortSignal): Promise<void> {
    const names = Array.from({ length: PAGES }, (_, at) => pageName(at));
    const pages = await Promise.all(names.map((name) => client.get<Page>(CONFIG_MAPS, { namespace, name }, signal)));
    written = pages.map((page) => page?.data);
    touches = new TouchLog(memoryOf(written, now()));
  }

  /** Only pages that changed. While nobody is away, and nobody was, there is nothing to remember. */
  async function write(signal: AbortSignal): Promise<void> {
    const memory = touches?.memory();
    if (memory === undefined || (memory.away.size === 0 && written.every((page) => !page?.away))) return;
    for (const [at, data] of pagesOf(memory).entries()) {
      if (data.away === (written[at]?.away ?? '') && data.watchedUntil === written[at]?.watchedUntil) continue;
      const metadata = { name: pageName(at), namespace };
      const page: Page = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
      await client.apply<Page>(CONFIG_MAPS, page, { fieldManager: 'hedgerow' }, signal);
      written[at] = data;
    }
  }

  /** Until it works, and then once. */
  async function insist(what: string, work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        return await work(signal);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ err: error }, `cannot ${what} who is out of touch; it is tried again`);
        await clock.sleep(READ_AGAIN_MS, signal).catch(() => undefined);
      }
    }
  }

  return {
    look: (clients, watched) => touches?.look(now(), clients, watched) ?? [],
    touch: (device) => touches?.touch(device) ?? 'unknown',
    lastSeen(device) {
      const at = touches?.lastSeenMs(device);
      return at === undefined ? undefined : new Date(at).toISOString();
    },
    async run(signal) {
      await insist('read', read, signal);
      await clock.sleep(FIRST_WRITE_MS, signal).catch(() => undefined);
      while (!signal.aborted) {
        await insist('remember', write, signal);
        await clock.sleep(WRITE_EVERY_MS, signal).catch(() => undefined);
      }
    },
  };
}
