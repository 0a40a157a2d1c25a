// The broker room against the stand-in: what it makes true, what it repairs, whom it throws out, and what it leaves alone.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Broker } from '../../operator/broker/broker.ts';
import { waitFor } from '../harness/wait.ts';
import { LAB, OFFICE, type RoomWorld, rightsOf, startRoomWorld } from './broker-fixture.ts';

const THERMO = 'thermo-1.berlin';
const own = `dt/${OFFICE}/${THERMO}/t`;
const ownCommands = `cmd/${OFFICE}/${THERMO}/#`;
const revoked = (who: string) => ({ as: 'clientid' as const, who, until: 'infinity', reason: 'device revoked', by: `hedgerow/${who}` });

let world: RoomWorld;
beforeEach(async () => {
  world = await startRoomWorld();
});
afterEach(() => world.stop());

const authorized = (room: Broker, client = THERMO, segment = OFFICE) =>
  waitFor(`${client} to be authorized`, () => (room.authorization(client, segment).state === 'ok' ? true : undefined), {
    timeoutMs: 10_000,
    everyMs: 10,
    describe: () => JSON.stringify(room.authorization(client, segment)),
  });

describe('a broker that is ours', () => {
  it('gets the rights of all segments, and a device may do exactly what its segment grants', async () => {
    const room = world.start();
    await authorized(room);
    const device = await world.connect(THERMO, OFFICE);
    expect(await device.publish(own)).toBe('accepted');
    expect(await device.publish(own, { retain: true })).toBe('refused 135');
    expect(await device.publish(`dt/${OFFICE}/thermo-2.berlin/t`)).toBe('refused 135');
    expect(await device.subscribe(ownCommands)).toMatch(/^granted/);
    expect(await device.subscribe('#')).toBe('refused 135');
    expect(await device.publish(`ota/v1/d/${THERMO}/state`, { retain: true })).toBe('accepted');
  });

  it('throws a revoked device out and refuses it from then on', async () => {
    const room = world.start();
    await authorized(room);
    const device = await world.connect(THERMO, OFFICE);
    world.wish.bans = [revoked(THERMO)];
    room.wake('revoked', true, THERMO);
    await waitFor('the connection to be closed', () => (device.closed ? true : undefined), { timeoutMs: 5000, everyMs: 5 });
    await waitFor('the ban to be seen', () => (room.banned(THERMO) ? true : undefined), { timeoutMs: 5000, everyMs: 5 });
    await expect(world.connect(THERMO, OFFICE)).rejects.toThrow('could not connect');
  });
});
