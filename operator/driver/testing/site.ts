// A site in one process: a broker that keeps what is retained, devices, the API with the records, and a driver's core that can be killed and started anew.
import type { FirmwareRecord } from '../../api/device.ts';
import type { Directive } from '../../firmware/firmware.ts';
import { Core, type Tick } from '../core.ts';
import type { Order } from '../directives.ts';
import type { Plan } from '../plan.ts';
import type { DeviceFacts } from '../row.ts';
import { type Nature, TestDevice } from './device.ts';
import { deviceFacts, START } from './plan.ts';

type Kept = { bytes: Buffer; properties: Record<string, unknown> };

export type SiteWish = {
  plan: (fence: number) => Plan;
  devices: readonly (Nature & Partial<DeviceFacts> & { labels?: Record<string, string> })[];
};

export class TestSite {
  now = START;
  core: Core;
  tick: Tick | undefined;
  readonly devices: TestDevice[];
  readonly facts = new Map<string, DeviceFacts>();
  /** Every directive that was published, oldest first. */
  readonly sent: { at: number; order: Order }[] = [];
  /** How often each Device was written. */
  readonly writes = new Map<string, number>();
  /** Applied to messages of devices on their way to the driver. */
  wire: (messages: { topic: string; bytes: Buffer }[]) => { topic: string; bytes: Buffer }[] = (messages) => messages;
  #plan: SiteWish['plan'];
  #fence = 0;
  #nonces = 0;
  #isMoving = false;
  #retained = new Map<string, Kept>();
  #queue: { topic: string; bytes: Buffer }[] = [];

  constructor({ plan, devices }: SiteWish) {
    this.#plan = plan;
    this.devices = devices.map((nature, at) => {
      const { labels, ...rest } = nature;
      const facts = deviceFacts(`dev-${at}`, { ...(labels === undefined ? {} : { labels }), ...only(rest) });
      this.facts.set(facts.candidate.uid, facts);
      const name = `dev-${at}.berlin`;
      return new TestDevice(name, nature, (kind, payload) =>
        this.#publish(`ota/v1/d/${name}/${kind}`, Buffer.from(payload), kind === 'state'),
      );
    });
    this.core = this.#start();
    for (const device of this.devices) device.hello();
  }

  /** The next driver: it knows what the API and the broker know. */
  restart(plan: SiteWish['plan'] = this.#plan): void {
    this.#plan = plan;
    this.#queue = [];
    this.core = this.#start();
  }

  /** The broker loses all that it kept and every connection. */
  loseAll(): void {
    this.#retained.clear();
    this.#queue = [];
    this.core.connected();
    this.core.gathered(this.now);
    for (const device of this.devices) this.connect(device);
  }

  /** A device is there again: it says hello and gets what the broker keeps for it. */
  connect(device: TestDevice): void {
    device.isAway = false;
    device.hello();
    const kept = this.#retained.get(`ota/v1/d/${device.name}/directive`);
    if (kept !== undefined) device.receive(JSON.parse(kept.bytes.toString()) as Directive);
  }

  /** One round: what is due is sent and written, devices act, what they said is heard. */
  round(ms = 1000): Tick {
    this.now += ms;
    const tick = this.core.tick(this.now);
    this.tick = tick;
    for (const order of tick.publish) this.#deliver(order);
    for (const { uid, record } of tick.record) this.#record(uid, record);
    this.#isMoving = this.#queue.length > 0;
    for (const device of this.devices) if (device.step()) this.#isMoving = true;
    const messages = this.wire(this.#queue);
    this.#queue = [];
    for (const { topic, bytes } of messages) this.core.heard(topic, bytes, {}, this.now);
    return tick;
  }

  /** Rounds until nothing is waited for, each as long as the driver lets pass. */
  untilDone(most = 400, ms?: number): Tick {
    for (let rounds = 0; rounds < most; rounds++) {
      const tick = this.round(ms ?? 1000);
      if (tick.phase === 'Done' && !this.#isMoving && tick.publish.length + tick.record.length === 0) return tick;
      const idle = tick.next === undefined ? 1000 : tick.next - this.now;
      if (tick.phase === 'Running' && !this.#isMoving && idle > 1000) this.now += idle - 1000;
    }
    throw new Error(`not done after ${most} rounds: ${JSON.stringify(this.tick?.counts)}`);
  }

  results(): (FirmwareRecord['result'] | undefined)[] {
    return [...this.facts.values()].map(({ record }) => record?.result);
  }

  #start(): Core {
    this.#fence += 1;
    const core = new Core(this.#plan(this.#fence), {
      nonce: () => (this.#nonces++).toString(16).padStart(32, '0'),
      readDirective: (_, bytes) => JSON.parse(bytes.toString()) as Directive,
    });
    for (const facts of this.facts.values()) core.device(facts, this.now);
    core.connected();
    for (const [topic, { bytes, properties }] of this.#retained) core.heard(topic, bytes, properties, this.now);
    core.gathered(this.now);
    return core;
  }

  #deliver(order: Order): void {
    this.sent.push({ at: this.now, order });
    const bytes = Buffer.from(JSON.stringify(order.directive));
    this.#retained.set(order.topic, { bytes, properties: { ...order.properties } });
    const device = this.devices.find(({ name }) => order.topic === `ota/v1/d/${name}/directive`);
    this.core.heard(order.topic, bytes, { ...order.properties }, this.now);
    device?.receive(order.directive);
  }

  #record(uid: string, record: FirmwareRecord): void {
    const facts = this.facts.get(uid);
    if (facts === undefined) return;
    const next = { ...facts, record };
    this.facts.set(uid, next);
    this.writes.set(uid, (this.writes.get(uid) ?? 0) + 1);
    this.core.recorded(uid, record);
    this.core.device(next, this.now);
  }

  #publish(topic: string, bytes: Buffer, isRetained: boolean): void {
    if (isRetained) this.#retained.set(topic, { bytes, properties: {} });
    this.#queue.push({ topic, bytes });
  }
}

function only({ record, bootKey, candidate }: Partial<DeviceFacts>): Partial<DeviceFacts> {
  return {
    ...(record === undefined ? {} : { record }),
    ...(bootKey === undefined ? {} : { bootKey }),
    ...(candidate === undefined ? {} : { candidate }),
  };
}
