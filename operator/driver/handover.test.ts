// What the next driver has to know, and may know by the broker alone.
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Hello, StateReport } from '../firmware/firmware.ts';
import { booted, signedBoot } from '../firmware/testing/boot.ts';
import { DEVICE, hello, NEW, OLD, state } from '../firmware/testing/messages.ts';
import { Core, type Tick } from './core.ts';
import type { Order } from './directives.ts';
import { planOf, START } from './testing/plan.ts';

const candidate = { uid: 'uid-1', namespace: 'berlin', name: 'thermo-17', labels: {}, hold: false, pin: '', running: {} };

/** A driver of one device. `kept`: what the one before it has left at the broker. */
function driver(fence: number, kept?: { order: Order; report: StateReport }) {
  const core = new Core(planOf({ fence }), { nonce: () => 'a'.repeat(32), readDirective: () => kept?.order.directive });
  const say = (kind: 'state' | 'hello', message: Hello | StateReport): void =>
    core.heard(`ota/v1/d/${DEVICE}/${kind}`, Buffer.from(JSON.stringify(message)), {}, START);
  core.device({ candidate, record: undefined, bootKey: undefined }, START);
  core.connected();
  if (kept !== undefined) {
    core.heard(`ota/v1/d/${DEVICE}/directive`, Buffer.from(''), kept.order.properties, START);
    say('state', kept.report);
  }
  core.gathered(START);
  return { say, tick: (afterMs = 0): Tick => core.tick(START + afterMs) };
}

describe('a driver that begins where another one was', () => {
  const answer = (directive: Order['directive'] | undefined, fields: Partial<StateReport>): StateReport =>
    state({ seq: directive?.seq ?? 0, nonce: directive?.nonce ?? '', ...fields });

  it.each([
    ['does not believe a device that ran another image in this boot, though nothing was known of it when it was told', 3, undefined],
    ['believes one that has started since', 4, 'Confirmed'],
  ])('%s', (_, boot, result) => {
    const before = driver(1);
    expect(before.tick().publish[0]?.properties.boot).toBe('0');
    before.say('hello', hello({ boot: 3 }));
    const [order] = before.tick().publish;
    if (order === undefined) throw new Error('it was not told again');
    expect(order.properties.boot).toBe('3');
    const report = answer(order.directive, { boot, n: 9, state: 'Confirmed', digest: NEW, securityCounter: 5 });
    expect(driver(2, { order, report }).tick().record[0]?.record.result).toBe(result);
  });

  it('is told of it no more than eight times, however often the device says that it has started', () => {
    const before = driver(1);
    before.tick();
    let orders = 0;
    for (let boot = 3; boot < 60; boot += 1) {
      before.say('hello', hello({ boot }));
      orders += before.tick().publish.length;
    }
    expect(orders).toBe(8);
  });
});

describe('a device whose power went between Rebooting and the restart', () => {
  it('has not gone back: its hello shows the old image, and its state says that it will start the new one', () => {
    const { say, tick } = driver(1);
    say('hello', hello({ boot: 3 }));
    const { directive } = tick().publish[0] ?? {};
    const { seq = 0, nonce = '' } = directive ?? {};
    say('state', state({ seq, nonce, n: 2, state: 'Rebooting' }));
    say('hello', hello({ boot: 4 }));
    expect(tick().counts).toMatchObject({ rolledBack: 1 });
    say('state', state({ seq, nonce, boot: 4, n: 2, state: 'Rebooting' }));
    expect(tick(60_000)).toMatchObject({ record: [], counts: { rolledBack: 0, inFlight: 1 } });
    say('state', state({ seq, nonce, boot: 5, n: 3, state: 'Confirmed', digest: NEW, securityCounter: 5 }));
    expect(tick(60_000).record).toMatchObject([{ record: { result: 'Confirmed' } }]);
  });
});

describe('a device without a clock', () => {
  it('gets the directive with the nonce of its last hello, at once the first time, and later as soon as it may', () => {
    const core = new Core(planOf({ fence: 1 }), { nonce: () => 'a'.repeat(32), readDirective: () => undefined });
    core.device({ candidate, record: undefined, bootKey: undefined }, START);
    core.connected();
    core.gathered(START);
    const echoes = (at: number): (string | undefined)[] => core.tick(START + at).publish.map(({ directive }) => directive.echo);
    const says = (nonce: string, boot: number, at: number): void =>
      core.heard(`ota/v1/d/${DEVICE}/hello`, Buffer.from(JSON.stringify(hello({ nonce, boot, hasClock: false }))), {}, START + at);
    expect(echoes(0)).toEqual([undefined]);
    says('b'.repeat(32), 3, 500);
    expect(echoes(600)).toEqual(['b'.repeat(32)]);
    // It starts anew before the answer has come, and says so once.
    says('c'.repeat(32), 3, 700);
    says('d'.repeat(32), 4, 900);
    core.tick(START + 1000);
    expect(echoes(40_000)).toEqual(['d'.repeat(32)]);
  });
});

