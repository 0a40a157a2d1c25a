// A device that is deleted is in no file of the gateway any more: whatever it had said, and wherever the power goes while it is erased.
import { describe, expect, it } from 'vitest';
import type { MessageOf } from '../../../operator/api/egress.ts';
import type { GatewaySegment } from '../../../operator/api/gateway-config.ts';
import { createCore } from '../core/core.ts';
import { createDetectors } from '../core/detectors.ts';
import type { Event } from '../core/event.ts';
import { createLatest } from '../latest/latest.ts';
import { createTracks } from '../replay/tracks.ts';
import type { KnownDevice } from '../site/devices.ts';
import type { Stored } from '../spool/record.ts';
import { afterCut, type Cut, type MemoryDisk, memoryDisk } from '../spool/testing/disk.ts';
import { atOnce } from '../spool/testing/world.ts';
import { openState } from '../state/state.ts';
import { CLOUD, openEgress } from './egress.ts';
import { outgoing } from './gate.ts';
import { directory } from './testing/site.ts';

const NOW = 1_790_000_000_000;
const SEGMENT: GatewaySegment = {
  ...{ name: 'office.berlin', egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 16_384 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: 60_000, minGroup: 2, rules: [] },
  detect: [{ stream: 'climate', field: 'celsius', range: { max: 85 }, peers: true }],
  retentionMs: { trend: 1, alert: 1, security: 1 },
};
const VICTIM = 'canary-victim.berlin';
const TOKEN = 'canary';
const device = (name: string, uid = `uid-of-${name}`): KnownDevice => ({
  name,
  uid,
  segment: SEGMENT.name,
  labels: {},
  lifecycle: 'Active',
});
const OTHERS = [1, 2, 3].map((n) => device(`thermo-${n}.berlin`));

async function gateway(disk: MemoryDisk, known: KnownDevice[]) {
  let pseudonyms = 0;
  const clock = { ...atOnce, now: () => NOW };
  const egress = await openEgress({
    site: 'berlin',
    disks: { spool: directory(disk, 'spool/'), residents: directory(disk, 'residents/') },
    spoolMaxBytes: 1024 ** 2,
    devices: { isSynced: () => true, get: (name) => known.find((one) => one.name === name), all: () => known },
    policy: (name) => (name === SEGMENT.name ? SEGMENT : undefined),
    pseudonym: () => {
      pseudonyms += 1;
      return String(pseudonyms).padStart(32, 'b');
    },
    count: () => undefined,
    clock,
    random: () => 0.5,
  });
  const { groups, alerts, outbox, residents, spool, gate } = egress;
  const detectors = createDetectors(({ alert: { kind, atMs }, ...of }) => alerts.found({ ...of, kind, atMs }));
  const core = createCore({
    tracks: createTracks({ maxDevices: 100 }),
    stations: [groups, detectors, alerts, createLatest(1_000)],
    config: { version: 1, site: 'berlin', segments: [SEGMENT] },
  });
  const state = await openState({
    ...{ disk: directory(disk, 'state/'), clock: atOnce, parts: core.parts, settled: outbox.settled },
    apply: (event) => void core.offer(event),
  });
  egress.attach({ core, state });
  return {
    ...{ disk, known, residents },
    async event(event: Event) {
      core.offer(event);
      await state.append(event);
    },
    snapshot: state.snapshot,
    settled: outbox.settled,
    /** What the cloud gets. */
    async drain(): Promise<string[]> {
      const sent: Stored[] = [];
      for (let taken = await spool.take(CLOUD, 100); taken.length > 0; taken = await spool.take(CLOUD, 100)) {
        spool.acknowledge(CLOUD, taken);
        sent.push(...taken);
      }
      return sent.map((one) => {
        const message = outgoing(one, gate, NOW);
        if (typeof message === 'string') throw new Error(message);
        return message.payload;
      });
    },
  };
}

type Gateway = Awaited<ReturnType<typeof gateway>>;

