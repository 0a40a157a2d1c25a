import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CommandSigner, readCommandSigner } from '../../../operator/api/command.ts';
import { FakeClock } from '../../../operator/runtime/clock.ts';
import { silentLog } from '../../../operator/runtime/log.ts';
import { powerOn } from '../../../test/simulator/command/commanded.ts';
import { der, type SiteCa, sender, siteCa } from '../../../test/simulator/command/testing/senders.ts';
import { memoryFlash } from '../../../test/simulator/firmware/flash.ts';
import type { Outgoing } from '../mqtt/link.ts';
import type { Order } from '../rules/rules.ts';
import type { KnownDevice } from '../site/devices.ts';
import { createOutbox } from './outbox.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
let ca: SiteCa;
let signer: CommandSigner;
beforeAll(async () => {
  ca = await siteCa('devices of berlin', NOW);
  const { keyPem, chainPem } = await sender(ca, 'gateway.berlin', NOW);
  signer = readCommandSigner(keyPem, chainPem) as CommandSigner;
});

const FAN: KnownDevice = { name: 'fan-1.berlin', uid: 'u', segment: 'fans.berlin', labels: {}, lifecycle: 'Active' };
const order = (n: number, more: Partial<Order> = {}): Order => ({
  ...{ rule: 'too-hot', segment: 'fans.berlin', device: 'fan-1.berlin', name: 'speed', args: { n }, seq: NOW + n },
  ...{ nonce: n.toString(16).padStart(32, '0'), iat: NOW, exp: NOW + 60_000, ...more },
});

function makeOutbox(
  answers: (number | undefined)[] = [],
  known: KnownDevice | undefined = FAN,
  by: () => CommandSigner | { problem: string } = () => signer,
  synced: () => boolean = () => true,
) {
  const clock = new FakeClock(NOW);
  const sent: Outgoing[] = [];
  const ended: string[] = [];
  const outbox = createOutbox({
    signer: by,
    publish: (message) => {
      sent.push(message);
      return Promise.resolve(answers.length > 0 ? answers.shift() : 0);
    },
    devices: { isSynced: () => synced(), get: (name) => (name === known?.name && synced() ? known : undefined), all: () => [] },
    ...{ clock, log: silentLog, ended: (result: string) => void ended.push(result) },
  });
  const settled = async (afterMs = 0): Promise<void> => {
    await clock.advance(afterMs);
    for (let n = 0; n < 20; n++) await Promise.resolve();
  };
  const send = (one: Order): void => {
    outbox.order(one);
    outbox.written(Promise.resolve());
  };
  return { outbox, send, sent, ended, clock, settled };
}

describe('commands of the gateway', () => {
  it('go out one after the other, signed, and the reference device does them', async () => {
    const { send, sent, ended, settled } = makeOutbox();
    for (const n of [1, 2, 3]) send(order(n));
    await settled();
    const done: unknown[] = [];
    const device = powerOn({
      ...{ segment: 'fans.berlin', device: 'fan-1.berlin', cas: [new X509Certificate(der(ca))], revoked: new Set<string>() },
      ...{ grants: [{ sender: 'gateway.berlin', commands: ['speed'] }], flash: memoryFlash(), now: () => NOW },
      execute: ({ args }) => void done.push(args.n),
    });
    for (const { topic, payload } of sent) device.receive(topic, payload);
    expect(done).toEqual([1, 2, 3]);
    expect(ended).toEqual(['sent', 'sent', 'sent']);
    expect(sent.map(({ expirySeconds }) => expirySeconds)).toEqual([60, 60, 60]);
  });

  it('that nobody has answered go out again, before those behind them, and not when their time is over', async () => {
    const { send, sent, ended, settled } = makeOutbox([undefined, 0x97]);
    send(order(1));
    send(order(2));
    await settled();
    await settled(1_000);
    await settled(1_000);
    expect(ended).toEqual(['sent', 'sent']);
    expect(sent).toHaveLength(4);
    const gone = makeOutbox(Array.from({ length: 100 }, () => undefined));
    gone.send(order(1));
    for (let n = 0; n < 61; n++) await gone.settled(1_000);
    expect([gone.ended, gone.sent.length, gone.outbox.waiting]).toEqual([['HR-GW-703'], 60, 0]);
  });

  const { privateKey } = generateKeyPairSync('ed25519');
  it.each<[string, Parameters<typeof makeOutbox>, Partial<Order>, string]>([
    ['the broker does not let it', [[0x87]], {}, 'HR-GW-702'],
    ['the device is none', [[], { ...FAN, name: 'fan-2.berlin' }], {}, 'HR-GW-704'],
    ['the device is in another segment', [[], { ...FAN, segment: 'ovens.berlin' }], {}, 'HR-GW-704'],
    ['the device is in quarantine', [[], { ...FAN, lifecycle: 'Quarantined' }], {}, 'HR-GW-704'],
    ['no device would take it', [], { name: 'a/b' }, 'HR-GW-705'],
    ['its time is over', [], { exp: NOW }, 'HR-GW-703'],
    [
      'the key is none',
      [[], FAN, () => readCommandSigner(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), '')],
      {},
      'HR-GW-701',
    ],
  ])('are not sent when %s, and those behind them are', async (_name, made, fields, code) => {
    const { send, ended, settled } = makeOutbox(...made);
    send(order(1, fields));
    await settled();
    expect(ended).toEqual([code]);
  });

  it('have a bound on how many wait: the oldest give way', async () => {
    const { outbox, send, ended, settled } = makeOutbox(Array.from({ length: 5 }, () => undefined));
    for (let n = 0; n < 1_005; n++) send(order(n));
    await settled();
    expect([outbox.waiting, ended.length]).toEqual([1_000, 5]);
    await outbox.stop();
    await settled(5_000);
    send(order(1));
    await settled();
    expect(ended.filter((result) => result === 'sent')).toEqual([]);
  });

  it('go out when their own event is on disk, in order, and never when that fails', async () => {
    const { outbox, sent, settled } = makeOutbox();
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    outbox.order(order(1));
    outbox.order(order(2));
    outbox.written(first.promise);
    outbox.written(Promise.resolve());
    outbox.order(order(3));
    outbox.written(second.promise);
    outbox.order(order(4));
    await settled();
    expect([sent.length, [...outbox.open()].map(({ args }) => args.n)]).toEqual([0, [1, 2, 3, 4]]);
    first.resolve();
    second.reject(new Error('the disk'));
    await settled();
    expect([sent.length, [...outbox.open()].map(({ args }) => args.n)]).toEqual([2, [3, 4]]);
    outbox.written(Promise.resolve());
    await settled();
    expect(sent).toHaveLength(3);
  });

  it('wait until it is known which devices there are', async () => {
    let synced = false;
    const { send, ended, settled } = makeOutbox(
      [],
      FAN,
      () => signer,
      () => synced,
    );
    send(order(1));
    await settled(1_000);
    expect(ended).toEqual([]);
    synced = true;
    await settled(1_000);
    expect(ended).toEqual(['sent']);
  });

  it('to a device that is erased are not sent, and nothing of them is kept', async () => {
    const { outbox, send, sent, settled } = makeOutbox([undefined]);
    send(order(1));
    await settled();
    send(order(2));
    outbox.forget('fan-1.berlin');
    await settled(1_000);
    expect([sent.length, [...outbox.open()]]).toEqual([1, []]);
  });
});
