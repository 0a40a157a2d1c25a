// Which certificate each client uses, as far as EMQX's list of clients shows it, and whether two of one device push each other off.
// The list is read a few times a minute; a client whose certificate changed between two readings is asked about at every pulse for a minute, a few at a time.
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { DesiredBroker, Incident } from './broker.ts';
import type { ClientRow } from './emqx.ts';
import { inParallel } from './parallel.ts';

export type UsageDeps = {
  emqx: { client(id: string): Promise<ClientRow | undefined> };
  /** Whether the Device has a newer valid certificate than this one. */
  isSuperseded: NonNullable<DesiredBroker['isSuperseded']>;
  isGood(client: string, md5: string): boolean;
  /** Its certificate in use may read differently now. */
  changed(client: string): void;
  incident(incident: Incident): Promise<void>;
  clock: Clock;
  log: Log;
};

/** A copy is in use: so many takeovers within a minute (design/api.md). A renewal is one, a firmware that tries the new certificate and goes back two. */
const TAKEOVERS = 5;
const WINDOW_MS = 60_000;
/** Small questions a pulse, and how many at once. */
const MOST_ASKED = 16;
const WIDTH = 4;
const MOST_SUSPECTS = 1_000;

type Used = { md5: string; connected: boolean /** When each of its certificates was seen last. */; seen: Map<string, number> };
type Suspect = { md5: string; takeovers: { at: number; md5: string }[] };

export function createUsage(deps: UsageDeps) {
  const { clock } = deps;
  const used = new Map<string, Used>();
  const suspects = new Map<string, Suspect>();

  /** All clients with certificates of ours that may stay, as EMQX listed them. */
  function listed(rows: readonly ClientRow[]): void {
    const connected = new Map(rows.filter((row) => row.connected).map((row) => [row.clientid, row.username]));
    for (const [client, one] of used) {
      if (connected.has(client)) continue;
      one.connected = false;
      if (!deps.isGood(client, one.md5)) used.delete(client);
    }
    for (const [client, md5] of connected) saw(client, md5);
  }

  function saw(client: string, md5: string): void {
    const now = clock.elapsed();
    const before = used.get(client);
    const one = before ?? { md5, connected: true, seen: new Map<string, number>() };
    const isNews = before === undefined || !before.connected || before.md5 !== md5;
    const was = before?.md5;
    one.md5 = md5;
    one.connected = true;
    one.seen.set(md5, now);
    for (const [other, at] of one.seen) if (now - at > WINDOW_MS) one.seen.delete(other);
    used.set(client, one);
    if (was !== undefined && was !== md5) suspect(client, md5, now);
    // Of a fleet that uses what it should nobody need hear at each reconnect.
    if (was !== md5 || (isNews && deps.isSuperseded(client, md5))) deps.changed(client);
  }

  function suspect(client: string, md5: string, now: number): void {
    const known = suspects.get(client);
    if (known === undefined && suspects.size >= MOST_SUSPECTS) return;
    const takeovers = [...(known?.takeovers ?? []), { at: now, md5 }].filter(({ at }) => now - at <= WINDOW_MS);
    // Back to the end of the line: all are asked in turn.
    suspects.delete(client);
    suspects.set(client, { md5, takeovers });
  }

  async function look(): Promise<void> {
    const now = clock.elapsed();
    for (const [client, one] of suspects) if (one.takeovers.every(({ at }) => now - at > WINDOW_MS)) suspects.delete(client);
    await inParallel([...suspects.keys()].slice(0, MOST_ASKED), WIDTH, ask);
  }

  async function ask(client: string): Promise<void> {
    const row = await deps.emqx.client(client);
    const known = suspects.get(client);
    if (known === undefined) return;
    suspects.delete(client);
    suspects.set(client, known);
    if (row?.connected !== true || !deps.isGood(client, row.username)) return;
    saw(client, row.username);
    const lately = (suspects.get(client) ?? known).takeovers.filter(({ at }) => clock.elapsed() - at <= WINDOW_MS);
    if (lately.length < TAKEOVERS) return;
    const md5s = [...(used.get(client)?.seen.keys() ?? [])].filter((md5) => deps.isGood(client, md5));
    await report({ kind: 'copied', client, md5s });
    suspects.delete(client);
  }

  /** What could not be written down is seen again. */
  async function report(incident: Incident): Promise<void> {
    await deps.incident(incident).catch((error: unknown) => {
      deps.log.error(
        { err: error, client: incident.client, kind: incident.kind },
        'an incident could not be acted on; it is looked at again',
      );
    });
  }

  return {
    listed,
    look,
    /** A flapping detector has banned this client id. */
    flapping(client: string): Promise<void> {
      const lately = [...(used.get(client)?.seen ?? [])].filter(([, at]) => clock.elapsed() - at <= WINDOW_MS);
      return report({ kind: 'flapping', client, md5s: lately.map(([md5]) => md5) });
    },
    inUse(client: string): string | undefined {
      const one = used.get(client);
      return one?.connected === true ? one.md5 : undefined;
    },
  };
}