describe('a device with a boot key that has done it, when broker and driver have both forgotten that', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const stranger = generateKeyPairSync('ed25519').privateKey;
  // Of the boot in which it tried the image and confirmed it, with the nonce of a directive that nobody knows any more.
  const report = booted({ boot: 4, mode: 'Test', nonce: 'e'.repeat(32) });

  it.each([
    [
      'is believed when its answer brings the word of its bootloader',
      { bootReport: signedBoot(report, privateKey) },
      'Confirmed',
      'Proven',
    ],
    ['is not without it', {}, undefined, undefined],
    ['is not by a key of somebody else', { bootReport: signedBoot(report, stranger) }, undefined, undefined],
    ['is not by the word for another boot', { bootReport: signedBoot({ ...report, boot: 3 }, privateKey) }, undefined, undefined],
    ['is not by the word for another image', { bootReport: signedBoot({ ...report, digest: OLD }, privateKey) }, undefined, undefined],
    ['is not when its bootloader went back', { bootReport: signedBoot({ ...report, mode: 'Reverted' }, privateKey) }, undefined, undefined],
    ['is not with a lower counter', { bootReport: signedBoot({ ...report, securityCounter: 4 }, privateKey) }, undefined, undefined],
    ['is not when it refuses for another reason', { code: 4, bootReport: signedBoot(report, privateKey) }, 'Rejected', undefined],
  ])('%s', (_, fields, result, proof) => {
    const core = new Core(planOf({ fence: 2 }), { nonce: () => 'a'.repeat(32), readDirective: () => undefined });
    core.device({ candidate: { ...candidate, hasBootKey: true }, record: undefined, bootKey: publicKey }, START);
    core.connected();
    core.gathered(START);
    const { seq = 0, nonce = '' } = core.tick(START).publish[0]?.directive ?? {};
    const answer = state({ seq, nonce, boot: 4, n: 9, state: 'Rejected', code: 5, digest: NEW, securityCounter: 5, ...fields });
    core.heard(`ota/v1/d/${DEVICE}/state`, Buffer.from(JSON.stringify(answer)), {}, START + 1000);
    const { record } = core.tick(START + 1000).record[0] ?? {};
    expect([record?.result, record?.proof]).toEqual([result, proof]);
  });
});

describe('a device of which the driver has missed something', () => {
  const MINUTE = 60_000;
  const topic = `ota/v1/d/${DEVICE}/state`;
  const bytes = (report: StateReport): Buffer => Buffer.from(JSON.stringify(report));

  function told() {
    const core = new Core(planOf({ fence: 1 }), { nonce: () => 'a'.repeat(32), readDirective: () => undefined });
    core.device({ candidate, record: undefined, bootKey: undefined }, START);
    core.connected();
    core.gathered(START);
    const { seq = 0, nonce = '' } = core.tick(START).publish[0]?.directive ?? {};
    return { core, seq, nonce };
  }

  it('is asked again before it is given up, and its end counts when that is what it says', () => {
    const { core, seq, nonce } = told();
    core.heard(topic, bytes(state({ seq, nonce, n: 2, state: 'Rebooting' })), {}, START + MINUTE);
    const late = core.tick(START + 17 * MINUTE);
    expect(late).toMatchObject({ publish: [{ directive: { seq, nonce } }], record: [], counts: { inFlight: 1 } });
    core.heard(
      topic,
      bytes(state({ seq, nonce, boot: 4, n: 9, state: 'Confirmed', digest: NEW, securityCounter: 5 })),
      {},
      START + 18 * MINUTE,
    );
    expect(core.tick(START + 18 * MINUTE).record).toMatchObject([{ record: { result: 'Confirmed' } }]);
  });

  it('is given up when it does not answer that either', () => {
    const { core, seq, nonce } = told();
    core.heard(topic, bytes(state({ seq, nonce, n: 2, state: 'Rebooting' })), {}, START + MINUTE);
    core.tick(START + 17 * MINUTE);
    expect(core.tick(START + 23 * MINUTE)).toMatchObject({ publish: [], record: [{ record: { result: 'Lost' } }] });
  });

  it('is told once more before it counts as away: without a clock it says hello only once a minute, maybe when nobody listened', () => {
    const { core } = told();
    expect(core.tick(START + 6 * MINUTE)).toMatchObject({ publish: [{}], counts: { inFlight: 1, straggler: 0 } });
    core.heard(`ota/v1/d/${DEVICE}/hello`, Buffer.from(JSON.stringify(hello({ n: 2, hasClock: false }))), {}, START + 6 * MINUTE + 1000);
    expect(core.tick(START + 6 * MINUTE + 1000).publish).toMatchObject([{ directive: { echo: 'c'.repeat(32) } }]);
    expect(core.tick(START + 12 * MINUTE)).toMatchObject({ publish: [], counts: { inFlight: 0, straggler: 1 } });
  });
});
