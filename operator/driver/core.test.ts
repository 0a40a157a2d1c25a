import { describe, expect, it } from 'vitest';
import { NEW, OLD, planOf, START } from './testing/plan.ts';
import { TestSite } from './testing/site.ts';

const MINUTE = 60_000;

describe('an Install', () => {
  it('ends Confirmed where the device boots the image, with one write for each device', () => {
    const site = new TestSite({ plan: (fence) => planOf({ fence }), devices: [{}, {}, {}] });
    const { counts, phase } = site.untilDone();
    expect(phase).toBe('Done');
    expect(counts).toMatchObject({ matched: 3, offered: 3, reached: 3, waiting: 0, inFlight: 0, confirmed: 3, unproven: 3, failed: 0 });
    expect([...site.writes.values()]).toEqual([1, 1, 1]);
    expect(site.facts.get('uid-dev-0')?.record).toMatchObject({
      ...{ version: NEW.version, digest: NEW.digest, release: 'releases/fw', releaseUid: 'release-uid', step: 0, attempt: 1 },
      ...{ result: 'Confirmed', proof: 'Unproven', previous: OLD },
    });
  });

  it.each([
    ['RolledBack', { end: 'RolledBack', code: 10 }, { rolledBack: 1 }, { result: 'RolledBack', code: 10, digest: OLD.digest }],
    ['Failed for good', { end: 'Failed', code: 2 }, { failed: 1 }, { result: 'Failed', code: 2 }],
    ['Rejected for good', { end: 'Rejected', code: 4 }, { failed: 1 }, { result: 'Rejected', code: 4 }],
    ['Lost after Rebooting', { end: 'Silent' }, { lost: 1 }, { result: 'Lost' }],
    ['TimedOut in the download', { end: 'Vanishes' }, { timedOut: 1 }, { result: 'TimedOut' }],
    [
      'Failed by the network more often than it is tried',
      { end: 'Failed', code: 8 },
      { failed: 1 },
      { result: 'Failed', code: 8, attempt: 4 },
    ],
    [
      'Confirmed after the network failed twice',
      { end: 'Failed', code: 8, times: 2 },
      { confirmed: 1 },
      { result: 'Confirmed', attempt: 3 },
    ],
    [
      'Confirmed after it was busy five times, which uses up no retry',
      { end: 'Rejected', code: 14, times: 5 },
      { confirmed: 1 },
      { result: 'Confirmed', attempt: 1 },
    ],
  ] as const)('%s', (_, nature, counts, record) => {
    const site = new TestSite({ plan: (fence) => planOf({ fence }), devices: [nature] });
    expect(site.untilDone().counts).toMatchObject({ inFlight: 0, waiting: 0, ...counts });
    expect(site.facts.get('uid-dev-0')?.record).toMatchObject(record);
  });

  it('asks a device at work that says nothing, every five minutes, and hears how it ended hours before its time is over', () => {
    const site = new TestSite({ plan: (fence) => planOf({ fence }), devices: [{}] });
    site.round();
    // What it says from its download on does not come through.
    site.wire = () => [];
    while (site.devices[0]?.runs !== NEW) site.round();
    const asked = site.sent.length;
    for (let rounds = 0; rounds < 3; rounds++) site.round(5 * MINUTE);
    expect(site.sent.length).toBe(asked + 3);
    expect(new Set(site.sent.map(({ order }) => order.directive.nonce)).size).toBe(1);
    site.wire = (messages) => messages;
    site.round(5 * MINUTE);
    expect(site.untilDone().counts).toMatchObject({ confirmed: 1, timedOut: 0, lost: 0 });
  });

  it('takes a device that does not answer out of the denominator, and in again when it does', () => {
    const site = new TestSite({ plan: (fence) => planOf({ fence }), devices: [{ isAway: true }] });
    site.round();
    expect(site.round().counts).toMatchObject({ inFlight: 1, reached: 0, straggler: 0 });
    // It is told once more.
    expect(site.round(5 * MINUTE).counts).toMatchObject({ inFlight: 1, reached: 0, straggler: 0 });
    expect(site.round(5 * MINUTE).counts).toMatchObject({ inFlight: 0, reached: 0, straggler: 1, offered: 1 });
    expect(site.tick?.phase).toBe('Done');
    const [device] = site.devices;
    if (device !== undefined) site.connect(device);
    expect(site.untilDone().counts).toMatchObject({ confirmed: 1, straggler: 0, reached: 1 });
  });

  it('drops a device that does not answer where the release says so: its offer is cancelled', () => {
    const site = new TestSite({ plan: (fence) => planOf({ fence, rollout: { stragglers: 'Drop' } }), devices: [{ isAway: true }] });
    site.round();
    site.round(6 * MINUTE);
    expect(site.untilDone().counts).toMatchObject({ offered: 1, reached: 0, straggler: 0, inFlight: 0 });
    expect(site.results()).toEqual(['Cancelled']);
    expect(site.sent.at(-1)?.order.directive.action).toBe('Cancel');
  });
});

