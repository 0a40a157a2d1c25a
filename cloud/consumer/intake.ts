// Between connection and store: what has come is written together, and acknowledged when it is on disk. While one batch is written the next one comes in.
import type { Clock } from '../../operator/runtime/clock.ts';
import type { Log } from '../../operator/runtime/log.ts';
import type { Delivery } from '../../operator/runtime/mqtt-subscriber.ts';
import { accept } from './accept.ts';
import type { ConsumerCode } from './errors.ts';
import type { Batch, Row, Store } from './store.ts';

/** Messages under way to the consumer at once: what one commit takes. */
export const MOST_UNDER_WAY = 1_000;

export type IntakeMetrics = {
  taken(type: string): void;
  again(count: number): void;
  refused(code: ConsumerCode, count: number): void;
  wrote(seconds: number): void;
};

export type Intake = {
  take(delivery: Delivery): void;
  /** Whether so much waits that nothing more should be read. */
  isFull(): boolean;
  /** Writes as long as something waits. Rejects, when the store does, with all of that batch unacknowledged. */
  drain(): Promise<void>;
  /** What came by a connection that is over comes again by the next one. */
  drop(): void;
};

type Deps = { store: Pick<Store, 'write'>; clock: Pick<Clock, 'now' | 'elapsed'>; log: Log; metrics: IntakeMetrics };

/** Sites that are named in the table of refusals; the broker says who may be one, so that this is reached by nobody but a broker without rules. */
const MOST_SITES = 1_000;

export function createIntake({ store, clock, log, metrics }: Deps): Intake {
  let waiting: Delivery[] = [];
  const sites = new Set<string>();

  function batchOf(deliveries: readonly Delivery[]): Batch {
    const rows: Row[] = [];
    const erased: { site: string; device: string; beforeMs: number }[] = [];
    const refused = new Map<string, { site: string; code: ConsumerCode; count: number }>();
    for (const { topic, payload } of deliveries) {
      const read = accept(topic, payload);
      if (read.ok) {
        rows.push(read.row);
        if (read.erased !== undefined) erased.push({ site: read.row.site, ...read.erased });
        continue;
      }
      const site = named(read.site);
      const known = refused.get(`${site} ${read.code}`);
      if (known === undefined) refused.set(`${site} ${read.code}`, { site, code: read.code, count: 1 });
      else known.count += 1;
      log.debug({ code: read.code, found: read.found, topic }, 'a message was refused');
    }
    return { rows, erased, refused: [...refused.values()], nowMs: clock.now() };
  }

  function named(site: string): string {
    if (sites.size < MOST_SITES) sites.add(site);
    return sites.has(site) ? site : '';
  }

  return {
    take: (delivery) => void waiting.push(delivery),
    isFull: () => waiting.length >= 2 * MOST_UNDER_WAY,
    drop() {
      waiting = [];
    },
    async drain() {
      while (waiting.length > 0) {
        const deliveries = waiting;
        waiting = [];
        const batch = batchOf(deliveries);
        const startedAt = clock.elapsed();
        const { taken, stale } = await store.write(batch);
        metrics.wrote((clock.elapsed() - startedAt) / 1000);
        for (const { acknowledge } of deliveries) acknowledge();
        for (const { type } of batch.rows) metrics.taken(type);
        metrics.again(batch.rows.length - taken - stale);
        if (stale > 0) metrics.refused('HR-CC-105', stale);
        for (const { code, count } of batch.refused) metrics.refused(code as ConsumerCode, count);
      }
    },
  };
}
