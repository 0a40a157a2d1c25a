// What was said of each client since the process began: a number for each kind, for clients that are devices of ours, and for no more than there are of them.
import type { FeedKind } from './feed-event.ts';

export type FeedTotals = Readonly<Record<FeedKind, number>>;
type Totals = Record<FeedKind, number>;

/** As many as the largest fleet has; whoever is beyond is not counted until one goes. */
export const MOST_CLIENTS = 200_000;
const NONE: FeedTotals = { denied: 0, connected: 0, disconnected: 0 };

export function createFeedCounts(most = MOST_CLIENTS) {
  const totals = new Map<string, Totals>();
  return {
    /** False when there is no room for another client. */
    add(client: string, kind: FeedKind): boolean {
      const known = totals.get(client);
      if (known === undefined && totals.size >= most) return false;
      const counts = known ?? { ...NONE };
      counts[kind] += 1;
      totals.set(client, counts);
      return true;
    },
    of: (client: string): FeedTotals => totals.get(client) ?? NONE,
    /** Forgets those that are no devices any more. */
    keep(isDevice: (client: string) => boolean): void {
      for (const client of totals.keys()) if (!isDevice(client)) totals.delete(client);
    },
  };
}
