// The listener of the operator and the rights of drivers over real MQTT: what devices say reaches their records, and nobody hears or says more than their part.
import { createPrivateKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceStatus } from '../../operator/api/device.ts';
import { LISTENER, ROLLOUT_SEGMENT } from '../../operator/api/names.ts';
import { LISTENER_RIGHTS, ROLLOUT_RIGHTS } from '../../operator/broker/broker.ts';
import { hello, NEW, OLD, state } from '../../operator/firmware/testing/messages.ts';
import { createInventory } from '../../operator/inventory/inventory.ts';
import { KubeError } from '../../operator/kube/errors.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { createLog } from '../../operator/runtime/log.ts';
import { createMetrics, type Metrics } from '../../operator/runtime/metrics.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import type { Device } from '../broker/testing/device.ts';
import { waitFor } from '../harness/wait.ts';
import { OFFICE, type RoomWorld, rightsOf, startRoomWorld } from '../scenarios/broker-fixture.ts';

const THERMO = 'thermo-17.berlin';
const KEY = 'berlin/thermo-17';
const DRIVER = '-rollout-0123456789abcdef.-hedgerow';
const topic = (word: string, device = THERMO): string => `ota/v1/d/${device}/${word}`;
const CONFIRMED = { version: '2.4.0', digest: NEW, securityCounter: 5, release: 'berlin/pump-2', result: 'Confirmed' } as const;

let world: RoomWorld;
beforeEach(async () => {
  world = await startRoomWorld();
  world.wish.segments = [ROLLOUT_RIGHTS, LISTENER_RIGHTS, rightsOf(OFFICE)];
});
afterEach(async () => {
  stop?.abort(new Error('the test is over'));
  await world.stop();
});

/** With its text in force: whoever is connected at that moment is made to connect again. */
async function startedRoom(): Promise<ReturnType<RoomWorld['start']>> {
  const room = world.start();
  await waitFor('the text to be in force', async () => {
    const { body } = await world.standIn.request('GET', '/authorization/sources/file');
    return (body as { rules: string }).rules.includes('-rollout[.]-hedgerow') ? true : undefined;
  });
  return room;
}
async function allowed(device: Device, filter: string): Promise<void> {
  expect([filter, await device.subscribe(filter)]).toEqual([filter, 'granted 1']);
}

describe('the rights of drivers and of the listener', () => {
  it('let a driver tell and hear every device, and nothing else', async () => {
    await startedRoom();
    const [driver, thermo] = [await world.connect(DRIVER, ROLLOUT_SEGMENT), await world.connect(THERMO, OFFICE)];
    for (const word of ['state', 'hello', 'log', 'directive']) await allowed(driver, `ota/v1/d/+/${word}`);
    await allowed(thermo, topic('directive'));
    expect(await driver.publish(topic('directive'), { retain: true, payload: 'update' })).toBe('accepted');
    await thermo.waitMessages(1);
    expect(await thermo.publish(topic('state'), { retain: true, payload: 'Accepted' })).toBe('accepted');
    await waitFor('the state to arrive', () => (driver.received.some(({ payload }) => payload === 'Accepted') ? true : undefined));
    for (const one of ['state', 'hello', 'log']
      .map((word) => topic(word))
      .concat('dt/office.berlin/thermo-17.berlin/t', 'cmd/office.berlin/thermo-17.berlin/x'))
      expect([one, await driver.publish(one)]).toEqual([one, 'refused 135']);
    for (const one of [
      '#',
      '+/#',
      'ota/#',
      'ota/v1/#',
      'ota/v1/d/#',
      'ota/v1/d/+/#',
      'ota/v1/d/+/+',
      'dt/#',
      'cmd/#',
      '$SYS/#',
      '$share/g/dt/#',
    ])
      expect([one, await driver.subscribe(one)]).toEqual([one, 'refused 135']);
  });

  it('let the listener hear every device, and say nothing', async () => {
    await startedRoom();
    const listener = await world.connect(LISTENER, LISTENER);
    for (const word of ['state', 'hello', 'log', 'directive']) await allowed(listener, `ota/v1/d/+/${word}`);
    for (const word of ['state', 'hello', 'log', 'directive'])
      expect([word, await listener.publish(topic(word), { retain: true })]).toEqual([word, 'refused 135']);
    expect(await listener.subscribe('ota/v1/d/#')).toBe('refused 135');
  });

  it('are no rights of a device', async () => {
    await startedRoom();
    const thermo = await world.connect(THERMO, OFFICE);
    await allowed(thermo, topic('directive'));
    for (const device of [THERMO, 'other.berlin'])
      expect(await thermo.publish(topic('directive', device), { retain: true })).toBe('refused 135');
    for (const one of ['ota/v1/d/+/state', 'ota/v1/d/+/directive', topic('state', 'other.berlin'), topic('directive', 'other.berlin')])
      expect([one, await thermo.subscribe(one)]).toEqual([one, 'refused 135']);
  });

  it('go with a certificate that is no driver any more', async () => {
    const room = await startedRoom();
    const driver = await world.connect(DRIVER, ROLLOUT_SEGMENT);
    await allowed(driver, 'ota/v1/d/+/state');
    world.wish.verdicts.set(DRIVER, 'unknown');
    room.wake('a driver is gone');
    await driver.waitClosed();
    expect(await world.attempt(await world.identity(DRIVER, ROLLOUT_SEGMENT))).toMatchObject({ ok: false });
  });
});

