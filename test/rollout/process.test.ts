// `operator rollout` as a process, on real sockets: broker, artifacts, and devices with flash and bootloader that share no code with it.
import { afterEach, describe, expect, it } from 'vitest';
import { pause, waitFor } from '../harness/wait.ts';
import { forger } from '../simulator/firmware/liars.ts';
import { type Driver, LEASE, type Nature, OPERATOR, type RolloutSite, SITE, startSite, WAVE } from './site.ts';

let site: RolloutSite | undefined;
afterEach(async () => {
  await site?.stop();
  site = undefined;
});

async function running(natures: readonly Nature[], rollout: object = {}, counter?: number): Promise<RolloutSite> {
  site = await startSite(natures, rollout, counter);
  await Promise.all(site.devices.map((device) => device.start()));
  return site;
}

const fails: Nature = { selfTest: (image) => (image.length > 100_000 ? 4 : 0) };
const results = ({ records }: RolloutSite): unknown[] => records().map((record) => record?.result);
const anybodyEnded = (one: RolloutSite): true | undefined => (results(one).some((result) => result !== undefined) ? true : undefined);

describe('a rollout Job', () => {
  it('brings devices to the end that is right, writes each once, and exits 0', async () => {
    const one = await running([{}, {}, {}, fails, { hasBootKey: false }]);
    expect(await one.startDriver().exited).toBe(0);
    expect(one.records().map((record) => [record?.result, record?.proof, record?.code])).toEqual([
      ['Confirmed', 'Proven', undefined],
      ['Confirmed', 'Proven', undefined],
      ['Confirmed', 'Proven', undefined],
      ['RolledBack', undefined, 10],
      ['Confirmed', 'Unproven', undefined],
    ]);
    expect(one.devices.map((device) => device.booted()?.digest === one.good.digest)).toEqual([true, true, true, false, true]);
    expect(one.shard()).toMatchObject({ phase: 'Done', counts: { matched: 5, confirmed: 4, unproven: 1, rolledBack: 1, inFlight: 0 } });
    expect(one.api.calls.get('PATCH devices/status')).toBe(5);
    expect(one.api.calls.get('GET devices')).toBeUndefined();
  });

  it('counts a forger of consistent reports where no boot key is registered, and not where one is', async () => {
    const liar: Nature['liar'] = (target) => forger(target);
    const one = await running(
      [
        { liar, hasBootKey: false, selfTest: () => 1 },
        { liar, selfTest: () => 1 },
      ],
      { timeouts: { install: '5s' } },
    );
    expect(await one.startDriver().exited).toBe(0);
    expect(one.records().map((record) => [record?.result, record?.proof])).toEqual([
      ['Confirmed', 'Unproven'],
      ['TimedOut', undefined],
    ]);
    expect(one.devices.map((device) => device.booted()?.digest)).toEqual([one.old.digest, one.old.digest]);
  });

  it('counts the same when it is killed ten times, at any point', async () => {
    const natures = Array.from({ length: 24 }, (_, at): Nature => (at % 6 === 5 ? fails : {}));
    const one = await running(natures);
    one.changeWave({ maxInFlight: 2 });
    let driver: Driver | undefined;
    for (let kills = 0; kills < 10; kills++) {
      driver = one.startDriver();
      await Promise.race([driver.exited, pause(800 + Math.random() * 4000)]);
      driver.kill('SIGKILL');
      await driver.exited;
      // As if its time had passed.
      one.api.remove(`${OPERATOR}/leases`, LEASE);
    }
    expect(await one.startDriver().exited).toBe(0);
    expect(results(one)).toEqual(natures.map((nature) => (nature === fails ? 'RolledBack' : 'Confirmed')));
    expect(one.shard()?.counts).toMatchObject({ matched: 24, offered: 24, reached: 24, confirmed: 20, rolledBack: 4, failed: 0, lost: 0 });
    expect(one.api.changes.get('PATCH devices/status')).toBe(24);
  }, 240_000);

  it('counts the same when the broker is killed in between and loses everything that it kept', async () => {
    const natures = Array.from({ length: 12 }, (_, at): Nature => (at % 6 === 5 ? fails : {}));
    const one = await running(natures);
    one.changeWave({ maxInFlight: 3 });
    const driver = one.startDriver();
    await waitFor('the first end', () => anybodyEnded(one), { timeoutMs: 60_000 });
    for (let kills = 0; kills < 2; kills++) {
      await one.standIn.kill();
      await one.standIn.restart();
      await pause(1500);
    }
    expect(await driver.exited).toBe(0);
    expect(results(one)).toEqual(natures.map((nature) => (nature === fails ? 'RolledBack' : 'Confirmed')));
    expect(one.shard()?.counts).toMatchObject({ matched: 12, confirmed: 10, rolledBack: 2, inFlight: 0, waiting: 0 });
  }, 240_000);

  it('acts on no device when it was stopped and wakes after another has taken over', async () => {
    const natures = Array.from({ length: 12 }, (): Nature => ({}));
    const one = await startSite(natures);
    site = one;
    // The last one is never there, so nobody is done.
    await Promise.all(one.devices.slice(0, -1).map((device) => device.start()));
    one.changeWave({ maxInFlight: 3 });
    const [first, fence] = [one.startDriver(), 1];
    await waitFor('the first end', () => anybodyEnded(one), { timeoutMs: 60_000 });
    first.kill('SIGSTOP');
    const second = one.startDriver();
    await waitFor('the second driver at work', () => one.directives.find((directive) => directive.fence > fence), { timeoutMs: 120_000 });
    const before = one.directives.length;
    first.kill('SIGCONT');
    expect(await first.exited).toBe(75);
    await waitFor(
      'all that are there to be done',
      () => results(one).filter((result) => result === 'Confirmed').length === 11 || undefined,
      {
        timeoutMs: 120_000,
      },
    );
    expect(one.directives.slice(before).filter((directive) => directive.fence === fence)).toEqual([]);
    expect(one.api.changes.get('PATCH devices/status')).toBe(11);
    second.kill('SIGTERM');
    expect(await second.exited).toBe(75);
  }, 300_000);

  it('stops within 5 s of SIGTERM: the entry in the wave is written, the Lease given back', async () => {
    const one = await startSite([{}]);
    site = one;
    const driver = one.startDriver();
    await waitFor('the first directive', () => one.directives[0], { timeoutMs: 60_000 });
    const at = performance.now();
    driver.kill('SIGTERM');
    expect(await driver.exited).toBe(75);
    expect(performance.now() - at).toBeLessThan(5000);
    expect(one.shard()).toMatchObject({ phase: 'Running', counts: { inFlight: 1, reached: 0 } });
    expect(one.api.get(`${OPERATOR}/leases`, LEASE)?.spec).toMatchObject({ holderIdentity: '' });
    expect(one.api.list(`${OPERATOR}/certificaterequests`)).toEqual([]);
  });

  it('takes devices back that have confirmed, and stays by what it wrote', async () => {
    const one = await running([{}, {}], {}, 4);
    expect(await one.startDriver().exited).toBe(0);
    one.changeWave({ action: 'Revert' });
    expect(await one.startDriver().exited).toBe(0);
    expect(one.records().map((record) => [record?.result, record?.digest])).toEqual([
      ['Reverted', one.old.digest],
      ['Reverted', one.old.digest],
    ]);
    expect(one.devices.map((device) => device.booted()?.digest)).toEqual([one.old.digest, one.old.digest]);
    expect(one.api.calls.get('PATCH devices/status')).toBe(4);
  });

  it('leaves a device that may not go back as it is, and says so', async () => {
    const one = await running([{}]);
    expect(await one.startDriver().exited).toBe(0);
    one.changeWave({ action: 'Revert' });
    expect(await one.startDriver().exited).toBe(0);
    expect(results(one)).toEqual(['Confirmed']);
    expect(one.devices[0]?.booted()?.digest).toBe(one.good.digest);
    expect(one.shard()).toMatchObject({
      phase: 'Done',
      counts: { confirmed: 1 },
      failureSamples: [{ device: 'dev-0.berlin', code: 'NotReverted' }],
    });
  });

  it('ends with 0 when its wave is completed, or deleted', async () => {
    const one = await startSite([{}]);
    site = one;
    const completed = one.startDriver();
    await waitFor('the first directive', () => one.directives[0], { timeoutMs: 60_000 });
    one.changeWave({}, { phase: 'Completed' });
    expect(await completed.exited).toBe(0);
    one.changeWave({}, { phase: 'Running' });
    const deleted = one.startDriver();
    await waitFor('the next directive', () => one.directives.find(({ fence }) => fence === 2), { timeoutMs: 60_000 });
    one.api.remove(`${SITE}/firmwarewaves`, WAVE);
    expect(await deleted.exited).toBe(0);
  });

  it.each([
    ['65 where another root is pinned', [`--firmware-root=${'0'.repeat(64)}`], {}, 65],
    ['65 where the catalog holds another statement than the wave is for', [], { manifestDigest: `sha256:${'3'.repeat(64)}` }, 65],
    ['75 where the catalog is not there', [], { catalog: 'elsewhere' }, 75],
    ['0 where the release is gone', [], { release: { name: 'gone', namespace: 'releases', uid: 'x', generation: 1 } }, 0],
    ['2 where a flag is wrong', ['--shard=x'], {}, 2],
  ])('ends with %s, and tells no device anything', async (_, args, wave, code) => {
    const one = await startSite([{}]);
    site = one;
    one.changeWave(wave);
    const driver = one.startDriver(args, code === 65 && args.length > 0);
    expect(await driver.exited).toBe(code);
    expect(one.directives).toEqual([]);
    expect(driver.log()).not.toContain('PRIVATE KEY');
  });
});
