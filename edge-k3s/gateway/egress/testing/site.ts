// A gateway from accepted messages to the spool, on a disk in memory, and a model of the consumer in the cloud.
import { accept } from '../../../../cloud/consumer/accept.ts';
import type { MessageOf } from '../../../../operator/api/egress.ts';
import type { GatewaySegment } from '../../../../operator/api/gateway-config.ts';
import type { Clock } from '../../../../operator/runtime/clock.ts';
import { createCore } from '../../core/core.ts';
import type { Accepted } from '../../core/event.ts';
import { createTracks } from '../../replay/tracks.ts';
import type { KnownDevice } from '../../site/devices.ts';
import type { Disk } from '../../spool/disk.ts';
import { type MemoryDisk, memoryDisk } from '../../spool/testing/disk.ts';
import { atOnce } from '../../spool/testing/world.ts';
import { openState } from '../../state/state.ts';
import { CLOUD, openEgress } from '../egress.ts';
import { outgoing } from '../gate.ts';

export const [SECOND, MINUTE, HOUR] = [1_000, 60_000, 3_600_000];
const DAY = 24 * HOUR;
export const START = Date.parse('2026-11-01T00:00:00Z');
export const SPOOL_BYTES = 640 * 1024;
const SEGMENT: GatewaySegment = {
  ...{ name: 'office.berlin', egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 16_384 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: MINUTE, minGroup: 2, rules: [], detect: [] },
  retentionMs: { trend: 400 * DAY, alert: 400 * DAY, security: 400 * DAY },
};
export const DEVICES: KnownDevice[] = [1, 2, 3, 4, 5, 6].map((n) => ({
  ...{ name: `d-${n}.berlin`, uid: `uid-${n}`, segment: SEGMENT.name, labels: {}, lifecycle: 'Active' },
}));

export const messageOf = (device: string, seq: number, atMs: number): Omit<Accepted, 'heardMs'> => ({
  ...{ kind: 'message', device, segment: SEGMENT.name, stream: 'climate', group: '', boot: 1, seq, atMs, backfill: false },
  readings: [['celsius', 20 + (seq % 13)]],
});

/** What a consumer keeps: of each key the last revision. */
export function createCloud() {
  const rows = new Map<string, { rev: number; body: string }>();
  const refused: string[] = [];
  const all = <T extends 'Trend' | 'DataLoss'>(type: T): MessageOf<T>[] =>
    [...rows.values()].map(({ body }) => JSON.parse(body) as MessageOf<T>).filter((one) => one.type === type);
  return {
    refused,
    take(topic: string, payload: string): void {
      const read = accept(topic, Buffer.from(payload));
      if (!read.ok) refused.push(read.found);
      else if ((rows.get(read.row.key)?.rev ?? -1) < read.row.rev) rows.set(read.row.key, read.row);
    },
    widest: (): number => Math.max(...all('Trend').map(({ fromMs, toMs }) => toMs - fromMs)),
    /** Windows that overlap or have another number of readings than were taken, and readings that are nowhere. */
    problems(taken: readonly number[]): string[] {
      const trends = all('Trend').sort((a, b) => a.fromMs - b.fromMs);
      const losses = all('DataLoss').filter((one) => one.class === 'trend');
      const isLost = (ms: number): boolean => losses.some(({ fromMs, toMs }) => fromMs <= ms && ms <= toMs);
      const left = [...taken].sort((a, b) => a - b);
      const found: string[] = [];
      for (const [at, { fromMs, toMs, count }] of trends.entries()) {
        if ((trends[at - 1]?.toMs ?? 0) > fromMs) found.push(`two windows at ${fromMs}`);
        const nowhere = left
          .splice(
            0,
            left.findIndex((ms) => ms >= fromMs),
          )
          .filter((ms) => !isLost(ms));
        if (nowhere.length > 0) found.push(`${nowhere.length} readings before ${fromMs} are missing silently`);
        const end = left.findIndex((ms) => ms >= toMs);
        const own = left.splice(0, end < 0 ? left.length : end).length;
        if (own !== count) found.push(`the window at ${fromMs} has ${count} readings, ${own} were taken`);
      }
      const rest = left.filter((ms) => !isLost(ms));
      return rest.length === 0 ? found : [...found, `${rest.length} readings at the end are missing silently`];
    },
  };
}

