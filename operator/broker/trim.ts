// Subscriptions that the rights do not cover any more: EMQX checks a subscription once, when it is made, and a session outlives everything (emqx-profile.md, 9).
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

/** Takes the uncovered subscriptions of one client away and looks again; of a client that is away the whole session goes. */
export async function trimClient(emqx: Emqx, id: string, grants: readonly string[], metrics: BrokerMetrics): Promise<void> {
  const row = await emqx.client(id);
  if (row === undefined) return;
  const excess = uncovered(await emqx.subscriptionsOf(id), grants);
  if (excess.length === 0) return;
  metrics.repaired('subscription-removed', excess.length);
  if (row.connected) {
    await emqx.unsubscribe(id, excess);
    if (uncovered(await emqx.subscriptionsOf(id), grants).length === 0) return;
  }
  await emqx.kick(id);
}

/** The same for many clients, from one list of all subscriptions. */
export async function trimAll(
  emqx: Emqx,
  rows: readonly ClientRow[],
  grants: (row: ClientRow) => readonly string[],
  metrics: BrokerMetrics,
): Promise<void> {
  if (rows.length === 0) return;
  const subscriptions = await emqx.subscriptions();
  const suspects = rows.filter((row) => uncovered(subscriptions.get(row.clientid) ?? [], grants(row)).length > 0);
  await inParallel(suspects, WIDTH, (row) => trimClient(emqx, row.clientid, grants(row), metrics));
}
