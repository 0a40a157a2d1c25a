// What EMQX holds about devices, for a person who asks: reads only.
import type { ConnectedClient, Emqx, HeldBan } from './emqx.ts';

export type FleetSight = {
  /** By client id; also sessions whose client is away. */
  clients: ReadonlyMap<string, ConnectedClient>;
  bans: readonly HeldBan[];
};

export async function lookAtFleet(emqx: Emqx): Promise<FleetSight> {
  const [clients, bans] = await Promise.all([emqx.clientsSince(), emqx.bans()]);
  return { clients: new Map(clients.map((client) => [client.clientid, client])), bans };
}
