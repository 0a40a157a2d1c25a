// With which certificate the clients are connected that have rules of their own: a segment move waits for the new one to be in use.
import type { ClientRow } from './emqx.ts';

export type Presence = {
  /** A list of all clients was read; of `clients` it is remembered. */
  see(rows: readonly ClientRow[], clients: { has(client: string): boolean }): void;
  /** MD5 of the certificate; undefined when it was not seen connected. */
  of(client: string): string | undefined;
};

export function createPresence(changed: (client: string) => void): Presence {
  let seen = new Map<string, string>();
  return {
    see(rows, clients) {
      const now = new Map(rows.filter((row) => row.connected && clients.has(row.clientid)).map((row) => [row.clientid, row.username]));
      const before = seen;
      seen = now;
      for (const client of new Set([...before.keys(), ...now.keys()])) if (before.get(client) !== now.get(client)) changed(client);
    },
    of: (client) => seen.get(client),
  };
}
