// The CAs of devices at the listener of the stand-in, written by the operator's own room over the real REST API: what handshakes and live connections make of it.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Broker } from '../../operator/broker/broker.ts';
import type { Device } from '../broker/testing/device.ts';
import { type DeviceCa, type Identity, makeDeviceCa, subject } from '../broker/testing/pki.ts';
import { waitFor } from '../harness/wait.ts';
import { OFFICE, type RoomWorld, startRoomWorld } from './broker-fixture.ts';

const PATIENT = { timeoutMs: 40_000 };
let world: RoomWorld;
let room: Broker;
/** The same name, another key: a CA before and after its rotation. */
let next: DeviceCa;
let old: Identity;
let fresh: Identity;
let oldDevice: Device;

beforeAll(async () => {
  world = await startRoomWorld();
  next = await makeDeviceCa('device-ca');
  old = await world.ca.issue(subject('hedgerow', OFFICE, 'old.berlin'));
  fresh = await next.issue(subject('hedgerow', OFFICE, 'new.berlin'));
  world.wish.trust = { cas: ['old'], pem: world.ca.certPem };
  room = world.start();
});
afterAll(() => world?.stop());

const untilTrusted = (ca: string, is = true): Promise<unknown> =>
  waitFor(`the broker to ${is ? 'trust' : 'drop'} the CA`, () => (room.trustsCa(ca) === is ? true : undefined), PATIENT);
const trust = (cas: Record<string, DeviceCa>): void => {
  world.wish.trust = { cas: Object.keys(cas), pem: Object.values(cas).reduce((all, { certPem }) => `${all}${certPem}\n`, '') };
  room.wake('the CAs of devices changed');
};
const enters = async (who: Identity): Promise<boolean> => (await world.attempt(who)).ok;

it('before the rotation only certificates of the old CA get through, though the new one has its name', async () => {
  await untilTrusted('old');
  // Whoever connects before the rights are there is sent to connect again.
  await waitFor('the rights to be in force', () => (room.authorization('old.berlin', OFFICE).state === 'ok' ? true : undefined), PATIENT);
  const attempt = await world.attempt(old);
  if (!attempt.ok) throw new Error(attempt.error);
  oldDevice = attempt.device;
  expect(await enters(fresh)).toBe(false);
  expect(room.trustsCa('new')).toBe(false);
});

it('as soon as the room says that the new CA is in force, its certificates get through, and connections of the old one stay', async () => {
  trust({ old: world.ca, new: next });
  await untilTrusted('new');
  expect(await enters(fresh)).toBe(true);
  expect(await enters(await world.ca.issue(subject('hedgerow', OFFICE, 'another.berlin')))).toBe(true);
  expect(oldDevice.closed).toBe(false);
  expect(await oldDevice.publish(`dt/${OFFICE}/old.berlin/x`)).toBe('accepted');
});

it.each([
  ['killed', false],
  ['killed, with its memory gone', true],
])('a broker that was %s lets both in again', async (_, wipe) => {
  await world.standIn.kill();
  await world.standIn.restart({ wipe });
  await waitFor('both to get in', async () => ((await enters(fresh)) && (await enters(old)) ? true : undefined), PATIENT);
});

it('a new operator finds them there, and gives the same again without a connection lost', async () => {
  const attempt = await world.attempt(old);
  if (!attempt.ok) throw new Error(attempt.error);
  await world.halt();
  room = world.start();
  await untilTrusted('new');
  expect(attempt.device.closed).toBe(false);
  oldDevice = attempt.device;
});

it('when the old CA leaves, its certificates make no new connection; one that lasts is not broken off', async () => {
  trust({ new: next });
  await untilTrusted('old', false);
  expect(await enters(old)).toBe(false);
  expect(await enters(fresh)).toBe(true);
  expect(oldDevice.closed).toBe(false);
});
