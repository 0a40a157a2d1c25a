import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { Device } from '../../../operator/api/device.ts';
import { FakeClock } from '../../../operator/runtime/clock.ts';
import { silentLog } from '../../../operator/runtime/log.ts';
import { Refused } from '../errors.ts';
import { knownDevice } from './devices.ts';
import { openDevicesFile, readDevices } from './devices-file.ts';

const thermo = { name: 'thermo-1.berlin', uid: 'u1', segment: 'office.berlin', labels: { floor: '3' }, lifecycle: 'Active' as const };

const object = (lifecycle: 'Active' | 'Quarantined' | 'Revoked' | undefined, ...conditions: string[]): Device =>
  ({
    metadata: { name: 'thermo-1', namespace: 'berlin', uid: 'u1', labels: { floor: '3' } },
    spec: { segment: 'office', ...(lifecycle === undefined ? {} : { lifecycle }) },
    status: { conditions: conditions.map((type) => ({ type, status: 'True' })) },
  }) as unknown as Device;

describe('a Device', () => {
  it('is known by the names that certificates and topics have', () => {
    expect(knownDevice(object(undefined), 'berlin')).toEqual(thermo);
  });

  it.each([
    ['its manifest', object('Quarantined'), 'Quarantined'],
    ['an Intervention', object('Active', 'Quarantined'), 'Quarantined'],
    ['the stricter of both', object('Revoked', 'Quarantined'), 'Revoked'],
    ['a revocation', object('Quarantined', 'Revoked'), 'Revoked'],
  ] as const)('is kept out by %s', (_, device, lifecycle) => {
    expect(knownDevice(device, 'berlin').lifecycle).toBe(lifecycle);
  });
});

describe('the file of devices', () => {
  let dir: string | undefined;
  afterEach(async () => {
    if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  });

  it.each([
    ['is no JSON', '[{'],
    ['is no list', '{}'],
    ['has a field that none has', JSON.stringify([{ ...thermo, secret: 1 }])],
    ['has a name with a wildcard', JSON.stringify([{ ...thermo, name: '+.berlin' }])],
    ['has a uid that is two words', JSON.stringify([{ ...thermo, uid: 'u1 named' }])],
    ['has a device twice', JSON.stringify([thermo, thermo])],
    ['has a device in a segment of another site', JSON.stringify([{ ...thermo, segment: 'office.paris' }])],
  ])('is refused when it %s', (_, text) => {
    expect(() => readDevices(text)).toThrow(/^HR-GW-301/);
  });

  it('gives devices or a refusal, whatever is in it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          readDevices(text);
        } catch (error) {
          expect(error).toBeInstanceOf(Refused);
        }
      }),
    );
  });

  it('is followed; while it does not read, those before stay known', async () => {
    dir = await mkdtemp(join(tmpdir(), 'hedgerow-devices-'));
    const file = join(dir, 'devices.json');
    await writeFile(file, JSON.stringify([thermo]));
    const clock = new FakeClock();
    let changes = 0;
    const devices = await openDevicesFile({ file, clock, log: silentLog, onChange: () => changes++ });
    const stop = new AbortController();
    const running = devices.run(stop.signal);
    const until = async (is: () => boolean): Promise<void> => {
      while (!is()) await clock.advance(10_000);
    };
    expect(devices.get('thermo-1.berlin')).toEqual(thermo);
    await writeFile(file, '[');
    await clock.advance(30_000);
    expect([...devices.all()]).toEqual([thermo]);
    await writeFile(file, '[]');
    await until(() => changes === 1);
    expect(devices.get('thermo-1.berlin')).toBeUndefined();
    stop.abort();
    await running;
  });
});