let stop: AbortController | undefined;
let written: { key: string; status: DeviceStatus }[];
let events: string[];
let lines: string[];
let metrics: Metrics;
let firmware: DeviceStatus['firmware'];
/** Writes that come too late: somebody else was first. */
let conflicts = 0;

/** As a process of the operator; what it writes is what its cache shows a moment later. */
async function startListener(): Promise<void> {
  stop = new AbortController();
  [written, events, lines, firmware, metrics] = [[], [], [], undefined, createMetrics()];
  const identity = await world.identity(LISTENER, LISTENER);
  const caFile = join(world.dir, 'listener-ca.pem');
  writeFileSync(caFile, world.broker.caPem);
  let version = 1;
  const inventory = createInventory({
    client: {
      mergePatch: async (_type, { namespace, name }, patch) => {
        const { metadata, status } = patch as { metadata: { resourceVersion: string }; status: DeviceStatus };
        expect(metadata.resourceVersion).toBe(String(version));
        if (conflicts-- > 0) throw new KubeError({ status: 409, reason: 'Conflict', message: 'the object has been modified' });
        written.push({ key: `${namespace}/${name}`, status });
        firmware = Object.fromEntries(
          Object.entries({ ...firmware, ...status.firmware }).map(([name, record]) => [name, merged(firmware?.[name], record)]),
        );
        version++;
        return { metadata: { resourceVersion: String(version) } } as never;
      },
    },
    target: { host: '127.0.0.1', port: world.standIn.mqttPort },
    caFile,
    certificate: async () => ({
      certificate: identity.certPem,
      key: createPrivateKey(identity.keyPem),
      md5: identity.md5,
      notAfterMs: systemClock.now() + 86_400_000,
    }),
    devices: {
      get: (key) =>
        key === KEY
          ? { uid: 'u', resourceVersion: String(version), status: { ...(firmware === undefined ? {} : { firmware }) } }
          : undefined,
      keyOf: (name) => name.split('.').reverse().join('/'),
    },
    recorder: { event: (regarding, { reason, message }) => void events.push(`${regarding.name} ${reason}: ${message}`) },
    settleMs: 300,
    ...{ clock: systemClock, random: systemRandom, metrics },
    log: createLog({ level: 'debug', write: (line) => void lines.push(line) }),
  });
  for (const part of [inventory, inventory.controller]) void part.run(stop.signal);
}
/** RFC 7386, as much as a record needs. */
const merged = (before: object | undefined, patch: object): never =>
  Object.fromEntries(Object.entries({ ...before, ...patch }).filter(([, value]) => value !== null)) as never;
const until = (what: string, is: () => boolean): Promise<true> =>
  waitFor(what, () => (is() ? true : undefined), { timeoutMs: 60_000, everyMs: 20, describe: () => lines.slice(-5).join('') });
