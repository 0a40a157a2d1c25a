import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { hearHello, hearState, openOf, type Standing, standingOf } from '../../../operator/firmware/accept.ts';
import type { Directive } from '../../../operator/firmware/messages.ts';
import { readHello, readState } from '../../../operator/firmware/report.ts';
import type { World } from './agent.ts';
import { directoryFlash, memoryFlash } from './flash.ts';
import { commander, type Device, factory, type Image, makeDevice, makeSite, type Site, serving } from './testing/site.ts';

describe('the reference device', () => {
  let site: Site;
  let old: Image;
  let good: Image;
  beforeAll(async () => {
    site = await makeSite();
    old = site.image({ version: '2.3.0', securityCounter: 4 });
    good = site.image({ version: '2.4.0', securityCounter: 5 });
  });

  async function started(images: readonly Image[], change: Partial<World> = {}, more?: ReadonlyMap<string, Buffer>): Promise<Device> {
    const flash = memoryFlash();
    factory(flash, old);
    const device = makeDevice(site, flash, serving(images, more), change);
    await device.machine.start();
    return device;
  }
  const statesOf = ({ sent }: Device): Record<string, unknown>[] =>
    sent.filter(({ topic }) => topic === 'state').map(({ payload }) => JSON.parse(payload) as Record<string, unknown>);
  const last = (device: Device): Record<string, unknown> => statesOf(device).at(-1) ?? {};
  const order = (device: Device, action: Directive['action'], image?: Image, fields?: Partial<Directive>): Promise<void> => {
    const { make, sign } = commander(site);
    return device.machine.receive(sign(make(device.world.device, action, image, fields)));
  };

  it('says no older state after a newer one, and none of before a restart after it', async () => {
    let isAway = false;
    const waits: (() => void)[] = [];
    const device = await started([good], {
      wait: () => (isAway ? new Promise<void>((resolve) => waits.push(resolve)) : Promise.resolve()),
    });
    const { publish } = device.world;
    device.world.publish = async (topic, payload) => !isAway && publish(topic, payload);
    isAway = true;
    const first = order(device, 'Stage', good);
    await new Promise((resolve) => setImmediate(resolve));
    expect(waits.length).toBe(1);
    isAway = false;
    await device.machine.reconnected();
    const before = statesOf(device).length;
    for (const wake of waits.splice(0)) wake();
    await first;
    const states = statesOf(device);
    expect(states[before - 1]).toMatchObject({ state: 'Accepted' });
    const counts = states.map(({ n }) => Number(n));
    expect(counts).toEqual([...new Set(counts)].toSorted((a, b) => a - b));
    expect(last(device)).toMatchObject({ state: 'Staged' });
  });

  it('downloads, verifies, restarts, tests and confirms; the driver believes it by its boot report', async () => {
    const device = await started([good]);
    const { make, sign } = commander(site);
    const directive = make(device.world.device, 'Install', good);
    await device.machine.receive(sign(directive));
    expect(statesOf(device).map(({ state }) => state)).toEqual([
      ...[
        'Idle',
        'Accepted',
        'Downloading',
        'Downloading',
        'Downloading',
        'Downloading',
        'Verified',
        'Staged',
        'Rebooting',
        'Testing',
        'Confirmed',
      ],
    ]);
    const open = openOf(directive, 1);
    let standing: Standing = standingOf(open);
    for (const { topic, payload } of device.sent) {
      const bytes = Buffer.from(payload);
      if (topic === 'hello') {
        const read = readHello(device.world.device, bytes);
        if (!read.ok) throw new Error(`${read.problem.found}`);
        standing = hearHello(open, standing, read.message).standing;
      } else if (topic === 'state') {
        const read = readState(device.world.device, bytes);
        if (!read.ok) throw new Error(`${read.problem.found}`);
        standing = hearState(open, standing, read.message, device.bootKey).standing;
      }
    }
    expect(standing).toMatchObject({ state: 'Confirmed', proof: 'Proven', boot: 2 });
    expect(device.machine.booted).toMatchObject({ slot: 'B', digest: good.digest });
  });

  it('on a disk it does the same, and after its power was off it runs what it confirmed', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hedgerow-device-'));
    try {
      factory(directoryFlash(directory), old);
      const device = makeDevice(site, directoryFlash(directory), serving([good]));
      await device.machine.start();
      await order(device, 'Install', good);
      const later = makeDevice(site, directoryFlash(directory), serving([good]));
      await later.machine.start();
      expect(later.machine.booted).toMatchObject({ slot: 'B', mode: 'Normal', boot: 3, digest: good.digest });
      expect(last(later)).toMatchObject({ state: 'Confirmed', digest: good.digest, securityCounter: 5 });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.each<[string, (make: Site['image']) => Image, Record<string, unknown>]>([
    [
      'that fails its self-test',
      (make) => make({ version: '2.4.1', securityCounter: 5, selfTest: 6 }),
      { state: 'RolledBack', code: 10, selfTest: 6 },
    ],
    ['that hangs', (make) => make({ version: '2.4.2', securityCounter: 5, hangs: true }), { state: 'RolledBack', code: 11 }],
    [
      'for other hardware',
      (make) => make({ version: '2.4.3', securityCounter: 5, classIds: ['00000000-0000-4000-8000-000000000000'] }),
      { state: 'Rejected', code: 3 },
    ],
    ['with a lower security counter', (make) => make({ version: '2.4.4', securityCounter: 3 }), { state: 'Rejected', code: 4 }],
    [
      'that one key has signed',
      (make) => make({ version: '2.4.5', securityCounter: 5 }, site.keys.slice(0, 1)),
      { state: 'Rejected', code: 1 },
    ],
    [
      'that one key has signed twice',
      (make) =>
        make(
          { version: '2.4.6', securityCounter: 5 },
          [site.keys[0], site.keys[0]].flatMap((key) => key ?? []),
        ),
      { state: 'Rejected', code: 1 },
    ],
    ['that runs already', () => good, { state: 'Rejected', code: 5 }],
  ])('of an image %s it keeps the one that it has, and its counters', async (_, make, end) => {
    const image = make(site.image);
    const device = await started([good, image]);
    // Confirmed once, so that there is a counter to fall below.
    await order(device, 'Install', good);
    await order(device, 'Install', image, { seq: 1_900_000_000_000 });
    expect(last(device)).toMatchObject({ ...end, digest: good.digest, securityCounter: 5 });
    expect(device.machine.booted?.digest).toBe(good.digest);
  });

  it('keeps the version floor of what it confirmed', async () => {
    const floored = site.image({ version: '2.4.0', securityCounter: 4, minVersionFloor: '2.4.0' });
    const device = await started([floored]);
    await order(device, 'Install', floored);
    await order(device, 'Revert', old, { seq: 1_900_000_000_000 });
    expect(last(device)).toMatchObject({ state: 'Rejected', code: 4, digest: floored.digest });
  });

  it('does not download for longer than it was told to', async () => {
    let seconds = 0;
    const device = await started([good], { elapsed: () => (seconds += 4000) });
    await order(device, 'Install', good);
    expect(last(device)).toMatchObject({ state: 'Failed', code: 8 });
  });

  it('between two images answers another directive by Busy, and one for another component by what it is', async () => {
    const { make, sign } = commander(site);
    const cancel = sign(make('thermo-17.berlin', 'Cancel', undefined, { seq: 1_900_000_000_000 }));
    const said: Record<string, unknown>[] = [];
    const device = await started([good], {
      publish: async (topic, payload) => {
        if (topic === 'state') said.push(JSON.parse(payload) as Record<string, unknown>);
        if (payload.includes('"state":"Testing"')) await device.machine.receive(cancel);
        return true;
      },
    });
    await device.machine.receive(sign(make(device.world.device, 'Install', good)));
    expect(said.slice(-3)).toMatchObject([
      { state: 'Testing' },
      { state: 'Rejected', code: 14, seq: 1_900_000_000_000 },
      { state: 'Confirmed' },
    ]);
    await device.machine.receive(sign(make(device.world.device, 'Install', good, { component: 'modem' })));
    expect(said.at(-1)).toMatchObject({ component: 'modem', state: 'Rejected', code: 3 });
  });

  it('of other bytes than were signed it says so and does not start them', async () => {
    const device = await started(
      [],
      {},
      new Map([
        [`https://fw/${good.digest}`, Buffer.concat([good.bytes.subarray(1), Buffer.from('x')])],
        [`https://fw/${good.statementDigest}`, good.statement],
      ]),
    );
    await order(device, 'Install', good);
    expect(last(device)).toMatchObject({ state: 'Failed', code: 2, boot: 1 });
  });

  it('ends by a refusal of the server, and goes on after broken connections where it was', async () => {
    const refused = await started([]);
    await order(refused, 'Install', good);
    expect(last(refused)).toMatchObject({ state: 'Failed', code: 8 });
    let calls = 0;
    const ranges: number[] = [];
    const whole = serving([good]);
    const device = await started([], {
      fetch: (url, from, most) => {
        calls += 1;
        if (calls % 2 === 0) return Promise.resolve(calls % 4 === 0 ? 'broken' : { status: 503 });
        if (url.endsWith(good.digest)) ranges.push(from);
        return whole(url, from, most);
      },
    });
    await order(device, 'Install', good);
    expect(last(device)).toMatchObject({ state: 'Confirmed' });
    expect(ranges).toEqual([0, 700, 1400]);
  });

  it('stages, waits, activates, and goes back when it is told to', async () => {
    const device = await started([good]);
    await order(device, 'Activate', good);
    expect(last(device)).toMatchObject({ state: 'Rejected', code: 5 });
    await order(device, 'Stage', good, { seq: 1_900_000_000_001 });
    expect(last(device)).toMatchObject({ state: 'Staged', staged: good.digest, boot: 1 });
    await order(device, 'Cancel', undefined, { seq: 1_900_000_000_002 });
    expect(last(device)).toMatchObject({ state: 'Idle' });
    await order(device, 'Stage', good, { seq: 1_900_000_000_003 });
    await order(device, 'Activate', good, { seq: 1_900_000_000_004 });
    expect(last(device)).toMatchObject({ state: 'Confirmed', digest: good.digest });
    // The counter has risen: there is no way back to an image below it.
    await order(device, 'Revert', old, { seq: 1_900_000_000_005 });
    expect(last(device)).toMatchObject({ state: 'Rejected', code: 4, digest: good.digest });
  });

  it('goes back to the other slot while the counter lets it', async () => {
    const same = site.image({ version: '2.3.1', securityCounter: 4 });
    const device = await started([same]);
    await order(device, 'Install', same);
    await order(device, 'Revert', old, { seq: 1_900_000_000_001 });
    expect(last(device)).toMatchObject({ state: 'Confirmed', digest: old.digest });
  });

  it('takes a new trust root only from the ones before it, and then what its keys have signed', async () => {
    const late = site.image(
      { version: '2.5.0', securityCounter: 5 },
      [site.late, site.keys[0]].flatMap((key) => key ?? []),
    );
    const roots = (version: number): Partial<Directive> => ({
      release: { digest: late.statementDigest, urls: [`https://fw/${late.statementDigest}`], roots: { version, url: 'https://fw/roots' } },
    });
    const without = await started([late]);
    await order(without, 'Install', late);
    expect(last(without)).toMatchObject({ state: 'Rejected', code: 1 });
    const device = await started([late], {}, new Map([['https://fw/roots/2.root.json', site.secondRoot]]));
    await order(device, 'Install', late, roots(2));
    expect(last(device)).toMatchObject({ state: 'Confirmed', digest: late.digest });
    const foreign = await makeSite();
    const deceived = await started([late], {}, new Map([['https://fw/roots/2.root.json', foreign.secondRoot]]));
    await order(deceived, 'Install', late, roots(2));
    expect(last(deceived)).toMatchObject({ state: 'Rejected', code: 1, digest: old.digest });
  });

  it('answers a directive that it knows, drops an older one, and one of a driver that was taken over from', async () => {
    const device = await started([good]);
    const { make, sign } = commander(site);
    const directive = { ...make(device.world.device, 'Install', good), fence: 5 };
    await device.machine.receive(sign(directive));
    const told = statesOf(device).length;
    await device.machine.receive(sign({ ...directive, fence: 6, iat: directive.iat + 9, exp: directive.exp + 9 }));
    expect(statesOf(device).slice(told)).toMatchObject([{ state: 'Confirmed' }]);
    for (const other of [
      { ...directive, seq: directive.seq - 1, fence: 7 },
      { ...directive, seq: directive.seq + 1, fence: 5 },
    ])
      await device.machine.receive(sign(other));
    expect(statesOf(device).length).toBe(told + 1);
  });

  it('without a clock takes only what quotes the nonce of its last hello', async () => {
    const device = await started([good], { now: () => undefined });
    await order(device, 'Install', good);
    expect(last(device)).toMatchObject({ state: 'Idle' });
    const { payload = '{}' } = device.sent.find(({ topic }) => topic === 'hello') ?? {};
    await order(device, 'Install', good, { echo: (JSON.parse(payload) as { nonce: string }).nonce });
    expect(last(device)).toMatchObject({ state: 'Confirmed' });
  });

  it('goes back when it does not reach the broker with the new image', async () => {
    let isCut = false;
    const sent: string[] = [];
    const device = await started([good], {
      publish: (topic, payload) => {
        sent.push(payload);
        if (topic === 'state' && payload.includes('"Rebooting"')) isCut = true;
        if (payload.includes('"boot":3')) isCut = false;
        return Promise.resolve(!isCut || payload.includes('"Rebooting"'));
      },
    });
    await order(device, 'Install', good);
    expect(device.machine.booted).toMatchObject({ mode: 'Reverted', digest: old.digest });
    expect(JSON.parse(sent.findLast((one) => one.includes('"seq"') && one.includes('"state"')) ?? '{}')).toMatchObject({
      state: 'RolledBack',
      code: 11,
    });
  });

  it('keeps its boot key from the image that it starts', async () => {
    const device = await started([good]);
    const seen = new Set<unknown>();
    const reach = (value: unknown): boolean => {
      if (value === device.fixed.bootKey) return true;
      if (typeof value !== 'object' || value === null || seen.has(value)) return false;
      seen.add(value);
      return Object.values(value).some(reach);
    };
    expect(reach(device.machine.booted)).toBe(false);
    expect(reach(device.world)).toBe(false);
  });
});
