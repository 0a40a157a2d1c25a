// The uplink over sockets: a spool on disk on one side, the stand-in of the cloud broker on the other, and what goes wrong between them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { trendCoarsening } from '../../edge-k3s/gateway/egress/trend.ts';
import type { GatewayCode } from '../../edge-k3s/gateway/errors.ts';
import { openDirectory } from '../../edge-k3s/gateway/spool/disk.ts';
import type { Entry } from '../../edge-k3s/gateway/spool/record.ts';
import { openSpool, type Spool } from '../../edge-k3s/gateway/spool/spool.ts';
import { createUplink, type Uplink, type UplinkOptions } from '../../edge-k3s/gateway/uplink/uplink.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { seededRandom } from '../../operator/runtime/random.ts';
import type { Device } from '../broker/testing/device.ts';
import { startWorld, type World } from '../broker/testing/world.ts';
import { waitFor } from '../harness/wait.ts';
import { startTap, type Tap } from './canary/wire.ts';

const T0 = Date.parse('2026-11-26T12:00:00Z');

let world: World;
let tap: Tap;
let dir: string;
let spool: Spool;
let clients: Device[];
let counts: Map<string, number>;
let stop: AbortController;
let running: Promise<void>;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());
beforeEach(async () => {
  await rules('{allow, all}.');
  tap = await startTap(world.broker);
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-uplink-'));
  const disk = await openDirectory(dir);
  const coarsening = trendCoarsening(0);
  spool = await openSpool({ disk, maxBytes: 16 * 2 ** 20, consumers: ['cloud'], clock: systemClock, random: seededRandom(1), coarsening });
  [clients, counts, stop, running] = [[], new Map(), new AbortController(), Promise.resolve()];
});
afterEach(async () => {
  stop.abort();
  await running;
  for (const { client } of clients) client.end(true);
  await spool.close();
  await tap.close();
  rmSync(dir, { recursive: true, force: true });
});

const rules = (text: string) =>
  world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: `${text}\n` } });
const waiting = (): number => Object.values(spool.waiting('cloud')).reduce((sum, one) => sum + one, 0);
const record = (n: number, topic = 'alert/berlin/app/level'): Entry => ({
  ...{ class: 'alert', key: `k/${n}`, subject: `${n}`, device: '', fromMs: T0, toMs: T0, revision: 0 },
  payload: Buffer.from(JSON.stringify({ n, topic })),
});
async function fill(from: number, to: number, topic?: string): Promise<void> {
  await Promise.all(Array.from({ length: to - from }, (_, at) => spool.append(record(from + at, topic))));
}

async function listen(device = 'reader.cloud'): Promise<Device> {
  const client = await world.connect(device, 'readers.cloud');
  clients.push(client);
  expect(await client.subscribe('alert/#')).toBe('granted 1');
  return client;
}
const heard = ({ received }: Device): number[] => received.map(({ payload }) => (JSON.parse(payload) as { n: number }).n);

async function start(change: Partial<UplinkOptions> = {}): Promise<Uplink> {
  const { certPem, keyPem } = await world.identity('gateway.berlin', 'gateways.berlin');
  const uplink = createUplink({
    ...{
      host: '127.0.0.1',
      port: tap.port,
      consumer: 'cloud',
      spool,
      perSecond: 5_000,
      clock: systemClock,
      random: seededRandom(7),
      log: silentLog,
    },
    identity: () => ({ ca: world.broker.caPem, cert: certPem, key: keyPem, name: 'gateway.berlin' }),
    outgoing: ({ payload }) => {
      const text = Buffer.from(payload).toString('utf8');
      return { topic: (JSON.parse(text) as { topic: string }).topic, payload: text };
    },
    lost: async () => undefined,
    counted: (what, code) => void counts.set(code ?? what, (counts.get(code ?? what) ?? 0) + 1),
    ...change,
  });
  running = uplink.run(stop.signal);
  return uplink;
}

const everyNumber = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const sorted = (numbers: Iterable<number>): number[] => [...numbers].sort((a, b) => a - b);

it('what the broker never takes is not sent, and stays until a record says that it is lost', async () => {
  const reader = await listen();
  const said = Promise.withResolvers<void>();
  const lost: string[] = [];
  await fill(0, 3);
  await start({
    outgoing: ({ key, payload }) => ({
      topic: 'alert/berlin/app/level',
      payload: key === 'k/1' ? 'x'.repeat(4 * 2 ** 20) : String(payload),
    }),
    lost: ({ key }) => {
      lost.push(key);
      return said.promise;
    },
  });
  await waitFor('the others', async () => (reader.received.length === 2 && lost.length === 1 ? true : undefined));
  const bytes = spool.bytes();
  said.resolve();
  await waitFor('the spool to be empty', async () => (waiting() === 0 ? true : undefined));
  expect([sorted(heard(reader)), lost, counts.get('HR-GW-504'), bytes > 0]).toEqual([[0, 2], ['k/1'], 1, true]);
});