/** Before `snapshot` and after it: what it says is in the snapshot, in the journal and in the spool. */
async function talk({ event, snapshot, settled, residents }: Gateway): Promise<void> {
  await residents.follow();
  let seq = 0;
  const say = async (name: string, celsius: number): Promise<void> => {
    seq += 1;
    const atMs = NOW + seq;
    const readings: [string, number][] = [
      ['celsius', celsius],
      [`${TOKEN}-field`, 1],
    ];
    const stream = name === VICTIM ? `climate/${TOKEN}-stream` : 'climate';
    const of = { kind: 'message', device: name, segment: SEGMENT.name, group: '', boot: 1, atMs, backfill: false, heardMs: atMs } as const;
    await event({ ...of, stream: 'climate', seq, readings: readings.slice(0, 1) });
    if (name !== VICTIM) return;
    seq += 1;
    await event({ ...of, stream, seq, readings });
  };
  for (const round of [1, 2]) {
    for (const { name } of [...OTHERS, device(VICTIM)]) {
      await say(name, 20 + round);
      await say(name, 99);
    }
    if (round === 1) await snapshot();
  }
  await event({ kind: 'tick', nowMs: NOW + 1000, elapsedMs: 1000 });
  await settled();
}

const filesWith = (disk: MemoryDisk, ...words: string[]): string[] =>
  [...disk.files()].filter(([name, bytes]) => words.some((word) => name.includes(word) || bytes.includes(word))).map(([name]) => name);
const directories = (files: string[]): Set<string> => new Set(files.map((name) => name.slice(0, name.indexOf('/'))));

describe('a device that is erased', () => {
  it('is in no file any more, and the cloud hears of it by the name that it knows', async () => {
    const one = await gateway(memoryDisk(), [...OTHERS, device(VICTIM)]);
    await talk(one);
    const ref = one.residents.refOf(VICTIM, true) ?? '';
    // Or the test could not fail.
    expect(directories(filesWith(one.disk, TOKEN))).toEqual(new Set(['spool', 'residents', 'state']));
    expect(filesWith(one.disk, TOKEN).filter((name) => name.startsWith('state/'))).toHaveLength(2);
    one.known.pop();
    await one.residents.follow();
    expect(filesWith(one.disk, TOKEN, 'uid-of-canary')).toEqual([]);

    const sent = await one.drain();
    expect(sent.join()).not.toContain(TOKEN);
    const about = sent.map((text) => JSON.parse(text) as MessageOf<'Erased'>).filter((message) => message.device === ref);
    expect(about).toMatchObject([{ type: 'Erased', records: 1 }]);
    await one.drain();
    expect(filesWith(one.disk, ref)).toEqual([]);
    for (const { name } of OTHERS) expect(directories(filesWith(one.disk, name))).toEqual(new Set(['residents', 'state']));
  });

  it('is erased in the end wherever the power goes, and is said to be', async () => {
    const before = await gateway(memoryDisk(), [...OTHERS, device(VICTIM)]);
    await talk(before);
    const ref = before.residents.refOf(VICTIM, true) ?? '';
    const begun = before.disk.log.length;
    before.known.pop();
    await before.residents.follow();
    const cuts: Cut[] = ['all written', 'unsynced lost', { torn: 3 }, { chance: 1 }];
    let unfinished = 0;
    for (let count = begun; count <= before.disk.log.length; count++)
      for (const cut of cuts) {
        const disk = memoryDisk(afterCut(before.disk.log, count, cut));
        if (filesWith(disk, TOKEN).length > 0) unfinished += 1;
        const again = await gateway(disk, [...OTHERS]);
        await again.residents.follow();
        expect(filesWith(disk, TOKEN, 'uid-of-canary'), `${count} ${JSON.stringify(cut)}`).toEqual([]);
        // Said twice it has the same key: the cloud knows it once.
        const erased = (await again.drain()).filter((text) => text.includes('"Erased"') && text.includes(ref));
        expect(new Set(erased.map((text) => JSON.parse(text).key)).size, `${count} ${JSON.stringify(cut)}`).toBe(1);
      }
    expect(unfinished).toBeGreaterThan(10);
  });

  it('and comes again under its name is another one: nothing of the one before is in it', async () => {
    const one = await gateway(memoryDisk(), [...OTHERS, device(VICTIM)]);
    await talk(one);
    const ref = one.residents.refOf(VICTIM, true);
    one.known[3] = device(VICTIM, 'another');
    await one.residents.follow();
    expect(directories(filesWith(one.disk, TOKEN))).toEqual(new Set(['residents']));
    expect(one.residents.refOf(VICTIM, true)).not.toBe(ref);
  });
});
