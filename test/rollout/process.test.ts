// `operator rollout` as a process, on real sockets: broker, artifacts, and devices with flash and bootloader that share no code with it.
import { afterEach, describe, expect, it } from 'vitest';
import { type Nature, type RolloutSite, startSite, untilDone } from './site.ts';

let site: RolloutSite | undefined;
afterEach(async () => {
  await site?.stop();
  site = undefined;
});

async function running(natures: readonly Nature[], rollout: object = {}): Promise<RolloutSite> {
  site = await startSite(natures, rollout);
  return site;
}

describe('a rollout Job', () => {
  it('brings devices to the end that is right, writes each once, and exits 0', async () => {
    const { devices, startDriver, records, api, good, ...rest } = await running([
      {},
      {},
      {},
      { selfTest: (image) => (image.length > 100_000 ? 4 : 0) },
      { hasBootKey: false },
    ]);
    await Promise.all(devices.map((device) => device.start()));
    const driver = startDriver();
    const exit = await driver.exited;
    console.log(driver.log());
    expect(exit).toBe(0);
    expect(records().map((record) => [record?.result, record?.proof, record?.code])).toEqual([
      ['Confirmed', 'Proven', undefined],
      ['Confirmed', 'Proven', undefined],
      ['Confirmed', 'Proven', undefined],
      ['RolledBack', undefined, 10],
      ['Confirmed', 'Unproven', undefined],
    ]);
    expect(devices.map((device) => device.booted()?.digest === good.digest)).toEqual([true, true, true, false, true]);
    expect(rest.shard()).toMatchObject({ phase: 'Done', counts: { matched: 5, confirmed: 4, unproven: 1, rolledBack: 1, inFlight: 0 } });
    expect(api.calls.get('PATCH devices/status')).toBe(5);
  });
});
void untilDone;
