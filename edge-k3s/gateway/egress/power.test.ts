// The power goes at every single write of a gateway whose uplink is cut and comes back, and again while it starts; and its disk is full from every single write on.
// At a model of the cloud consumer every reading that was taken is in a trend once, or a record says that it is lost.
import { expect, it } from 'vitest';
import { seededRandom } from '../../../operator/runtime/random.ts';
import type { Accepted } from '../core/event.ts';
import { afterCut, type Cut, type MemoryDisk, memoryDisk } from '../spool/testing/disk.ts';
import { copyOf, createCloud, DEVICES, MINUTE, messageOf, openGateway, SECOND, START } from './testing/site.ts';

type Gateway = Awaited<ReturnType<typeof openGateway>>;
type Sent = { topic: string; payload: string; at: number };

const STEP = 30 * SECOND;
const STEPS = 16;
const [OUTAGE_FROM, OUTAGE_TO] = [3, 9];
/** What all devices say in each step. */
const SAID: Accepted[][] = Array.from({ length: STEPS }, (_, n) =>
  DEVICES.slice(0, 3).map(({ name }, d) => ({ ...messageOf(name, 10 * n + d, START + n * STEP), heardMs: START + n * STEP })),
);
const atImmediate = { setTimer: (_ms: number, act: () => void) => ({ cancel: () => undefined, of: setImmediate(act) }) };

const tickAt = (ms: number) => ({ kind: 'tick', nowMs: ms, elapsedMs: ms - START }) as const;

type Ears = {
  messages: readonly Accepted[] /** The broker may forget it. */;
  acknowledged(message: Accepted): void;
  cloud(topic: string, payload: string): void;
};

async function step(gateway: Gateway, n: number, { messages, acknowledged, cloud }: Ears): Promise<void> {
  for (const message of messages) {
    const refused = await gateway.offer(message);
    expect([undefined, 'HR-GW-202']).toContain(refused);
    acknowledged(message);
  }
  // A snapshot while what the tick gave out is not in the spool yet.
  await Promise.all([gateway.tick(tickAt(START + n * STEP)), ...(n % 4 === 1 ? [gateway.snapshot()] : [])]);
  if (n < OUTAGE_FROM || n >= OUTAGE_TO) await gateway.send(cloud, n % 3 !== 0);
}

/** Nothing more is said, all windows end, and all goes to the cloud. */
async function finish(gateway: Gateway, cloud: ReturnType<typeof createCloud>): Promise<void> {
  for (let ms = START + STEPS * STEP; ms < START + STEPS * STEP + 15 * MINUTE; ms += MINUTE) await gateway.tick(tickAt(ms));
  while (await gateway.send(cloud.take, true));
}

/** What a consumer has by then, and after it. */
function cloudWith(sent: readonly Sent[], until: number): ReturnType<typeof createCloud> {
  const cloud = createCloud();
  for (const { topic, payload, at } of sent) if (at <= until) cloud.take(topic, payload);
  return cloud;
}

/** One that nothing happens to, and by which operation of the disk what was acknowledged and sent. */
async function live() {
  const disk = memoryDisk();
  const gateway = await openGateway(disk, () => START);
  const [sent, begun, certain]: [Sent[], number[], Map<Accepted, number>] = [[], [], new Map()];
  const first = disk.log.length;
  for (let n = 0; n < STEPS; n++) {
    begun.push(disk.log.length);
    await step(gateway, n, {
      messages: SAID[n] ?? [],
      acknowledged: (message) => certain.set(message, disk.log.length),
      cloud: (topic, payload) => void sent.push({ topic, payload, at: disk.log.length }),
    });
  }
  return { disk, sent, begun, certain, first };
}

/** The broker brings again what was not acknowledged before the operation of this number. */
async function goesOn(disk: MemoryDisk, at: number, { sent, begun, certain }: Awaited<ReturnType<typeof live>>): Promise<void> {
  const cloud = cloudWith(sent, at);
  const gateway = await openGateway(disk, () => START);
  for (let n = begun.findLastIndex((when) => when <= at); n < STEPS; n++) {
    const messages = (SAID[n] ?? []).filter((one) => (certain.get(one) ?? 0) > at);
    await step(gateway, n, { messages, acknowledged: () => undefined, cloud: cloud.take });
  }
  await finish(gateway, cloud);
  expect(cloud.refused).toEqual([]);
  expect(cloud.problems(SAID.flat().map(({ atMs }) => atMs)), `cut at ${at}`).toEqual([]);
}

it('the power goes at any write', async () => {
  const whole = await live();
  const { disk, first } = whole;
  const cuts: Cut[] = ['unsynced lost', 'all written', { torn: 5 }, { garbage: 9 }];
  for (let at = first; at <= disk.log.length; at++)
    for (const cut of [cuts[at % 2], cuts[2 + (at % 2)], { chance: at }] as Cut[])
      await goesOn(await copyOf(afterCut(disk.log, at, cut)), at, whole);
  expect(disk.log.length).toBeGreaterThan(200);
});

