// 200 devices with one fault each, by directives and reports alone: all come to the end that is right, and none counts as Confirmed that does not run the image.
import { describe, expect, it } from 'vitest';
import type { World } from './agent.ts';
import { imageFile } from './bootloader.ts';
import { memoryFlash, NoSpace } from './flash.ts';
import { forger, type Liar, replayer, resetter, saysConfirmed, spammer } from './liars.ts';
import { rollout } from './testing/rollout.ts';
import { CLASS, commander, type Device, factory, type Image, makeDevice, makeSite, NOW, type Site, serving } from './testing/site.ts';

const OTHER_CLASS = '00000000-0000-4000-8000-000000000000';

class PowerCut extends Error {}
type Plan = {
  end: string;
  runs: 'old' | 'good';
  world?: (device: Scene) => Partial<World>;
  liar?: (scene: Scene) => Liar;
  noKey?: true;
  classId?: string;
};
type Scene = { site: Site; old: Image; good: Image; random: () => number; fetch: World['fetch'] };

/** What it says after the lie, nobody hears: it goes back to the old image. */
const fails = (): Partial<World> => ({ selfTest: () => 1 });

const plans: Record<string, Plan> = {
  honest: { end: 'Confirmed', runs: 'good' },
  'messages lost': { end: 'Confirmed', runs: 'good' },
  'acknowledgements lost': { end: 'Confirmed', runs: 'good' },
  'messages out of order and twice': { end: 'Confirmed', runs: 'good' },
  'power cuts': { end: 'Confirmed', runs: 'good' },
  'clock of 1970': { end: 'Confirmed', runs: 'good', world: () => ({ now: () => 3600 }) },
  'no clock': { end: 'Confirmed', runs: 'good', world: () => ({ now: () => undefined }) },
  'clock a year ahead': { end: 'Rejected 6', runs: 'old', world: () => ({ now: () => NOW / 1000 + 366 * 86_400 }) },
  'broken connections': {
    end: 'Confirmed',
    runs: 'good',
    world: ({ fetch, random }) => ({ fetch: async (...asked) => (random() < 0.3 ? 'broken' : fetch(...asked)) }),
  },
  'image not there': { end: 'Failed 8', runs: 'old', world: () => ({ fetch: async () => ({ status: 404 }) }) },
  'image altered by the cache': {
    end: 'Failed 2',
    runs: 'old',
    world: ({ fetch, good }) => ({
      async fetch(url, from, most) {
        const answer = await fetch(url, from, most);
        return typeof answer === 'object' && 'bytes' in answer && url.endsWith(good.digest)
          ? { bytes: Buffer.from(answer.bytes.map((byte) => byte ^ 1)) }
          : answer;
      },
    }),
  },
  'other hardware': { end: 'Rejected 3', runs: 'old', classId: OTHER_CLASS },
  'memory full': { end: 'Failed 7', runs: 'old' },
  'self-test fails': { end: 'RolledBack 10', runs: 'old', world: () => ({ selfTest: () => 4 }) },
  'hangs after the restart': { end: 'RolledBack 11', runs: 'old', world: () => ({ selfTest: () => undefined }) },
  'fails once, then works': { end: 'Confirmed', runs: 'good', world: () => ({ selfTest: once(2, 0) }) },
  'old directives replayed': { end: 'Confirmed', runs: 'good' },
  'says Confirmed on the old image': { end: 'Verified', runs: 'old', liar: () => saysConfirmed(), world: fails },
  'forges, boot key registered': { end: 'Verified', runs: 'old', liar: ({ good }) => forger(good), world: fails },
  'forges, no boot key registered': { end: 'Confirmed', runs: 'old', liar: ({ good }) => forger(good), noKey: true, world: fails },
  'replays its own states': { end: 'Confirmed', runs: 'good', liar: () => replayer() },
  'resets its boot counter': { end: 'Rebooting', runs: 'good', liar: () => resetter() },
  spams: { end: 'Confirmed', runs: 'good', liar: () => spammer() },
};