const taken = async (): Promise<Record<string, number>> => {
  const { values } = await (
    metrics.registry.getSingleMetric('fleet_firmware_messages_total') as {
      get(): Promise<{ values: { value: number; labels: { result?: string } }[] }>;
    }
  ).get();
  return Object.fromEntries(values.map(({ value, labels }) => [labels.result ?? '', value]));
};
const listening = (): Promise<true> => until('the operator to listen', () => lines.some((line) => line.includes('hears what devices say')));
const say = async (device: Device, word: 'hello' | 'state', message: object | string): Promise<void> =>
  expect(
    await device.publish(topic(word), {
      retain: word === 'state',
      payload: typeof message === 'string' ? message : JSON.stringify(message),
    }),
  ).toBe('accepted');

describe('the listener', () => {
  it('writes what a device runs once, and once more when it goes back after it had confirmed', async () => {
    world.start();
    await startListener();
    await listening();
    const thermo = await world.connect(THERMO, OFFICE);
    conflicts = 2;
    for (let n = 1; n <= 3; n++) await say(thermo, 'hello', hello({ n }));
    await until('the record', () => firmware !== undefined);
    expect(firmware).toEqual({ app: { version: '2.3.0', digest: OLD, securityCounter: 4 } });
    // A driver has written its end meanwhile.
    firmware = { app: { ...CONFIRMED } };
    await say(thermo, 'hello', hello({ boot: 9 }));
    await until('the rollback', () => firmware?.app?.result === 'RolledBack');
    expect(firmware?.app).toMatchObject({ version: '2.3.0', digest: OLD, securityCounter: 4, release: 'berlin/pump-2' });
    expect(events).toEqual(['thermo-17 FirmwareRolledBack: app: it had confirmed berlin/pump-2 and runs 2.3.0 now']);
    for (let n = 1; n <= 20; n++) await say(thermo, 'hello', hello({ boot: 10, n }));
    await until('all to be heard', () => true);
    // At QoS 1 one may come twice.
    await waitFor('24 hellos', async () => (((await taken()).taken ?? 0) >= 24 ? true : undefined), { timeoutMs: 60_000 });
    expect(written.map(({ key }) => key)).toEqual([KEY, KEY]);
  });

  it('leaves the record to the driver while a directive is at work, and drops what is none of the protocol', async () => {
    world.start();
    await startListener();
    await listening();
    const [thermo, ghost] = [await world.connect(THERMO, OFFICE), await world.connect('ghost.berlin', OFFICE)];
    firmware = { app: { version: '2.3.0', digest: OLD, securityCounter: 4 } };
    await say(thermo, 'state', state({ state: 'Testing', boot: 4, digest: NEW }));
    await say(thermo, 'hello', hello({ boot: 4 }, NEW));
    for (const bad of ['', 'x', '{}', JSON.stringify(hello({ device: 'other.berlin' })), 'x'.repeat(20_000)])
      await say(thermo, 'hello', bad);
    expect(await ghost.publish(topic('hello', 'ghost.berlin'), { payload: JSON.stringify(hello({ device: 'ghost.berlin' })) })).toBe(
      'accepted',
    );
    await waitFor('all to be heard', async () => {
      const { unknown = 0, 'HR-FW-101': large = 0, 'HR-FW-102': malformed = 0, 'HR-FW-103': other = 0 } = await taken();
      return unknown + large + malformed + other === 6 ? true : undefined;
    });
    expect(await taken()).toMatchObject({ taken: 2, unknown: 1, 'HR-FW-101': 1, 'HR-FW-102': 3, 'HR-FW-103': 1 });
    await systemClock.sleep(1000);
    expect(written).toEqual([]);
    await say(thermo, 'state', state({ state: 'Confirmed', boot: 4, n: 2, digest: NEW, selfTest: 0 }));
    await until('the record', () => firmware?.app?.digest === NEW);
    expect(written).toHaveLength(1);
    // Nothing that a device wrote is in the log.
    expect(lines.join('')).not.toContain('http-range');
  });

  it('waits for its rights, and comes back when it was thrown out', async () => {
    await startListener();
    await until('a refusal', () => lines.some((line) => line.includes('does not let the listener hear')));
    world.start();
    await listening();
    await world.standIn.request('DELETE', `/clients/${LISTENER}`);
    lines.length = 0;
    await listening();
    const thermo = await world.connect(THERMO, OFFICE);
    await say(thermo, 'hello', hello({}));
    await until('the record', () => firmware !== undefined);
  });
});