it('the power goes again while the gateway starts', async () => {
  const whole = await live();
  const { disk, first } = whole;
  const random = seededRandom(12);
  let written = 0;
  for (let at = first; at <= disk.log.length; at++) {
    const second = await copyOf(afterCut(disk.log, at, { chance: at }));
    const before = second.log.length;
    await openGateway(second, () => START);
    written += second.log.length - before;
    const again = before + Math.floor(random() * (second.log.length - before + 1));
    await goesOn(await copyOf(afterCut(second.log, again, random() < 0.5 ? 'unsynced lost' : { chance: at })), at, whole);
  }
  expect(written).toBeGreaterThan(disk.log.length);
});

it('the disk is full from any write on, for three steps, and whoever starts the gateway again finds it full too', async () => {
  let isReached = true;
  let fulls = 0;
  for (let writes = 0; isReached && writes < 120; writes++) {
    isReached = false;
    const cloud = createCloud();
    let disk = await copyOf(memoryDisk().files());
    let gateway: Gateway | undefined = await openGateway(disk, () => START, atImmediate);
    let open: Accepted[] = [];
    let left = writes;
    const fullFor = (of: MemoryDisk): void => {
      of.faults.fail = (does) => {
        if (does !== 'append' || left-- > 0) return undefined;
        isReached = true;
        return Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      };
    };
    for (let n = 0; n < STEPS; n++) {
      if (n === 5) fullFor(disk);
      if (n === 8) disk.faults.fail = () => undefined;
      open.push(...(SAID[n] ?? []));
      try {
        gateway ??= await openGateway(disk, () => START, atImmediate);
        const told = new Set<Accepted>();
        for (const message of open) {
          const refused = await gateway.offer(message);
          if (refused === undefined || refused === 'HR-GW-202') told.add(message);
        }
        open = open.filter((one) => !told.has(one));
        await gateway.tick(tickAt(START + n * STEP));
        await gateway.send(cloud.take, true);
      } catch (error) {
        expect(String(error)).toMatch(/HR-GW-10[12]|ENOSPC/);
        fulls += 1;
        // The process ends: what it still tries goes nowhere.
        const dead = disk;
        disk = await copyOf(dead.files());
        dead.faults.fail = () => Object.assign(new Error('gone'), { code: 'EIO' });
        gateway = undefined;
        if (n < 8) fullFor(disk);
      }
    }
    gateway ??= await openGateway(disk, () => START, atImmediate);
    for (const message of open) await gateway.offer(message);
    await finish(gateway, cloud);
    expect(cloud.refused).toEqual([]);
    expect(cloud.problems(SAID.flat().map(({ atMs }) => atMs)), `full from write ${writes} on`).toEqual([]);
  }
  expect(fulls).toBeGreaterThan(20);
});

it('what devices kept for days comes while the cloud is away, and the power goes before the next snapshot', async () => {
  const [minutes, together] = [14 * 60, 200];
  const later = START + minutes * MINUTE;
  const [a = '', b = ''] = DEVICES.map(({ name }) => name);
  /** Of both devices, of each minute; the first was heard live. */
  const kept = Array.from({ length: minutes }, (_, n) => n).flatMap((n) =>
    [a, b].map((name, d) => ({
      ...{ ...messageOf(name, 10 * n + d + 1, START + n * MINUTE), backfill: n > 0, heardMs: n > 0 ? later : START },
    })),
  );
  for (const cutAt of [7, 8]) {
    let disk = memoryDisk();
    let gateway = await openGateway(disk, () => later);
    let nowMs = later;
    const passed = async (ms: number): Promise<void> => {
      nowMs += ms;
      await gateway.tick(tickAt(nowMs));
    };
    await gateway.snapshot();
    for (let n = 0; n * together < kept.length; n++) {
      const refused = await Promise.all(kept.slice(n * together, (n + 1) * together).map((message) => gateway.offer(message)));
      expect(new Set(refused)).toEqual(new Set([undefined]));
      await passed(31 * SECOND);
      if (n !== cutAt) continue;
      disk = await copyOf(afterCut(disk.log, disk.log.length, 'all written'));
      gateway = await openGateway(disk, () => later);
      await gateway.snapshot();
    }
    const cloud = createCloud();
    for (let more = 0; more < 15; more++) await passed(MINUTE);
    while (await gateway.send(cloud.take, true));
    expect(cloud.refused).toEqual([]);
    expect(cloud.problems(kept.map(({ atMs }) => atMs)), `cut at ${cutAt}`).toEqual([]);
    expect(cloud.widest()).toBeGreaterThan(MINUTE);
  }
});
