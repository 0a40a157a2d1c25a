// Recorded commands that come again, and power cuts: what a command asks for is done once or not at all.
import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Command, commandTopic, readCommandSigner } from '../../../operator/api/command.ts';
import { afterCut, type Cut, type Flash, memoryFlash, type Operation, recording } from '../firmware/flash.ts';
import { type Commanded, powerOn } from './commanded.ts';
import { der, sender, siteCa } from './testing/senders.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const SEGMENT = 'fans.berlin';
const DEVICE = 'fan-1.berlin';
const COUNT = 2_000;

type Sent = { topic: string; bytes: Buffer };

let cas: X509Certificate[];
let recorded: Sent[];
let nowMs: number;

beforeAll(async () => {
  const ca = await siteCa('devices of berlin', NOW);
  const { keyPem, chainPem } = await sender(ca, 'gateway.berlin', NOW);
  cas = [new X509Certificate(der(ca))];
  const signer = readCommandSigner(keyPem, chainPem);
  if ('problem' in signer) throw new Error(signer.problem);
  recorded = Array.from({ length: COUNT }, (_, n) => {
    const command: Command = {
      ...{ v: 1, aud: DEVICE, seq: NOW + n, nonce: n.toString(16).padStart(32, '0'), iat: NOW + n, exp: NOW + n + 3_600_000 },
      ...{ name: 'speed', args: { n } },
    };
    return { topic: commandTopic(SEGMENT, command), bytes: signer.sign(command) };
  });
});

function device(flash: Flash, name = DEVICE): Commanded & { done: number[] } {
  const done: number[] = [];
  const made = powerOn({
    ...{ segment: SEGMENT, device: name, cas, revoked: new Set<string>(), flash },
    grants: [{ sender: 'gateway.berlin', commands: ['speed'] }],
    now: () => nowMs,
    execute: ({ args }) => void done.push(args.n as number),
  });
  return { ...made, done };
}
const hear = (one: Commanded, all: readonly Sent[]): void => {
  for (const { topic, bytes } of all) one.receive(topic, bytes);
};

describe('2,000 recorded commands (10,000 over sockets: test/gateway/commands.test.ts)', () => {
  it('are each done once; sent again, in any order, after a reboot or to another device, none is', () => {
    nowMs = NOW + COUNT;
    const flash = memoryFlash();
    const first = device(flash);
    hear(first, recorded);
    expect(first.done).toEqual(recorded.map((_, n) => n));
    first.done.length = 0;
    hear(first, recorded);
    hear(first, recorded.toReversed());
    const rebooted = device(memoryFlash(flash.files));
    hear(rebooted, recorded);
    const other = device(memoryFlash(), 'fan-2.berlin');
    hear(other, recorded);
    hear(
      other,
      recorded.map(({ topic, bytes }) => ({ topic: topic.replace(DEVICE, 'fan-2.berlin'), bytes })),
    );
    expect([first.done, rebooted.done, other.done]).toEqual([[], [], []]);
  });

  it('whose time is over are done by nobody, also not by a device that has never heard one', () => {
    nowMs = NOW + COUNT + 3_600_000;
    const one = device(memoryFlash());
    hear(one, recorded.slice(0, 500));
    expect(one.done).toEqual([]);
  });
});

it('a power cut after any write, torn or lost: no command is done twice, and the next one is done', () => {
  nowMs = NOW + COUNT;
  const flash = recording(memoryFlash());
  const one = device(flash);
  const done: { n: number; after: number }[] = [];
  for (const [n, { topic, bytes }] of recorded.slice(0, 150).entries()) {
    one.receive(topic, bytes);
    done.push({ n, after: flash.log.length });
  }
  const cuts = (last: Operation | undefined): Cut[] => [
    'all written',
    'unsynced lost',
    ...(last?.does === 'write' ? [{ torn: 9 }, { torn: last.bytes.length - 1 }, { garbage: 20 }] : []),
  ];
  for (let count = 0; count <= flash.log.length; count += 3)
    for (const at of [count, count + 1])
      for (const cut of cuts(flash.log[at - 1])) {
        const again = device(memoryFlash(afterCut(new Map(), flash.log, at, cut)));
        // Those whose number was certainly in memory were done before the cut; the one that was being written was not yet.
        const before = done.filter(({ after }) => after <= at).map(({ n }) => n);
        hear(again, recorded.slice(Math.max(0, before.length - 3), before.length + 1));
        expect(again.done.filter((n) => before.includes(n))).toEqual([]);
        hear(again, recorded.slice(before.length + 1, before.length + 2));
        expect(again.done).toContain(before.length + 1);
      }
});
