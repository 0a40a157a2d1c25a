// From devices to the store in the cloud, while everything between them breaks: the uplink, the gateway, the consumer. At the end every reading is in the store, once.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { query } from '../../cloud/consumer/query.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { startConsumer } from '../harness/consumer-process.ts';
import { waitFor } from '../harness/wait.ts';
import { startTap, type Tap } from './canary/wire.ts';
import { configOf, deviceOf, type GatewayProcess, type GatewaySite, SEGMENT, SITE, segmentOf, startGatewaySite } from './site.ts';

const DEVICES = ['a', 'b', 'c', 'd', 'e', 'f'];
const WINDOWS = 40;
/** Of each device in each window. */
const READINGS = 8;
const WINDOW_MS = 1_000;

let site: GatewaySite;
let tap: Tap;
let gateway: GatewayProcess;
let consumer: Awaited<ReturnType<typeof startConsumer>>;
const file = (name: string): string => join(site.dir, name);

beforeAll(async () => {
  site = await startGatewaySite({
    config: configOf(segmentOf({ windowMs: WINDOW_MS, minGroup: DEVICES.length })),
    devices: DEVICES.map((device) => deviceOf(device)),
  });
  tap = await startTap(site.cloudAddress);
  const { certPem, keyPem } = await site.identity('consumer.cloud', 'consumers.cloud');
  for (const [name, text] of Object.entries({ 'consumer.crt': certPem, 'consumer.key': keyPem })) writeFileSync(file(name), text);
  await Promise.all([startGateway(), startCloud()]);
});
afterAll(async () => {
  await consumer?.kill();
  await tap?.close();
  await site?.stop();
});

async function startGateway(): Promise<void> {
  gateway = await site.startGateway([
    ...['--uplink', `localhost:${tap.port}`, '--uplink-ca-file', file('ca.pem')],
    ...['--uplink-cert-file', file('gateway.crt'), '--uplink-key-file', file('gateway.key')],
  ]);
}

async function startCloud(): Promise<void> {
  const { host, port } = site.cloudAddress;
  consumer = await startConsumer({
    broker: { host, port, caFile: file('ca.pem') },
    tls: { certFile: file('consumer.crt'), keyFile: file('consumer.key') },
    ...{ storeFile: file('cloud.duckdb'), logFile: file('consumer.log') },
  });
}

/** Each of these while devices speak, and again while windows leave. */
const TROUBLE: readonly (() => Promise<void>)[] = [
  async () => tap.cut(),
  async () => {
    await gateway.kill();
    await startGateway();
  },
  async () => {
    await consumer.kill();
    await startCloud();
  },
  async () => {
    tap.cut();
    await Promise.all([gateway.kill(), consumer.kill()]);
    await Promise.all([startGateway(), startCloud()]);
  },
];

it('every reading of every device is in a trend at the cloud, once', async () => {
  // In the past as far as a device's clock may be off: no window is open when the last one is said.
  const startMs = Math.floor((Date.now() - 100_000) / WINDOW_MS) * WINDOW_MS;
  const speakers = await Promise.all(DEVICES.map((device) => site.speaker(device)));
  const sent: Promise<string>[] = [];
  for (let at = 0; at < WINDOWS * READINGS; at++) {
    const ts = startMs + Math.floor((at * WINDOW_MS) / READINGS);
    for (const speaker of speakers) sent.push(speaker.say('climate', { celsius: 20 + (at % 7) }, { ts }));
    if (at % 80 === 40) await TROUBLE[Math.floor(at / 80) % TROUBLE.length]?.();
  }
  expect(new Set(await Promise.all(sent))).toEqual(new Set(['accepted']));
  for (const breakSomething of TROUBLE) {
    await breakSomething();
    await systemClock.sleep(3_000);
  }
  await waitFor('all windows', async () => (Number((await ask('select count(*) as n from trends'))[0]?.n) === WINDOWS ? true : undefined), {
    timeoutMs: 120_000,
    describe: () => site.log().slice(-2_000),
  });
  await waitFor('all readings', async () =>
    Number((await ask('select sum(count) as n from trends'))[0]?.n) === sent.length ? true : undefined,
  );
  const windows = await ask('select from_ms::double as from_ms, devices, count, segment, metric from trends order by from_ms');
  expect(windows).toEqual(
    Array.from({ length: WINDOWS }, (_, at) => ({
      ...{ from_ms: startMs + at * WINDOW_MS, devices: DEVICES.length, count: DEVICES.length * READINGS },
      ...{ segment: SEGMENT.split('.')[0], metric: 'climate:celsius' },
    })),
  );
  expect(await ask('select * from losses')).toEqual([]);
  expect(await ask('select code from refusal')).toEqual([]);
  expect(await ask('select code from notice')).toEqual([]);
  expect(await ask(`select distinct site from message`)).toEqual([{ site: SITE }]);
}, 240_000);

async function ask(sql: string): Promise<Record<string, unknown>[]> {
  const lines = (await query(file('cloud.duckdb'), sql, systemClock)).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
