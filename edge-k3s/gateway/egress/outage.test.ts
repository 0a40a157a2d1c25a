// The outage matrix, in virtual time: the way to the cloud is cut for nothing to three days, the power goes at every kind of moment, clocks jump, devices say tenfold.
// At a model of the cloud consumer every reading that was taken is in a trend once, or a record says that it is lost.
import { expect, it } from 'vitest';
import { seededRandom } from '../../../operator/runtime/random.ts';
import type { Accepted } from '../core/event.ts';
import { afterCut, type Cut, memoryDisk } from '../spool/testing/disk.ts';
import { copyOf, createCloud, DEVICES, HOUR, MINUTE, messageOf, openGateway, SECOND, SPOOL_BYTES, START } from './testing/site.ts';

const [STEP, DAY] = [10 * SECOND, 24 * HOUR];
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
