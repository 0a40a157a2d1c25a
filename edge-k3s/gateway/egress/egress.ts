// What stands between the state and the spool, put together: stations that make trends and alerts, the gate, and who is erased.
import { createHash } from 'node:crypto';
import type { GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Random } from '../../../operator/runtime/random.ts';
import { type Alerts, createAlerts } from '../alerts/alerts.ts';
import type { Core } from '../core/core.ts';
import { CORRECTION_MS, createGroups, type Groups, LATENESS_MS } from '../groups/groups.ts';
import type { Devices } from '../site/devices.ts';
import type { Disk } from '../spool/disk.ts';
import { nameOf, openSpool, type Spool } from '../spool/spool.ts';
import type { State } from '../state/state.ts';
import type { Gate } from './gate.ts';
import { createOutbox, type Outbox, type OutboxOptions } from './outbox.ts';
import { openResidents, type Residents } from './residents.ts';
import { trendCoarsening } from './trend.ts';

export type EgressOptions = {
  site: string;
  disks: { spool: Disk; residents: Disk };
  spoolMaxBytes: number;
  devices: Devices;
  policy(segment: string): GatewaySegment | undefined;
  pseudonym(): string;
  count: OutboxOptions['count'];
  clock: Clock;
  random: Random;
};

export type Egress = {
  /** To be among the stations of the core. */
  readonly groups: Groups;
  readonly alerts: Alerts;
  readonly spool: Spool;
  readonly outbox: Outbox;
  readonly gate: Gate;
  readonly residents: Residents;
  /** What is left of a device is in these beside the spool: before that nobody is erased. */
  attach(of: { core: Pick<Core, 'forget'>; state: Pick<State, 'snapshot'> }): void;
  close(): Promise<void>;
};

/** The journal is begun anew long before it gives out so many. */
const MOST_RECENT = 50_000;

/** The consumer of the spool: the uplink. */
export const CLOUD = 'cloud';

export async function openEgress(o: EgressOptions): Promise<Egress> {
  const { site, clock, random } = o;
  const coarsening = trendCoarsening(LATENESS_MS + CORRECTION_MS);
  const kept = { disk: o.disks.spool, maxBytes: o.spoolMaxBytes, consumers: [CLOUD], coarsening, isGivenAgain: true };
  const spool = await openSpool({ ...kept, clock, random });
  let of: Parameters<Egress['attach']>[0] | undefined;
  const residents: Residents = await openResidents({
    ...{ disk: o.disks.residents, devices: o.devices, pseudonym: o.pseudonym, clock },
    isNamed: ({ segment }) => o.policy(segment)?.pseudonyms === false,
    async erase(device) {
      if (of === undefined) throw new Error('nobody is erased before the state is there');
      of.core.forget(device);
      await of.state.snapshot();
      return await spool.erase(device);
    },
    async erased(device, { uid, records, atMs }) {
      const body = { type: 'Erased', device, records } as const;
      // Another Device of this name is another one to be erased.
      const id = `${device}/${createHash('sha256').update(uid).digest('hex').slice(0, 16)}`;
      outbox.put({ segment: '', device: '', id, subject: 'erased', rev: 0, fromMs: atMs, toMs: atMs, body });
      await outbox.settled();
    },
  });
  const gate: Gate = { site, segment: o.policy, refOf: residents.refOf };
  /** Until the journal was applied: a trend that is written again could be merged into a wider one twice, or though the cloud has it. */
  let before: Set<string> | undefined = await spool.recent(MOST_RECENT);
  const outbox: Outbox = createOutbox({ gate, spool, clock, count: o.count, wasThere: (entry) => before?.has(nameOf(entry)) });
  const groups = createGroups(outbox.put);
  const alerts = createAlerts(outbox.put, groups.nameOf);
  return {
    ...{ groups, alerts, spool, outbox, gate, residents, close: spool.close },
    attach(parts) {
      of = parts;
      before = undefined;
    },
  };
}
