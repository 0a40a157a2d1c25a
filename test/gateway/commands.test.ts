// Commands on real sockets: somebody has recorded 10,000 of them at the broker and may publish whatever he likes.

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Command, commandTopic, readCommandSigner } from '../../operator/api/command.ts';
import type { Device } from '../broker/testing/device.ts';
import { startWorld, type World } from '../broker/testing/world.ts';
import { waitFor } from '../harness/wait.ts';
import { type Commanded, powerOn } from '../simulator/command/commanded.ts';
import { directoryFlash } from '../simulator/firmware/flash.ts';

const SEGMENT = 'fans.berlin';
const GATEWAY = 'gateway.berlin';
const COUNT = 10_000;
/** The broker keeps so many for a subscriber that is slower than who publishes. */
const AT_ONCE = 400;

type Sent = { topic: string; bytes: Buffer };
/** `heard`: all that came; `done`: what was executed. */
type Powered = Commanded & { name: string; heard: number; done: number[] };

let world: World;
let dir: string;
let recorded: Sent[];
let attacker: Device;

beforeAll(async () => {
  world = await startWorld();
  await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: '{allow, all}.\n' } });
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-commands-'));
  const { keyPem, certPem } = await world.identity(GATEWAY, 'gateways.berlin');
  const signer = readCommandSigner(keyPem, certPem);
  if ('problem' in signer) throw new Error(signer.problem);
  const now = Date.now();
  recorded = Array.from({ length: COUNT }, (_, n) => {
    const command: Command = {
      ...{ v: 1, aud: 'fan-1.berlin', seq: now + n, nonce: n.toString(16).padStart(32, '0'), iat: now, exp: now + 3_600_000 },
      ...{ name: 'speed', args: { n } },
    };
    return { topic: commandTopic(SEGMENT, command), bytes: signer.sign(command) };
  });
  attacker = await world.connect('attacker.berlin', 'fans.berlin');
});

afterAll(async () => {
  await world?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** The device is started with what is in its memory. */
function start(name: string): Powered {
  const done: number[] = [];
  const device = powerOn({
    ...{ segment: SEGMENT, device: name, cas: [new X509Certificate(world.ca.certPem)], revoked: new Set<string>() },
    flash: unsynced(name),
    grants: [{ sender: GATEWAY, commands: ['speed'] }],
    now: Date.now,
    execute: ({ args }) => void done.push(args.n as number),
  });
  return { ...device, name, done, heard: 0 };
}

/** Until what comes back is called. */
async function connect(device: Powered): Promise<() => Promise<void>> {
  const session = await world.connect(device.name, SEGMENT);
  session.client.on('message', (topic, payload) => {
    device.receive(topic, payload);
    device.heard += 1;
  });
  await session.subscribe(`cmd/${SEGMENT}/${device.name}/#`);
  return () => {
    session.client.end(true);
    return session.waitClosed();
  };
}

/** A power cut is not what is tried here: 10,000 times fsync would be most of the time. */
const unsynced = (name: string) => ({ ...directoryFlash(join(dir, name)), sync: () => undefined });

async function publish(all: readonly Sent[], to: Powered): Promise<void> {
  const before = to.heard;
  for (let from = 0; from < all.length; from += AT_ONCE) {
    const some = all.slice(from, from + AT_ONCE);
    await Promise.all(some.map(({ topic, bytes }) => attacker.client.publishAsync(topic, bytes, { qos: 1 })));
    await waitFor('the device to have heard them', () => Promise.resolve(to.heard - before >= from + some.length ? true : undefined));
  }
}

describe('10,000 recorded commands', () => {
  it('are done once each; live again, after a reconnect, after a reboot and to another device none is', async () => {
    const device = start('fan-1.berlin');
    const disconnect = await connect(device);
    await publish(recorded, device);
    expect(device.done).toEqual(recorded.map((_, n) => n));
    device.done.length = 0;
    await publish(recorded, device);
    await disconnect();

    const leave = await connect(device);
    await publish(recorded, device);
    await leave();

    const rebooted = start('fan-1.berlin');
    await connect(rebooted);
    await publish(recorded, rebooted);

    const other = start('fan-2.berlin');
    await connect(other);
    await publish(
      recorded.map(({ topic, bytes }) => ({ topic: topic.replace('fan-1', 'fan-2'), bytes })),
      other,
    );
    expect([device.done, rebooted.done, other.done]).toEqual([[], [], []]);
    expect([device.heard, rebooted.heard, other.heard]).toEqual([3 * COUNT, COUNT, COUNT]);
  });
});
