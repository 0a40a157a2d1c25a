// What the next driver has to know, and may know by the broker alone.
import { describe, expect, it } from 'vitest';
import type { Hello, StateReport } from '../firmware/firmware.ts';
import { DEVICE, hello, NEW, state } from '../firmware/testing/messages.ts';
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
