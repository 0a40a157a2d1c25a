// The cloud consumer as a process, at the stand-in of the cloud broker: it is killed, lied to, asked and looked at.
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../../cloud/consumer/query.ts';
import { alert, bytesOf, erased, health, ONE_OF_EACH, T0, trend } from '../../cloud/consumer/testing/messages.ts';
import { type EgressMessage, topicOf } from '../../operator/api/egress.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import type { Device } from '../broker/testing/device.ts';
import { startWorld, type World } from '../broker/testing/world.ts';
import { queryStore, startConsumer } from '../harness/consumer-process.ts';
import { waitFor } from '../harness/wait.ts';

/** As the operator and a person grant them: a gateway below its own site, the consumer to hear all of them. */
const RULES = `
{allow, {clientid, "gateway.berlin"}, publish, ["agg/berlin/#", "alert/berlin/#"]}.
{allow, {clientid, "gateway.paris"}, publish, ["agg/paris/#", "alert/paris/#"]}.
{allow, {clientid, "consumer.hub"}, subscribe, ["agg/#", "alert/#"]}.
{deny, all}.
`;

const BURST = 6;

let world: World;
let home: string;
let berlin: Device;
let running: Awaited<ReturnType<typeof startConsumer>> | undefined;
const path = (name: string): string => join(home, name);
const store = (): string => path('store.duckdb');

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'hedgerow-consumer-'));
  world = await startWorld();
  await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: RULES } });
  const { certPem, keyPem } = await world.identity('consumer.hub', 'consumers.hub');
  for (const [name, text] of Object.entries({ 'tls.crt': certPem, 'tls.key': keyPem, 'ca.crt': world.broker.caPem }))
    await writeFile(path(name), text);
  berlin = await world.connect('gateway.berlin', 'gateway.berlin');
});
afterAll(async () => {
  await running?.kill();
  await world.stop();
  await rm(home, { recursive: true, force: true });
});

const options = (storeFile = store()) => ({
  broker: { host: world.broker.host, port: world.broker.port, caFile: path('ca.crt') },
  tls: { certFile: path('tls.crt'), keyFile: path('tls.key') },
  ...{ storeFile, logFile: path('log') },
});

async function start() {
  running = await startConsumer(options());
  return running;
}

const send = (gateway: Device, message: EgressMessage, topic = topicOf(message)): Promise<string> =>
  gateway.publish(topic, { payload: bytesOf(message).toString() });

