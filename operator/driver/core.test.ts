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

  it('takes a device that does not answer out of the denominator, and in again when it does', () => {
    const site = new TestSite({ plan: (fence) => planOf({ fence }), devices: [{ isAway: true }] });
    site.round();
    expect(site.round().counts).toMatchObject({ inFlight: 1, reached: 0, straggler: 0 });
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
