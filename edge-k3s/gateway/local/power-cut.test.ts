// The gateway's power goes after any operation on its disk, and within any write. Whatever is left, a device does each command once, and in the end what is true.
import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { GatewayConfig } from '../../../operator/api/gateway-config.ts';
import { FakeClock } from '../../../operator/runtime/clock.ts';
import { silentLog } from '../../../operator/runtime/log.ts';
import { createMetrics } from '../../../operator/runtime/metrics.ts';
import { powerOn } from '../../../test/simulator/command/commanded.ts';
import { der, type Sender, type SiteCa, sender, siteCa } from '../../../test/simulator/command/testing/senders.ts';
import { memoryFlash } from '../../../test/simulator/firmware/flash.ts';
import { createCore } from '../core/core.ts';
import type { Accepted } from '../core/event.ts';
import { createTracks } from '../replay/tracks.ts';
import type { KnownDevice } from '../site/devices.ts';
import { afterCut, type Cut, type MemoryDisk, memoryDisk } from '../spool/testing/disk.ts';
import { openState } from '../state/state.ts';
import { createLocal } from './local.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const FAN: KnownDevice = { name: 'fan-1.berlin', uid: 'u', segment: 'fans.berlin', labels: {}, lifecycle: 'Active' };
const RULE = {
  ...{
    name: 'too-warm',
    stream: 'climate',
    field: 'celsius',
    when: 'above',
    limit: 30,
    back: 30,
    forMs: 0,
    validMs: 3_600_000,
    atMost: 3600,
  },
  ...{
    to: { segment: FAN.segment, device: FAN.name },
    command: { name: 'speed', args: { on: true } },
    whenOver: { name: 'speed', args: { on: false } },
  },
};
const CONFIG = {
  ...{ version: 1, site: 'berlin' },
  segments: [{ name: 'office.berlin', replay: { window: 64, maxSkewMs: 120_000 }, rules: [RULE], detect: [] }],
} as unknown as GatewayConfig;

let ca: SiteCa;
let own: Sender;
beforeAll(async () => {
  ca = await siteCa('devices of berlin', NOW);
  own = await sender(ca, 'gateway.berlin', NOW, { algorithm: 'Ed25519' });
});

type Sent = { topic: string; payload: Buffer; after: number };

async function start(disk: MemoryDisk, nowMs: number, isBrokerThere = true) {
  const clock = new FakeClock(nowMs);
  const sent: Sent[] = [];
  const local = createLocal({
    devices: { isSynced: () => true, get: (name) => (name === FAN.name ? FAN : undefined), all: () => [FAN] },
    identity: () => identity,
    holds: () => undefined,
    publish: ({ topic, payload }) => {
      if (!isBrokerThere) return Promise.resolve(undefined);
      sent.push({ topic, payload, after: disk.log.length });
      return Promise.resolve(0);
    },
    ...{ maxValues: 100, clock, log: silentLog, metrics: createMetrics() },
  });
  const identity = { key: own.keyPem, cert: own.chainPem };
  const core = createCore({ tracks: createTracks({ maxDevices: 10 }), stations: local.stations, config: CONFIG });
  const state = await openState({ disk, clock, parts: core.parts, apply: (event) => void core.offer(event) });
  local.written(Promise.resolve());
  const acknowledged: { n: number; after: number }[] = [];
  return {
    sent,
    acknowledged,
    state,
    /** A message as it comes from the broker; `n` is its number at the device. */
    hear(n: number): void {
      const event: Accepted = {
        ...{ kind: 'message', device: 'thermo-1.berlin', segment: 'office.berlin', stream: 'climate', group: '', boot: 1, seq: n },
        ...{ atMs: NOW + n, backfill: false, heardMs: clock.now(), readings: [['celsius', n % 2 === 1 ? 31 : 20]] },
      };
      if (core.offer(event) !== undefined) {
        acknowledged.push({ n, after: 0 });
        return;
      }
      const certain = state.append(event);
      local.written(certain);
      void certain.then(() => acknowledged.push({ n, after: disk.log.length }));
    },
    async settle(): Promise<void> {
      await clock.advance(100);
      for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

function fan() {
  const done: unknown[] = [];
  const device = powerOn({
    ...{ segment: FAN.segment, device: FAN.name, cas: [new X509Certificate(der(ca))], revoked: new Set<string>() },
    ...{ grants: [{ sender: 'gateway.berlin', commands: ['speed'] }], flash: memoryFlash(), now: () => NOW + 60_000 },
    execute: ({ args }) => void done.push(args.on),
  });
  return { done, hear: (all: readonly Sent[]): void => all.forEach(({ topic, payload }) => void device.receive(topic, payload)) };
}

const COUNT = 9;

describe('a power cut of the gateway', () => {
  it.each([
    ['', true],
    [' while the broker is gone', false],
  ])('anywhere%s: a device is told nothing twice, and in the end what is true', async (_name, isBrokerThere) => {
    const disk = memoryDisk();
    const first = await start(disk, NOW, isBrokerThere);
    for (let n = 1; n <= COUNT; n++) {
      first.hear(n);
      // Some are on disk alone, some together; a snapshot takes the place of the journal in between.
      if (n % 3 !== 1) await first.settle();
      if (n === 5 || n === COUNT) await first.state.snapshot();
    }
    await first.settle();
    expect(first.acknowledged).toHaveLength(COUNT);
    for (let count = 0; count <= disk.log.length; count++) {
      const last = disk.log[count - 1];
      const cuts: Cut[] = ['all written', 'unsynced lost', ...(last?.does === 'append' ? [{ torn: 9 }, { garbage: 9 }] : [])];
      // What was on its way to the broker at that moment was heard, or was not.
      for (const cut of cuts)
        for (const heard of [count, count - 1]) {
          const device = fan();
          device.hear(first.sent.filter(({ after }) => after <= heard));
          const again = await start(memoryDisk(afterCut(disk.log, count, cut)), NOW + 30_000);
          const known = new Set(first.acknowledged.filter(({ after }) => after <= count).map(({ n }) => n));
          for (let n = 1; n <= COUNT; n++) if (!known.has(n)) again.hear(n);
          await again.settle();
          device.hear(again.sent);
          const { done } = device;
          expect(
            done.filter((on, at) => on === done[at - 1]),
            `${count} ${JSON.stringify(cut)}`,
          ).toEqual([]);
          expect(done.at(-1), `${count} ${JSON.stringify(cut)}`).toBe(true);
        }
    }
  });
});
