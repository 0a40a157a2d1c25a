// The rules of one client made as they should be, and what it still has from before taken away.
import type { Clock } from '../runtime/clock.ts';
import type { BrokerMetrics } from './broker-metrics.ts';
import type { Emqx } from './emqx.ts';
import { type Knowledge, modeOf } from './knowledge.ts';
import { createKeyLock } from './parallel.ts';
import { isOurs, isQuarantine, normalised, sameRecord, subscribable, type WantedRecord } from './record.ts';
import { BrokerError } from './rest.ts';
import { WIRE_NAME } from './topic.ts';
import { trimClient } from './trim.ts';

export type RecordsDeps = {
  emqx: Emqx;
  knowledge: Knowledge;
  wanted(client: string): WantedRecord | undefined;
  /** What the client may subscribe to by its segment alone. */
  grants(client: string, segment: string | undefined): string[];
  /** The segment in which the device is by its manifest. */
  segmentOf(client: string): string | undefined;
  clock: Clock;
  changed(client: string): void;
  metrics: BrokerMetrics;
};

export type RecordStep = 'none' | 'write' | 'remove';

export function createRecords(deps: RecordsDeps) {
  const { emqx, knowledge, metrics, clock } = deps;
  const locked = createKeyLock();

  function stepOf(client: string): RecordStep {
    const wanted = deps.wanted(client);
    const held = knowledge.records.get(client);
    if (wanted !== undefined) return sameRecord(held, wanted.rules) ? 'none' : 'write';
    if (held === undefined || !WIRE_NAME.test(client)) return 'none';
    // Where the broker is ours, a record of somebody else under a device's name only widens; where we are guests it is reported and left alone.
    return isOurs(client, held) || modeOf(knowledge) === 'owned' ? 'remove' : 'none';
  }

  function enforce(client: string): Promise<void> {
    return locked(client, async () => {
      const step = stepOf(client);
      const wanted = deps.wanted(client);
      if (step === 'write' && wanted !== undefined) await write(client, wanted);
      else if (step === 'remove') await remove(client);
      else return;
      metrics.repaired(step === 'write' ? 'override-written' : 'override-removed');
      deps.changed(client);
    });
  }

  /** Record, read back, cache, subscriptions: only then does it count (emqx-profile.md, 5). A write does not touch what a connection has cached. */
  async function write(client: string, wanted: WantedRecord): Promise<void> {
    const wasQuarantined = isQuarantine(client, knowledge.records.get(client));
    await emqx.putRecord(client, wanted.rules);
    if (!sameRecord(await emqx.record(client), wanted.rules))
      throw new BrokerError('HR-BRK-005', 200, 'EMQX does not give back the rules of a client as they were written');
    await emqx.clearCache(client);
    // Into quarantine: nothing of the session stays. Out of it: what was taken away or refused does not come back by itself.
    if (wasQuarantined || wanted.kind === 'quarantine') await emqx.kick(client);
    else await trimClient({ emqx, metrics, clock }, client, subscribable(wanted.rules));
    knowledge.records.set(client, normalised(wanted.rules));
  }

  async function remove(client: string): Promise<void> {
    const wasQuarantined = isQuarantine(client, knowledge.records.get(client));
    await endSessionOfOtherSegment(client);
    await emqx.deleteRecord(client);
    await emqx.clearCache(client);
    // A subscription that quarantine took away or refused does not come back by itself: the device makes them anew when it connects again.
    if (wasQuarantined) await emqx.kick(client);
    else {
      const row = await emqx.client(client);
      if (row !== undefined) await trimClient({ emqx, metrics, clock }, client, deps.grants(client, row.segment));
    }
    knowledge.records.delete(client);
  }

  /** Its certificate is banned or expired and cannot come back, but the connection or the session that it made is still there. */
  async function endSessionOfOtherSegment(client: string): Promise<void> {
    const segment = deps.segmentOf(client);
    const row = segment === undefined ? undefined : await emqx.client(client);
    if (row !== undefined && row.segment !== segment) await emqx.kick(client);
  }

  return {
    enforce,
    due(wanted: Iterable<string>): { tighten: string[]; loosen: string[] } {
      return {
        tighten: [...wanted].filter((client) => stepOf(client) === 'write'),
        loosen: [...knowledge.records.keys()].filter((client) => stepOf(client) === 'remove'),
      };
    },
    stepOf,
  };
}
