// The outage matrix, in virtual time: the way to the cloud is cut for nothing to three days, the power goes at every kind of moment, clocks jump, devices say tenfold.
// At a model of the cloud consumer every reading that was taken is in a trend once, or a record says that it is lost.
import { expect, it } from 'vitest';
import { accept } from '../../../cloud/consumer/accept.ts';
import type { MessageOf } from '../../../operator/api/egress.ts';
import type { GatewaySegment } from '../../../operator/api/gateway-config.ts';
import { seededRandom } from '../../../operator/runtime/random.ts';
import { createCore } from '../core/core.ts';
import type { Accepted } from '../core/event.ts';
import { createTracks } from '../replay/tracks.ts';
import type { KnownDevice } from '../site/devices.ts';
import type { Disk } from '../spool/disk.ts';
import { afterCut, type Cut, type MemoryDisk, memoryDisk } from '../spool/testing/disk.ts';
import { atOnce } from '../spool/testing/world.ts';
import { openState } from '../state/state.ts';
import { CLOUD, openEgress } from './egress.ts';
import { outgoing } from './gate.ts';

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000];
const START = Date.parse('2026-11-01T00:00:00Z');
const STEP = 10 * SECOND;
const SPOOL_BYTES = 640 * 1024;
const SEGMENT: GatewaySegment = {
  ...{ name: 'office.berlin', egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 16_384 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: MINUTE, minGroup: 2, rules: [], detect: [] },
  retentionMs: { trend: 400 * DAY, alert: 400 * DAY, security: 400 * DAY },
};
const DEVICES: KnownDevice[] = [1, 2, 3, 4, 5, 6].map((n) => ({
  ...{ name: `d-${n}.berlin`, uid: `uid-${n}`, segment: SEGMENT.name, labels: {}, lifecycle: 'Active' },
}));

type Case = { outageMs: number; cutEveryMs: number };
const CASES: [string, Case][] = [
  ['nothing', { outageMs: 0, cutEveryMs: 2 * MINUTE }],
  ['10 s', { outageMs: 10 * SECOND, cutEveryMs: 2 * MINUTE }],
  ['10 min', { outageMs: 10 * MINUTE, cutEveryMs: 2 * MINUTE }],
  ['6 h', { outageMs: 6 * HOUR, cutEveryMs: 20 * MINUTE }],
  ['72 h', { outageMs: 72 * HOUR, cutEveryMs: 3 * HOUR }],
];

it.each(CASES)('the cloud is away for %s', async (_name, { outageMs, cutEveryMs }) => {
  const random = seededRandom(outageMs + 1);
  const cloud = createCloud();
  const taken = new Map<string, number>();
  let sim = { nowMs: START, jumpMs: 0 };
  const wall = (): number => sim.nowMs + sim.jumpMs;
  let disk = memoryDisk();
  let gateway = await openGateway(disk, wall);
  let seq = 0;
  const [outageAt, endMs] = [START + 12 * MINUTE, START + 24 * MINUTE + outageMs + 12 * MINUTE];
  const isAway = (): boolean => sim.nowMs >= outageAt && sim.nowMs < outageAt + outageMs;

  async function step(messages: readonly Accepted[]): Promise<void> {
    for (const message of messages) {
      const refused = await gateway.offer(message);
      // 202: the journal had it, and only the acknowledgement was lost.
      if (refused === undefined || refused === 'HR-GW-202') taken.set(`${message.device} ${message.seq}`, message.atMs);
    }
    await gateway.tick({ kind: 'tick', nowMs: wall(), elapsedMs: sim.nowMs - START });
    if (!isAway()) await gateway.send(cloud.take, random() < 0.9);
  }

  for (let nextCut = START + cutEveryMs; sim.nowMs < endMs; sim = { ...sim, nowMs: sim.nowMs + STEP }) {
    const minute = Math.floor((sim.nowMs - START) / MINUTE);
    // A day ahead, and a day back, for two minutes each: what devices say then is refused, and is not the gateway's.
    sim.jumpMs = minute % 97 === 20 || minute % 97 === 21 ? (minute % 2 === 0 ? DAY : -DAY) : 0;
    const many = minute % 61 === 5 ? 10 : 1;
    const messages = DEVICES.filter((_, n) => Math.floor(sim.nowMs / STEP) % 3 === n % 3).flatMap(({ name }) =>
      Array.from({ length: many }, (_, at) => ({ ...messageOf(name, ++seq, sim.nowMs + at * SECOND), heardMs: wall() })),
    );
    const begun = disk.log.length;
    await step(messages);
    if (sim.nowMs >= nextCut) {
      nextCut += cutEveryMs;
      const count = begun + Math.floor(random() * (disk.log.length - begun + 1));
      const cut = ([`all written`, `unsynced lost`, { torn: 7 }, { garbage: 9 }, { chance: count }] as Cut[])[Math.floor(random() * 5)];
      disk = await copyOf(afterCut(disk.log, count, cut ?? 'all written'));
      gateway = await openGateway(disk, wall);
      // The broker was told nothing of this step.
      for (const { device, seq: of } of messages) taken.delete(`${device} ${of}`);
      await step(messages);
    }
    expect(gateway.spoolBytes()).toBeLessThanOrEqual(SPOOL_BYTES);
    // As the process does it.
    if (sim.nowMs % (4 * MINUTE) === 0) await gateway.snapshot();
    if (sim.nowMs % HOUR === 0) {
      disk = await copyOf(disk.files());
      gateway = await openGateway(disk, wall);
    }
  }
  // Nothing more is said, and all windows end.
  for (let quiet = 0; quiet < 60; quiet++, sim = { ...sim, jumpMs: 0, nowMs: sim.nowMs + STEP }) await step([]);
  while (await gateway.send(cloud.take, true));

  expect(taken.size).toBeGreaterThan(400);
  expect(cloud.refused).toEqual([]);
  expect(cloud.problems([...taken.values()])).toEqual([]);
  expect(cloud.widest()).toBeGreaterThanOrEqual(outageMs >= 72 * HOUR ? 5 * MINUTE : MINUTE);
});

const messageOf = (device: string, seq: number, atMs: number): Omit<Accepted, 'heardMs'> => ({
  ...{ kind: 'message', device, segment: SEGMENT.name, stream: 'climate', group: '', boot: 1, seq, atMs, backfill: false },
  readings: [['celsius', 20 + (seq % 13)]],
});

/** What a consumer keeps: of each key the last revision. */
function createCloud() {
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

async function openGateway(disk: MemoryDisk, wall: () => number) {
  const clock = { ...atOnce, now: wall };
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
    ...{ disk: directory(disk, 'state/'), clock: atOnce, parts: core.parts, settled: outbox.settled },
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
async function copyOf(files: ReadonlyMap<string, Buffer>): Promise<MemoryDisk> {
  const disk = memoryDisk();
  for (const [name, bytes] of files) {
    await disk.append(name, bytes);
    await disk.sync(name);
  }
  await disk.syncNames();
  return disk;
}

/** A part of the disk, as a directory of its own. */
function directory(disk: MemoryDisk, prefix: string): Disk {
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