describe('a Stop', () => {
  const stop = (fence: number) => planOf({ fence, wave: { action: 'Stop' } });

  it('cancels who has not said Rebooting, and offers nobody anything', () => {
    const site = new TestSite({ plan: (fence) => planOf({ fence, wave: { maxInFlight: 2 } }), devices: [{}, {}, {}, {}] });
    for (let rounds = 0; rounds < 3; rounds++) site.round();
    site.restart(stop);
    expect(site.untilDone().counts).toMatchObject({ waiting: 0, inFlight: 0, confirmed: 0, matched: 4 });
    expect(site.results().toSorted()).toEqual(['Cancelled', 'Cancelled', undefined, undefined]);
    expect(site.devices.every(({ runs }) => runs === OLD)).toBe(true);
  });

  it('lets who is starting the image come to its end', () => {
    const site = new TestSite({ plan: (fence) => planOf({ fence }), devices: [{}, { end: 'RolledBack', code: 10 }] });
    for (let rounds = 0; rounds < 5; rounds++) site.round();
    site.restart(stop);
    site.untilDone();
    expect(site.results()).toEqual(['Confirmed', 'RolledBack']);
  });

  it('counts the same whenever it comes, and whenever its driver is killed', () => {
    for (let before = 0; before < 12; before++) {
      for (let kill = 0; kill < 8; kill++) {
        const site = new TestSite({ plan: (fence) => planOf({ fence }), devices: [{}, { end: 'RolledBack', code: 10 }] });
        for (let rounds = 0; rounds < before; rounds++) site.round();
        site.restart(stop);
        for (let rounds = 0; rounds < kill; rounds++) site.round();
        site.restart(stop);
        site.untilDone();
        for (const [at, device] of site.devices.entries()) {
          const result = site.results()[at];
          expect(result === 'Confirmed', `${before} ${kill} ${result}`).toBe(device.runs.digest === NEW.digest);
          if (before > 0) expect(result).toBeDefined();
        }
      }
    }
  });
});

describe('a Revert', () => {
  const revert = (fence: number) => planOf({ fence, wave: { action: 'Revert', perMinute: 1 } });

  it('takes back who has confirmed, at the pace of the wave, and cancels the others', () => {
    const site = new TestSite({ plan: (fence) => planOf({ fence }), devices: [{}, {}, { end: 'RolledBack', code: 10 }] });
    site.untilDone();
    site.restart(revert);
    const { counts } = site.untilDone();
    expect(site.results()).toEqual(['Reverted', 'Reverted', 'RolledBack']);
    expect(site.devices.every(({ runs }) => runs === OLD)).toBe(true);
    expect(counts).toMatchObject({ confirmed: 0, rolledBack: 1, waiting: 0 });
    const times = site.sent.filter(({ order }) => order.directive.action === 'Revert').map(({ at }) => at);
    expect(Math.abs((times[1] ?? 0) - (times[0] ?? 0))).toBeGreaterThanOrEqual(MINUTE);
    expect([...site.writes.values()].toSorted()).toEqual([1, 2, 2]);
  });

  it('goes on where the driver before was killed', () => {
    for (let kill = 0; kill < 12; kill++) {
      const site = new TestSite({ plan: (fence) => planOf({ fence }), devices: [{}] });
      site.untilDone();
      site.restart(revert);
      for (let rounds = 0; rounds < kill; rounds++) site.round();
      site.restart(revert);
      site.untilDone();
      expect(site.results()).toEqual(['Reverted']);
      expect([...site.writes.values()]).toEqual([2]);
    }
  });
});

describe('drivers of one wave', () => {
  it('share its devices, each of which has exactly one, and its pace', () => {
    const wave = { shards: 3, perMinute: 7, maxInFlight: 5 };
    const devices = Array.from({ length: 40 }, () => ({}));
    const sites = [0, 1, 2].map((shard) => new TestSite({ plan: (fence) => planOf({ fence, shard, wave }), devices }));
    const ticks = sites.map((site) => site.round());
    expect(ticks.reduce((sum, { counts }) => sum + (counts.matched ?? 0), 0)).toBe(40);
    expect(ticks.reduce((sum, { publish }) => sum + publish.length, 0)).toBe(5);
    expect(new Set(ticks.flatMap(({ publish }) => publish.map(({ uid }) => uid))).size).toBe(5);
  });

  it('take turns where the pace has less than one offer a minute for each', () => {
    const wave = { shards: 3, perMinute: 1, maxInFlight: 30 };
    const devices = Array.from({ length: 9 }, () => ({}));
    const sites = [0, 1, 2].map((shard) => new TestSite({ plan: (fence) => planOf({ fence, shard, wave }), devices }));
    const seen = new Set<string>();
    const offers = Array.from({ length: 12 }, () => {
      const before = seen.size;
      for (const site of sites) for (const { directive } of site.round(MINUTE).publish) seen.add(`${directive.aud} ${directive.nonce}`);
      return seen.size - before;
    });
    expect(offers.every((count) => count <= 1)).toBe(true);
    expect(offers.reduce((sum, count) => sum + count, 0)).toBe(9);
  });

  it('leave the work to the first where a budget cannot be shared', () => {
    const wish = { wave: { shards: 2 }, rollout: { disruption: [{ groupBy: 'site', maxUnavailable: '1' }] } };
    const devices = Array.from({ length: 6 }, () => ({}));
    const [first, second] = [0, 1].map((shard) => new TestSite({ plan: (fence) => planOf({ fence, shard, ...wish }), devices }));
    expect(first?.round().publish.length).toBe(1);
    expect(second?.round()).toMatchObject({ publish: [], phase: 'Done', counts: { matched: 0 } });
  });
});

describe('windows', () => {
  it('stages at any time and starts the image when the window opens', () => {
    const install = [{ cron: '0 18 * * *', duration: '2h', tz: 'UTC' }];
    const site = new TestSite({ plan: (fence) => planOf({ fence, rollout: { windows: { install } } }), devices: [{}] });
    site.untilDone();
    const [activate, ...before] = site.sent.toReversed();
    expect(new Set(before.map(({ order }) => order.directive.action))).toEqual(new Set(['Stage']));
    expect(activate?.order.directive.action).toBe('Activate');
    expect(activate?.at).toBeGreaterThanOrEqual(START + 6 * 3600_000);
    expect(site.results()).toEqual(['Confirmed']);
  });
});