export async function openGateway(disk: MemoryDisk, wall: () => number, timers: Pick<Clock, 'setTimer'> = atOnce) {
  const clock = { ...atOnce, setTimer: timers.setTimer, now: wall };
  let names = 0;
  const egress = await openEgress({
    ...{ site: 'berlin', spoolMaxBytes: SPOOL_BYTES, clock, count: () => undefined, random: () => 0.5 },
    disks: { spool: directory(disk, 'spool/'), residents: directory(disk, 'residents/') },
    devices: { isSynced: () => true, get: (name) => DEVICES.find((one) => one.name === name), all: () => DEVICES },
    policy: (name) => (name === SEGMENT.name ? SEGMENT : undefined),
    pseudonym: () => String(++names).padStart(32, 'b'),
  });
  const { groups, outbox, residents, spool, gate } = egress;
  const core = createCore({
    tracks: createTracks({ maxDevices: 100 }),
    stations: [groups],
    config: { version: 1, site: 'berlin', segments: [SEGMENT] },
  });
  const state = await openState({
    ...{ disk: directory(disk, 'state/'), clock, parts: core.parts, settled: outbox.settled },
    apply: (event) => void core.offer(event),
  });
  egress.attach({ core, state });
  await residents.follow();
  return {
    async offer(event: Accepted) {
      const refused = core.offer(event);
      if (refused === undefined) await state.append(event);
      return refused;
    },
    async tick(event: Parameters<typeof core.offer>[0]): Promise<void> {
      core.offer(event);
      await state.append(event);
      await outbox.settled();
      if (spool.isPressed()) await state.snapshot();
    },
    /** `isAcked`: whether the cloud's answer comes back. Gives whether there was something. */
    async send(take: (topic: string, payload: string) => void, isAcked: boolean): Promise<boolean> {
      const records = await spool.take(CLOUD, 50);
      for (const one of records) {
        const message = outgoing(one, gate, wall());
        if (typeof message === 'string') throw new Error(message);
        take(message.topic, message.payload);
      }
      if (isAcked) spool.acknowledge(CLOUD, records);
      else spool.giveBack(CLOUD);
      return records.length > 0;
    },
    snapshot: state.snapshot,
    spoolBytes: () => [...disk.files()].filter(([name]) => name.startsWith('spool/')).reduce((sum, [, bytes]) => sum + bytes.length, 0),
  };
}

/** A disk whose log is of a whole life again. */
export async function copyOf(files: ReadonlyMap<string, Buffer>): Promise<MemoryDisk> {
  const disk = memoryDisk();
  for (const [name, bytes] of files) {
    await disk.append(name, bytes);
    await disk.sync(name);
  }
  await disk.syncNames();
  return disk;
}

/** A part of the disk, as a directory of its own. */
export function directory(disk: MemoryDisk, prefix: string): Disk {
  const own = (name: string): string => prefix + name;
  return {
    list: async () =>
      (await disk.list())
        .filter(({ name }) => name.startsWith(prefix))
        .map(({ name, bytes }) => ({ name: name.slice(prefix.length), bytes })),
    read: (name) => disk.read(own(name)),
    append: (name, bytes) => disk.append(own(name), bytes),
    truncate: (name, length) => disk.truncate(own(name), length),
    sync: (name) => disk.sync(own(name)),
    rename: (from, to) => disk.rename(own(from), own(to)),
    remove: (name) => disk.remove(own(name)),
    syncNames: disk.syncNames,
    release: disk.release,
  };
}