describe('a rollout to 200 devices', () => {
  it('brings each to the end that is right, whatever is wrong with it', async () => {
    const site = await makeSite();
    const old = site.image({ version: '2.3.0', securityCounter: 4 });
    const good = site.image({ version: '2.4.0', securityCounter: 5 });
    const names = Object.keys(plans);
    const bootKeys = new Map();
    const driver = rollout(good, commander(site), bootKeys);
    const ends = new Map<string, Set<string>>();
    const wrong: string[] = [];
    for (let at = 0; at < 200; at++) {
      const plan = names[at % names.length] ?? 'honest';
      const { noKey } = plans[plan] ?? {};
      const name = `dev-${at}.berlin`;
      const made = await drive(name, plan, { site, old, good, random: seeded(at), fetch: serving([good]) }, driver, (device) => {
        if (noKey === undefined) bootKeys.set(name, device.bootKey);
      });
      const { standing } = driver.of(name);
      const end = `${standing?.state}${standing?.code === undefined ? '' : ` ${standing.code}`}`;
      ends.set(plan, (ends.get(plan) ?? new Set()).add(`${end}, runs ${made.machine.booted?.digest === good.digest ? 'good' : 'old'}`));
      if (standing?.state === 'Confirmed' && made.machine.booted?.digest !== good.digest) wrong.push(`${plan}: ${standing.proof}`);
    }
    expect(Object.fromEntries([...ends].map(([plan, found]) => [plan, [...found].join('; ')]))).toEqual(
      Object.fromEntries(names.map((plan) => [plan, `${plans[plan]?.end}, runs ${plans[plan]?.runs}`])),
    );
    // Nobody could know better: the status calls them unproven.
    expect([...new Set(wrong)]).toEqual(['forges, no boot key registered: Unproven']);
  });
});

type Driver = ReturnType<typeof rollout>;
const ROUNDS = 40;

/** Round by round: the directive that stands on its topic goes to the device, what it said comes to the driver. */
async function drive(name: string, plan: string, scene: Scene, driver: Driver, register: (device: Device) => void): Promise<Device> {
  const { site, old, random } = scene;
  const { world, liar, classId = CLASS } = plans[plan] ?? {};
  const wire = wireOf(plan, random, liar?.(scene));
  const memory = memoryFlash();
  factory(memory, classId === CLASS ? old : site.image({ version: '2.3.0', securityCounter: 4, classIds: [classId] }));
  const flash = faulty(memory, plan, random);
  const made = makeDevice(site, flash, scene.fetch, { device: name, classId, publish: wire.publish, ...world?.(scene) });
  register(made);
  flash.arm();
  await powered(made, () => made.machine.start());
  const directives: Buffer[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const message of wire.delivered()) driver.hear(name, message);
    const directive = driver.directive(name);
    if (wire.isEmpty() && driver.isDone(name)) break;
    if (directive !== undefined) directives.push(directive);
    const heard = plan === 'old directives replayed' ? [...directives].reverse() : directive === undefined ? [] : [directive];
    for (const bytes of heard) await powered(made, () => made.machine.receive(bytes));
    // A driver that hears nothing asks for a hello: the device connects anew.
    if (round % 8 === 7) await powered(made, () => made.machine.start());
  }
  return made;
}

/** After a power cut it starts again, and perhaps once more. */
async function powered(made: Device, act: () => Promise<void>): Promise<void> {
  for (let next = act; ; next = () => made.machine.start()) {
    try {
      return await next();
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
    }
  }
}

/** A memory that is full, or that the power leaves, three times in all. */
function faulty(memory: ReturnType<typeof memoryFlash>, plan: string, random: () => number) {
  let cuts = 0;
  let isArmed = false;
  return {
    ...memory,
    arm: () => {
      isArmed = true;
    },
    write(file: string, at: number, bytes: Uint8Array): void {
      if (plan === 'memory full' && isArmed && file === imageFile('B')) throw new NoSpace();
      memory.write(file, at, bytes);
      if (plan !== 'power cuts' || !isArmed || cuts >= 3 || random() > 0.1) return;
      cuts += 1;
      throw new PowerCut();
    },
  };
}

/** The broker between them. */
function wireOf(plan: string, random: () => number, liar: Liar | undefined) {
  let queue: { topic: string; payload: string }[] = [];
  return {
    publish(topic: 'hello' | 'state' | 'log', payload: string): Promise<boolean> {
      const isLost = plan === 'messages lost' && topic !== 'log' && random() < 0.3;
      if (!isLost && topic !== 'log') queue.push(...(liar?.(topic, payload) ?? [payload]).map((one) => ({ topic, payload: one })));
      return Promise.resolve(!isLost && !(plan === 'acknowledgements lost' && topic === 'state' && random() < 0.5));
    },
    delivered() {
      const now = queue;
      queue = [];
      if (plan !== 'messages out of order and twice') return now;
      return [...now, ...now]
        .map((message) => ({ message, rank: random() }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ message }) => message);
    },
    isEmpty: () => queue.length === 0,
  };
}

const once = (first: number, then: number): (() => number) => {
  let calls = 0;
  return () => (calls++ === 0 ? first : then);
};

/** xorshift32: the same faults in each run. */
function seeded(seed: number): () => number {
  let x = (seed + 1) * 2_654_435_761;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}