it('sends everything, over connections that break in the middle, and acknowledges what the broker has', async () => {
  const reader = await listen();
  const uplink = await start();
  for (let round = 0; round < 4; round++) {
    await fill(round * 500, round * 500 + 500);
    uplink.wake();
    await waitFor('a part of it', async () => (reader.received.length > round * 500 + 50 ? true : undefined), { everyMs: 1 });
    tap.cut();
  }
  await waitFor('the spool to be empty', async () => (waiting() === 0 && new Set(heard(reader)).size === 2_000 ? true : undefined));
  expect(sorted(new Set(heard(reader)))).toEqual(everyNumber(2_000));
  // Twice are at the most those that were under way when it broke.
  expect(reader.received.length).toBeLessThanOrEqual(2_000 + 4 * 100);
});

it('keeps what the broker refuses, lets the rest go past it, and sends it when it may', async () => {
  await rules('{deny, {clientid, "gateway.berlin"}, publish, ["alert/berlin/site/security"]}.\n{allow, all}.');
  const reader = await listen();
  await fill(0, 20, 'alert/berlin/site/security');
  await fill(20, 60);
  await start();
  await waitFor('the rest', async () => (reader.received.length === 40 ? true : undefined));
  expect(sorted(heard(reader))).toEqual(everyNumber(60).slice(20));
  expect(counts.get('HR-GW-502')).toBeGreaterThanOrEqual(20);
  await rules('{allow, all}.');
  await waitFor('all', async () => (new Set(heard(reader)).size === 60 ? true : undefined));
  await waitFor('the spool to be empty', async () => (waiting() === 0 ? true : undefined));
});

it('keeps what nobody would take, since the broker would throw it away', async () => {
  await fill(0, 30);
  await start();
  await waitFor('it to be said', async () => ((counts.get('HR-GW-503') ?? 0) >= 30 ? true : undefined));
  expect(counts.get('sent')).toBeUndefined();
  const reader = await listen();
  await waitFor('all', async () => (new Set(heard(reader)).size === 30 ? true : undefined));
  expect(sorted(new Set(heard(reader)))).toEqual(everyNumber(30));
});

it('never sends what the gate holds back, and holds nothing else up by it', async () => {
  const reader = await listen();
  await fill(0, 30);
  await start({
    outgoing({ payload }): ReturnType<UplinkOptions['outgoing']> {
      const text = Buffer.from(payload).toString('utf8');
      const { n, topic } = JSON.parse(text) as { n: number; topic: string };
      return n % 3 === 0 ? ('HR-GW-401' satisfies GatewayCode) : { topic, payload: text };
    },
  });
  await waitFor('the spool to be empty', async () => (waiting() === 0 ? true : undefined));
  await waitFor('the others', async () => (reader.received.length === 20 ? true : undefined));
  expect(heard(reader).every((n) => n % 3 !== 0)).toBe(true);
  expect(counts.get('HR-GW-401')).toBe(10);
});

it('sends no faster than agreed, also after an outage', async () => {
  const reader = await listen();
  await fill(0, 150);
  const startedAt = systemClock.elapsed();
  await start({ perSecond: 100 });
  await waitFor('all', async () => (reader.received.length === 150 ? true : undefined));
  // One at once, 149 more at 100 a second.
  expect(systemClock.elapsed() - startedAt).toBeGreaterThan(1_480);
});

it('comes back when the broker does not take it', async () => {
  await fill(0, 10);
  await world.standIn.request('POST', '/banned', { body: { as: 'clientid', who: 'gateway.berlin' } });
  await start();
  await waitFor('some attempts', async () => (tap.captured().length >= 2 ? true : undefined));
  const reader = await listen();
  await world.standIn.request('DELETE', '/banned/clientid/gateway.berlin');
  await waitFor('all', async () => (reader.received.length >= 10 ? true : undefined));
  expect(sorted(new Set(heard(reader)))).toEqual(everyNumber(10));
});

it('told to stop, it waits for what is under way, and leaves the rest in the spool', async () => {
  const reader = await listen();
  await fill(0, 1_000);
  await start({ perSecond: 1_000 });
  await waitFor('some', async () => (reader.received.length > 100 ? true : undefined), { everyMs: 1 });
  stop.abort();
  await running;
  const kept = waiting();
  expect(kept).toBeGreaterThan(0);
  await waitFor('those that were under way', async () => (reader.received.length === 1_000 - kept ? true : undefined));
});
