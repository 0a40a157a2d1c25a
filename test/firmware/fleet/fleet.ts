// A rollout to a virtual fleet, once as it should be and once with everything that goes wrong around it: drivers killed, the broker ended and emptied, old directives back.
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { FirmwareRecord } from '../../../operator/api/device.ts';
import { type DirectiveSigner, readDirectiveSigner } from '../../../operator/firmware/directive-signer.ts';
import { directiveCa, directiveKey } from '../../harness/directive-certificates.ts';
import { createApi } from './api.ts';
import { createBroker, type Kept } from './broker.ts';
import { type Ground, VirtualDevice } from './device.ts';
import { createLedger, type Verdict } from './ledger.ts';
import { natureOf } from './nature.ts';
import { type Pilot, type Sky, startPilot } from './pilot.ts';
import { between, seeded } from './random.ts';
import { readerOf } from './reading.ts';
import { NEW, nameOf, OLD, SITE, type Size, START } from './scene.ts';
import { createWorld } from './world.ts';

export type Run = {
  size: Size;
  seed: number;
  trouble?: Trouble;
  hours: number;
  /** One in so many devices checks the certificates and signatures of its directives; the others read what is in them. */
  verifies: number;
  progress?: (line: string) => void;
};

/** How often in the first hours, besides what is wrong with the devices: drivers killed, the broker ended, drivers taken over from while they go on, old directives put back. */
export type Trouble = { kills: number; ends: number; doubles: number; replays: number };

export type Outcome = {
  verdict: Verdict;
  records: Map<string, FirmwareRecord | undefined>;
  devices: readonly VirtualDevice[];
  directives: number;
  kills: number;
  /** In ms, in their order. */
  ticks: number[];
  /** All that the drivers did, signatures included. */
  driverMs: number;
  isDone: boolean;
  counted: Record<string, number>;
};

const HOUR_MS = 3_600_000;
const BOOT_KEYS = 64;

export async function runFleet({ size, seed, trouble, hours, verifies, progress = () => {} }: Run): Promise<Outcome> {
  const world = createWorld(START);
  const random = seeded(seed);
  const ledger = createLedger(NEW.digest);
  const ca = await directiveCa('directive CA', START);
  const cas = [new X509Certificate(ca.pem)];
  const broker = createBroker(world, seeded(seed + 1));
  const devices = makeDevices(size.devices, seed, groundOn(world, broker, cas, verifies));
  const api = createApi(world, devices, ledger, { random: seeded(seed + 2), failing: trouble === undefined ? 0 : 0.01 });
  for (const device of devices) {
    broker.add(device);
    world.after(between(random, 0, 60_000), () => device.start());
  }
  const sky: Sky = {
    world,
    broker,
    api,
    ca: cas[0] as X509Certificate,
    size,
    random,
    spent: { ticks: [], allMs: 0 },
    signed: new WeakMap(),
  };
  const signers = await signersOf(ca, 1 + (trouble?.kills ?? 0) + (trouble?.doubles ?? 0));
  const crew = crewOf(sky, signers);
  if (trouble !== undefined) troubleFor(trouble, sky, crew, seed);
  for (let hour = 0; hour < hours; hour += 1) {
    world.runUntil(START + (hour + 1) * HOUR_MS);
    progress(`hour ${hour + 1}: ${JSON.stringify(crew.counted())}`);
  }
  return {
    ...{ verdict: ledger.verdict(), records: api.records(), devices, directives: broker.directives(), kills: crew.kills() },
    ...{ ticks: sky.spent.ticks.sort((a, b) => a - b), driverMs: sky.spent.allMs, isDone: crew.isDone(), counted: crew.counted() },
  };
}

function makeDevices(count: number, seed: number, ground: Ground): VirtualDevice[] {
  const keys = Array.from({ length: BOOT_KEYS }, () => generateKeyPairSync('ed25519'));
  return Array.from({ length: count }, (_, at) => {
    const name = nameOf(at);
    return new VirtualDevice({
      name,
      nature: natureOf(at, seed),
      image: OLD,
      ground,
      seed: seed * 1_000_003 + at,
      bootKeys: keys[at % BOOT_KEYS],
    });
  });
}

function groundOn(world: Sky['world'], broker: Sky['broker'], cas: X509Certificate[], verifies: number): Ground {
  return {
    now: world.now,
    after: world.after,
    connect: broker.connect.bind(broker),
    disconnect: broker.disconnect,
    publish: (device, topic, payload) => broker.publish(device, topic, payload),
    lie: ({ lie }) => lie?.({ digest: NEW.digest, securityCounter: NEW.securityCounter }),
    read: readerOf(cas, verifies),
  };
}

/** Each driver that starts has a newer certificate than those before it. */
function signersOf(ca: Awaited<ReturnType<typeof directiveCa>>, count: number): Promise<DirectiveSigner[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const key = await directiveKey(ca, START, { notBefore: START - 3_600_000 + at * 60_000 });
      const read = readDirectiveSigner(key, { site: SITE, now: START + 2 * HOUR_MS });
      if (!read.ok) throw new Error(read.problem.code);
      return read.signer;
    }),
  );
}

type Crew = ReturnType<typeof crewOf>;

function crewOf(sky: Sky, signers: readonly DirectiveSigner[]) {
  let starts = 0;
  let kills = 0;
  const start = (shard: number): Pilot => {
    starts += 1;
    const signer = signers[Math.min(Math.max(starts - sky.size.shards, 0), signers.length - 1)];
    if (signer === undefined) throw new Error('there is no directive key');
    return startPilot(sky, shard, starts, signer);
  };
  const pilots = Array.from({ length: sky.size.shards }, (_, shard) => start(shard));
  return {
    /** SIGKILL; somebody starts it again after a while. */
    kill(shard: number, downMs: number): void {
      kills += 1;
      pilots[shard]?.kill();
      sky.world.after(downMs, () => {
        pilots[shard] = start(shard);
      });
    },
    /** Stopped and not ended: it wakes beside the one that took over, and has not looked at its Lease yet. */
    double(shard: number): void {
      const before = pilots[shard];
      pilots[shard] = start(shard);
      sky.world.after(300_000, () => before?.kill());
    },
    kills: () => kills,
    isDone: () => pilots.every((pilot) => pilot.phase() === 'Done'),
    counted(): Record<string, number> {
      const sum: Record<string, number> = {};
      for (const pilot of pilots)
        for (const [name, value] of Object.entries(pilot.counts() ?? {})) sum[name] = (sum[name] ?? 0) + Number(value);
      return sum;
    },
  };
}

/** In the hours in which most happens. */
function troubleFor({ kills, ends, doubles, replays }: Trouble, { world, broker, size }: Sky, crew: Crew, seed: number): void {
  const random = seeded(seed + 4);
  const shard = (): number => between(random, 0, size.shards - 1);
  const often = (times: number, act: (time: number) => void): void => {
    for (let time = 0; time < times; time += 1) world.after(between(random, 60_000, 4 * HOUR_MS), () => act(time));
  };
  often(kills, () => crew.kill(shard(), between(random, 500, 120_000)));
  often(doubles, () => crew.double(shard()));
  often(ends, (time) => broker.restart(between(random, 1000, 120_000), time % 2 === 0));
  const old: { name: string; kept: Kept }[] = [];
  broker.remember((name, kept) => old.length < 5000 && random() < 0.05 && old.push({ name, kept }));
  often(replays, () => broker.replay(random, old));
}