async function ask(sql: string): Promise<Record<string, unknown>[]> {
  const lines = (await query(store(), sql, systemClock)).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

it('killed again and again under traffic, it has every message that the broker took, once', async () => {
  let consumer = await start();
  const sent = new Set<string>();
  let isOver = false;
  const traffic = (async () => {
    for (let at = 0; !isOver; at += BURST) {
      const keys = Array.from({ length: BURST }, (_, index) => `k/${at + index}`);
      const answers = await Promise.all(keys.map((key) => send(berlin, trend({ key }))));
      for (const [index, answer] of answers.entries()) if (answer === 'accepted') sent.add(keys[index] ?? '');
      // What the gateway is not sure of, it sends again.
      await send(berlin, trend({ key: `k/${at}` }));
      // The broker keeps 1,000 messages for a session whose client is away; a consumer takes its time to start.
      await systemClock.sleep(100);
    }
  })();
  for (let kills = 0; kills < 5; kills++) {
    await waitFor('it to write', async () => ((await stored(consumer.metricsUrl)) > 3 * BURST ? true : undefined), { everyMs: 5 });
    expect(await consumer.kill()).toBe(137);
    consumer = await start();
  }
  isOver = true;
  await traffic;
  expect(sent.size).toBeGreaterThan(10 * BURST);
  await waitFor('all of them', async () =>
    Number((await ask('select count(*) as n from trends'))[0]?.n) === sent.size ? true : undefined,
  );
  const [{ n, keys } = {}] = await ask('select count(*) as n, count(distinct key) as keys from trends');
  expect([Number(n), Number(keys)]).toEqual([sent.size, sent.size]);
  expect((await ask('select key from trends')).every(({ key }) => sent.has(String(key)))).toBe(true);
});

it('hears from a site only what the site may say of itself', async () => {
  const paris = await world.connect('gateway.paris', 'gateway.paris');
  expect(await send(paris, trend({ key: 'f/1' }))).toBe('refused 135');
  expect(await send(paris, trend({ key: 'f/2' }), 'agg/paris/app/hall/temperature:celsius')).toBe('accepted');
  expect(await paris.publish('agg/paris/site/health', { payload: 'not json' })).toBe('accepted');
  expect(await send(paris, health({ site: 'paris', key: 'f/3' }))).toBe('accepted');
  await waitFor('what is good to be there', async () =>
    (await ask("select key from health where site = 'paris'")).length === 1 ? true : undefined,
  );
  expect(await ask("select key from message where key like 'f/%'")).toEqual([{ key: 'f/3' }]);
  expect(await ask('select site, code, count::integer as count from refusal order by code')).toEqual([
    { site: 'paris', code: 'HR-CC-101', count: 1 },
    { site: 'paris', code: 'HR-CC-103', count: 1 },
  ]);
});

it('forgets an erased device, and does not hear of it again from before', async () => {
  await send(berlin, alert({ key: 'e/0', device: 'p-9' }));
  await waitFor('the alert', async () => ((await ask("select 1 as n from alerts where device = 'p-9'")).length === 1 ? true : undefined));
  await send(berlin, erased({ key: 'e/2', device: 'p-9' }));
  await send(berlin, alert({ key: 'e/3', device: 'p-9', kind: 'stuck' }));
  await send(berlin, alert({ key: 'e/4', device: 'p-9', toMs: T0 + 300_000 }));
  await waitFor('the later one', async () => ((await ask("select 1 as n from message where key = 'e/4'")).length === 1 ? true : undefined));
  expect(await ask("select key from message where key like 'e/%' order by key")).toEqual([{ key: 'e/2' }, { key: 'e/4' }]);
});

describe('query', () => {
  it('shows the fields of each type', async () => {
    for (const message of ONE_OF_EACH) await send(berlin, { ...message, key: `q/${message.type}` });
    await waitFor('all', async () =>
      (await ask("select key from message where key like 'q/%'")).length === ONE_OF_EACH.length ? true : undefined,
    );
    expect(await ask(`select "group", metric, devices, mean, p95, "to" from trends where key = 'q/Trend'`)).toEqual([
      { group: 'hall', metric: 'temperature:celsius', devices: 5, mean: 21.5, p95: 23, to: '2026-11-26 12:01:00' },
    ]);
    expect(await ask("select kind, device, score from alerts where key = 'q/Alert'")).toEqual([
      { kind: 'level', device: 'p-2', score: 6.2 },
    ]);
    expect(await ask("select kind, count from security where key = 'q/Security'")).toEqual([{ kind: 'ReplayDetected', count: 12 }]);
    expect(await ask("select heard, spoolMaxBytes, certificateDays from health where key = 'q/Health'")).toEqual([
      { heard: 38, spoolMaxBytes: 4000, certificateDays: 21 },
    ]);
    expect(await ask("select class, reason, count from losses where key = 'q/DataLoss'")).toEqual([
      { class: 'trend', reason: 'bound', count: 120 },
    ]);
    const typed = await queryStore(store(), "select device, records from erased where key = 'q/Erased'");
    expect(typed).toEqual({ code: 0, rows: [{ device: 'p-1', records: 4 }], stderr: '' });
  });

  it.each([
    ['a write', 'delete from message'],
    ['two things', 'select 1; select 2'],
    ['a file', "select * from read_text('/etc/hostname')"],
    ['a copy into a file', "copy message to '/tmp/hedgerow-stolen.csv'"],
    ['a database of its own', "attach '/tmp/hedgerow-other.duckdb'"],
    ['a setting', 'set enable_external_access = true'],
    ['an extension', "load 'httpfs'"],
    ['no SQL', 'please'],
  ])('answers no question that is %s', async (_name, sql) => {
    const before = await ask('select count(*) as n from message');
    await expect(ask(sql)).rejects.toThrow('HR-CC-301');
    expect(await ask('select count(*) as n from message')).toEqual(before);
  });

  it('is answered by the file where no consumer runs; a second consumer does not get it while one does', async () => {
    const second = await startConsumer({ ...options(), logFile: path('second.log') }).catch((error: unknown) => String(error));
    expect(second).toContain('exited with 1');
    expect((await stat(`${store()}.sock`)).mode & 0o777).toBe(0o600);
    const before = await ask('select count(*) as n from message');
    expect(await running?.stop()).toBe(0);
    expect(await ask('select count(*) as n from message')).toEqual(before);
    expect(await queryStore(store(), 'delete from message')).toMatchObject({ code: 1 });
    expect(await queryStore(path('none.duckdb'), 'select 1')).toMatchObject({ code: 1, stderr: expect.stringContaining('HR-CC-201') });
  });
});

it('shows its page and the data of it, to those who only read', async () => {
  const { pageUrl } = await start();
  const page = await fetch(pageUrl);
  expect(page.status).toBe(200);
  expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'sha256-/);
  expect(await page.text()).toContain('what the sites say');
  const data = (await (await fetch(`${pageUrl}/overview.json?hours=720&site=`)).json()) as {
    sites: { site: string }[];
    refused: { code: string }[];
  };
  expect(data.sites.map(({ site }) => site)).toEqual(['berlin', 'paris']);
  expect(data.refused.map(({ code }) => code).sort()).toEqual(['HR-CC-101', 'HR-CC-103', 'HR-CC-105']);
  expect((await fetch(pageUrl, { method: 'POST', body: 'x' })).status).toBe(405);
  expect((await fetch(`${pageUrl}/overview.json?hours=5`)).status).toBe(400);
  expect((await fetch(`${pageUrl}/store.duckdb`)).status).toBe(404);
});

it('says so when the broker has forgotten its session', async () => {
  await running?.stop();
  await world.standIn.kill();
  await world.standIn.restart({ wipe: true });
  await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: RULES } });
  const consumer = await start();
  expect(await ask('select code from notice')).toEqual([{ code: 'HR-CC-203' }]);
  expect(await consumer.stop()).toBe(0);
});

async function stored(metricsUrl: string): Promise<number> {
  const text = await (await fetch(`${metricsUrl}/metrics`)).text();
  return Number(/^fleet_cloud_messages_total\{type="Trend"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}
