// The power goes after each operation on the memory of the device, and within each write. Whatever is left, it starts an image that the release keys have signed and
// that is not below its counter, and the update ends as it would have.
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { imageFile, powerOn } from './bootloader.ts';
import { afterCut, type Cut, memoryFlash, type Operation, recording } from './flash.ts';
import { commander, type Device, factory, type Image, makeDevice, makeSite, type Site, serving } from './testing/site.ts';

type Files = Map<string, Buffer>;
/** `said`: what it published, and after how many operations. */
type Run = { start: Files; log: Operation[]; said: { state: unknown; after: number }[] };

const bootKeys = generateKeyPairSync('ed25519');

describe('a power cut', () => {
  let site: Site;
  let old: Image;
  let good: Image;
  let bad: Image;
  beforeAll(async () => {
    site = await makeSite();
    old = site.image({ version: '2.3.0', securityCounter: 4 });
    good = site.image({ version: '2.4.0', securityCounter: 5 });
    bad = site.image({ version: '2.4.1', securityCounter: 6, selfTest: 1 });
  });

  const copy = (files: ReadonlyMap<string, Buffer>): Files => new Map([...files].map(([file, bytes]) => [file, Buffer.from(bytes)]));

  /** A device with these files, and what it writes from now on. */
  function device(files: Files, hear: (state: string) => void = () => {}): { made: Device; log: Operation[] } {
    const flash = recording(memoryFlash(files));
    const made = makeDevice(site, flash, serving([old, good, bad]), {}, bootKeys);
    const { publish } = made.world;
    made.world.publish = (topic, payload) => {
      if (topic === 'state') hear(payload);
      return publish(topic, payload);
    };
    return { made, log: flash.log };
  }

  async function installed(image: Image, seq: number, from?: Files): Promise<Run> {
    const files = from ?? new Map();
    if (from === undefined) factory(memoryFlash(files), old);
    const start = copy(files);
    const said: Run['said'] = [];
    const { made, log } = device(files, (payload) =>
      said.push({ state: (JSON.parse(payload) as { state: unknown }).state, after: log.length }),
    );
    await made.machine.start();
    const { make, sign } = commander(site);
    await made.machine.receive(sign(make('thermo-17.berlin', 'Install', image, { seq })));
    return { start, log, said };
  }

  /** `everywhere`: each write torn at many places, not only in its middle. */
  function* cutsOf({ log }: Run, everywhere = false): Generator<{ count: number; cut: Cut }> {
    for (let count = 0; count <= log.length; count++) {
      yield { count, cut: 'all written' };
      yield { count, cut: 'unsynced lost' };
      const last = log[count - 1];
      if (last?.does !== 'write') continue;
      const { length } = last.bytes;
      const places = everywhere ? [0, 1, 7, 9, length >> 1, length - 1] : [length >> 1];
      for (const at of new Set(places)) if (at < length) yield { count, cut: { torn: at } };
      for (const at of new Set(everywhere ? [0, 5, length >> 1] : [])) if (at < length) yield { count, cut: { garbage: at } };
    }
  }

  /** What the power left: the device starts, and what it starts may run. */
  async function startsRight(files: Files, maySwitchTo: Image): Promise<Device> {
    const { made } = device(files);
    await made.machine.start();
    const { booted } = made.machine;
    if (booted === undefined) throw new Error('it does not start');
    expect([old.digest, good.digest, maySwitchTo.digest]).toContain(booted.digest);
    const { securityCounter = -1 } = [old, good, bad].find(({ digest }) => digest === booted.digest) ?? {};
    expect(securityCounter).toBeGreaterThanOrEqual(booted.services.counter());
    return made;
  }

  const stateOf = ({ sent }: Device): Record<string, unknown> =>
    JSON.parse(sent.findLast(({ topic }) => topic === 'state')?.payload ?? '{}') as Record<string, unknown>;

  it('anywhere in an update leaves a device that starts, tells the truth and comes to the new image', async () => {
    const run = await installed(good, 1_000);
    const ends = new Map<unknown, number>();
    let cuts = 0;
    for (const { count, cut } of cutsOf(run, true)) {
      const made = await startsRight(afterCut(run.start, run.log, count, cut), good);
      const hasSaid = (state: string): boolean => run.said.some((one) => one.state === state && one.after <= count);
      if (hasSaid('Accepted')) expect(stateOf(made)).toMatchObject({ seq: 1_000 });
      if (hasSaid('Confirmed')) expect(made.machine.booted?.digest).toBe(good.digest);
      const { make, sign } = commander(site);
      await made.machine.receive(sign(make('thermo-17.berlin', 'Install', good, { seq: 1_000 })));
      const first = stateOf(made);
      ends.set(first.state, (ends.get(first.state) ?? 0) + 1);
      expect(first.digest).toBe(made.machine.booted?.digest);
      expect(first.state === 'Confirmed').toBe(made.machine.booted?.digest === good.digest);
      if (first.state === 'RolledBack') expect(made.machine.booted?.services.lastTried()).toBeDefined();
      if (first.state !== 'Confirmed') {
        await made.machine.receive(sign(make('thermo-17.berlin', 'Install', good, { seq: 2_000 })));
        expect(stateOf(made)).toMatchObject({ state: 'Confirmed', digest: good.digest, securityCounter: 5 });
      }
      cuts += 1;
    }
    expect(cuts).toBeGreaterThan(200);
    // Cut within the one try that it has, it goes back; cut anywhere else, it goes on.
    expect([...ends.keys()].sort()).toEqual(['Confirmed', 'RolledBack']);
  });

  it('anywhere in an update to an image that fails leaves the one before, and the counter as it was', async () => {
    const run = await installed(bad, 1_000);
    for (const { count, cut } of cutsOf(run)) {
      const made = await startsRight(afterCut(run.start, run.log, count, cut), bad);
      const { make, sign } = commander(site);
      await made.machine.receive(sign(make('thermo-17.berlin', 'Install', bad, { seq: 1_000 })));
      expect(stateOf(made)).toMatchObject({ state: 'RolledBack', digest: old.digest, securityCounter: 0 });
    }
  });

  it('several times, each while it recovers from the one before', async () => {
    const point = fc.record({ at: fc.nat(10_000), cut: fc.constantFrom<Cut>('all written', 'unsynced lost', { torn: 6 }, { garbage: 6 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(point, { minLength: 2, maxLength: 4 }), async (points) => {
        let files: Files | undefined;
        for (const { at, cut } of points) {
          const run = await installed(good, 1_000, files);
          files = afterCut(run.start, run.log, at % (run.log.length + 1), cut);
        }
        const made = await startsRight(files ?? new Map(), good);
        const { make, sign } = commander(site);
        await made.machine.receive(sign(make('thermo-17.berlin', 'Install', good, { seq: 2_000 })));
        // Rejected 5: it runs already.
        expect(made.machine.booted?.digest).toBe(good.digest);
        expect(['Confirmed', 'Rejected']).toContain(stateOf(made).state);
      }),
      { numRuns: 30 },
    );
  });

  it('the memory of one update fills its file, and the next files take turns', async () => {
    let files: Files = new Map();
    factory(memoryFlash(files), old);
    const back = site.image({ version: '2.4.2', securityCounter: 5 });
    for (let round = 0; round < 6; round++) {
      const { made } = device(files);
      await made.machine.start();
      const { make, sign } = commander(site);
      const image = round % 2 === 0 ? good : back;
      const fresh = makeDevice(site, memoryFlash(files), serving([good, back]), {}, bootKeys);
      await fresh.machine.start();
      await fresh.machine.receive(sign(make('thermo-17.berlin', 'Install', image, { seq: 1_000 + round })));
      expect(stateOf(fresh)).toMatchObject({ state: 'Confirmed', digest: image.digest });
      files = copy(files);
    }
    expect(files.get('app.1')?.length ?? 0).toBeGreaterThan(0);
    expect(Math.max(...['app.0', 'app.1'].map((file) => files.get(file)?.length ?? 0))).toBeLessThan(24_000);
  });
});

describe('secure boot', () => {
  it('starts no image that was altered, nor an older one below the counter, but nothing', async () => {
    const site = await makeSite();
    const old = site.image({ version: '2.3.0', securityCounter: 4 });
    const good = site.image({ version: '2.4.0', securityCounter: 5 });
    const flash = memoryFlash();
    factory(flash, old);
    const { machine, fixed } = makeDevice(site, flash, serving([good]));
    await machine.start();
    const { make, sign } = commander(site);
    await machine.receive(sign(make('thermo-17.berlin', 'Install', good)));
    expect(powerOn(flash, fixed)?.digest).toBe(good.digest);
    const image = flash.read(imageFile('B'));
    for (const at of [0, image.length >> 1, image.length - 1]) {
      const altered = Buffer.from(image);
      altered[at] = (altered[at] ?? 0) ^ 1;
      flash.write(imageFile('B'), 0, altered);
      expect(powerOn(flash, fixed), `byte ${at}`).toBeUndefined();
    }
    flash.write(imageFile('B'), 0, image);
    expect(powerOn(flash, fixed)?.digest).toBe(good.digest);
    flash.write(imageFile('B'), image.length, Buffer.from('x'));
    expect(powerOn(flash, fixed)).toBeUndefined();
  });
});
