// Subscriptions that the rights do not cover any more: EMQX checks a subscription once, when it is made, and a session outlives everything (emqx-profile.md, 9).
import type { Clock } from '../runtime/clock.ts';
import { BASE_SUBSCRIBE } from './base-rights.ts';
import type { SegmentRights } from './broker.ts';
import type { BrokerMetrics } from './broker-metrics.ts';
import type { ClientRow, Emqx } from './emqx.ts';
import { inParallel } from './parallel.ts';
import { render, uncovered } from './topic.ts';

const WIDTH = 8;

/** Filters that a client of this segment may subscribe to; without rights only those that every device keeps. */
export function grantsOf(client: string, segment: string | undefined, rights: SegmentRights | undefined): string[] {
  return [...BASE_SUBSCRIBE, ...(rights?.subscribe ?? [])].map((right) => render(right.topic, client, segment ?? ''));
}

export type TrimDeps = { emqx: Emqx; metrics: BrokerMetrics; clock: Pick<Clock, 'sleep'> };

/** Takes the uncovered subscriptions of one client away and looks again; of a client that is away the whole session goes. */
export async function trimClient({ emqx, metrics, clock }: TrimDeps, id: string, grants: readonly string[]): Promise<void> {
  const row = await emqx.client(id);
  if (row === undefined) return;
  const excess = uncovered(await emqx.subscriptionsOf(id), grants);
  if (excess.length === 0) return;
  metrics.repaired('subscription-removed', excess.length);
  if (row.connected) {
    await emqx.unsubscribe(id, excess);
    if (uncovered(await emqx.subscriptionsOf(id), grants).length === 0 && (await isDrained())) return;
  }
  await emqx.kick(id);

  /**
   * What a session took in before is delivered all the same, and sent again at the next connection until it is acknowledged (MQTT 5 §4.4).
   * A device that is well has acknowledged within the wait; of another the session goes, with what waits in it.
   */
  async function isDrained(): Promise<boolean> {
    for (let look = 0; look < LOOKS; look++) {
      if (look > 0) await clock.sleep(LOOK_MS);
      const now = await emqx.client(id);
      if (now === undefined) return true;
      if (!now.connected) return false;
      if (now.pending === 0) return true;
    }
    return false;
  }
}

const LOOKS = 5;
const LOOK_MS = 50;

/** The same for many clients, from one list of all subscriptions. */
export async function trimAll(deps: TrimDeps, rows: readonly ClientRow[], grants: (row: ClientRow) => readonly string[]): Promise<void> {
  if (rows.length === 0) return;
  const subscriptions = await deps.emqx.subscriptions();
  const suspects = rows.filter((row) => uncovered(subscriptions.get(row.clientid) ?? [], grants(row)).length > 0);
  await inParallel(suspects, WIDTH, (row) => trimClient(deps, row.clientid, grants(row)));
}
