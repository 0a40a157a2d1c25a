// Who is connected against who should be: an unknown certificate, a revoked one, or a name without an active Device is thrown out.
import { isOwnName } from '../api/names.ts';
import type { Log } from '../runtime/log.ts';
import type { Ban } from './broker.ts';
import type { BrokerMetrics } from './broker-metrics.ts';
import { CANARY } from './canary.ts';
import type { ClientRow, Emqx } from './emqx.ts';
import { inParallel } from './parallel.ts';
import { banKey } from './plan.ts';
import { WIRE_NAME } from './topic.ts';
import type { Wanted } from './wanted.ts';

export type SweepDeps = {
  emqx: Emqx;
  mode: 'owned' | 'guest';
  judge: Wanted['judge'];
  /** Remembers the certificate and gives the ban that keeps it out. */
  suspect(client: string, md5: string): Ban | undefined;
  enforceBan(key: string): Promise<void>;
  log: Log;
  metrics: BrokerMetrics;
};

const WIDTH = 8;

/** The clients that stay, as they were listed. Bans come before kicks: a client that is only kicked is back at once. */
export async function sweep(deps: SweepDeps): Promise<ClientRow[]> {
  const rows = (await deps.emqx.clients()).filter((row) => deps.mode === 'owned' || isOurs(row));
  const verdicts = rows.map((row) => ({ row, verdict: deps.judge(row.clientid, row.username) }));
  const out = verdicts.filter(({ verdict }) => verdict !== 'ok');
  if (out.length === 0) return rows;
  const bans = out.flatMap(({ row, verdict }) => {
    if (verdict === 'revoked') return [`username ${row.username}`, `clientid ${row.clientid}`];
    const ban = verdict === 'unknown' && isOurs(row) ? deps.suspect(row.clientid, row.username) : undefined;
    return ban === undefined ? [] : [banKey(ban)];
  });
  await inParallel(bans, WIDTH, deps.enforceBan);
  await deps.emqx.kickAll(out.map(({ row }) => row.clientid));
  deps.metrics.repaired('client-kicked', out.length);
  const counts = Object.groupBy(out, ({ verdict }) => verdict);
  deps.log.warn(
    { unknown: counts.unknown?.length ?? 0, revoked: counts.revoked?.length ?? 0, inactive: counts.inactive?.length ?? 0 },
    'clients that should not be connected were thrown out',
  );
  return verdicts.filter(({ verdict }) => verdict === 'ok').map(({ row }) => row);
}

/** A client with a certificate of our form: its name, and the segment that the broker took from it. */
export function isOurs(row: ClientRow): boolean {
  return WIRE_NAME.test(row.clientid) && row.segment !== undefined;
}

/** Clients of Hedgerow itself have no Device: whether they may be connected is asked as of everybody, but nothing is said of them. */
export function isDevice(row: ClientRow): boolean {
  return isOurs(row) && !isOwnName(row.clientid);
}

/** Whoever must have what the text grants and nothing else. The canary tries just that: nothing is taken from it. */
export function hasRights(row: ClientRow): boolean {
  return isOurs(row) && row.clientid !== CANARY;
}
