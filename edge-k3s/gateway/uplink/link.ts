// The uplink as a part of the process: its identity is followed, and what waits in the spool goes over it.
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import type { Manager } from '../../../operator/runtime/manager.ts';
import type { Random } from '../../../operator/runtime/random.ts';
import { CLOUD, type Egress } from '../egress/egress.ts';
import { outgoing } from '../egress/gate.ts';
import type { createGatewayMetrics } from '../metrics.ts';
import type { GatewayOptions } from '../options.ts';
import { followIdentity, readIdentity } from '../site/identity.ts';
import { createUplink } from './uplink.ts';

export type Link = {
  /** When the certificate of the uplink ends. */
  endsMs(): number;
  /** Something is in the spool: an alert is not to wait until it is looked at by itself. */
  wake(): void;
};

export async function linkToCloud(
  where: NonNullable<GatewayOptions['uplink']>,
  { spool, gate, outbox }: Pick<Egress, 'spool' | 'gate' | 'outbox'>,
  counts: Pick<ReturnType<typeof createGatewayMetrics>, 'sent' | 'readUplink'>,
  { manager, clock, random, log: mine }: { manager: Manager; clock: Clock; random: Random; log: Log },
): Promise<Link> {
  const log = mine.child({ link: 'uplink' });
  let identity = await readIdentity(where);
  const uplink = createUplink({
    ...{ host: where.host, port: where.port, perSecond: where.perSecond, consumer: CLOUD, spool, clock, random, log },
    identity: () => identity,
    outgoing: (stored) => outgoing(stored, gate, clock.now()),
    lost: outbox.lost,
    counted: counts.sent,
  });
  counts.readUplink({
    isConnected: () => uplink.isConnected,
    certificateEndsMs: () => identity.notAfterMs,
    waiting: () => spool.waiting(CLOUD),
  });
  // In force with the next connection: the old certificate holds until its end.
  const renew = (next: typeof identity): void => {
    identity = next;
  };
  manager.always({ name: 'uplink identity', run: (stop) => followIdentity(where, identity, renew, { clock, log, signal: stop }) });
  manager.always({ name: 'uplink', run: (stop) => uplink.run(stop) });
  return { endsMs: () => identity.notAfterMs, wake: uplink.wake };
}
