// From devices at the local broker through every stage to a subscriber at the cloud's broker, on real sockets: what comes is what may leave, once, whatever was killed.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type EgressMessage, egressProblem, type MessageOf, topicOf } from '../../operator/api/egress.ts';
import type { Device } from '../broker/testing/device.ts';
import { waitFor } from '../harness/wait.ts';
import {
  configOf,
  counted,
  deviceOf,
  type GatewayProcess,
  type GatewaySite,
  SITE,
  type Speaker,
  segmentOf,
  startGatewaySite,
} from './site.ts';

const DEVICES = Array.from({ length: 6 }, (_, at) => `thermo-${at}`);
const PATIENCE = { timeoutMs: 90_000 };

let site: GatewaySite;
let gateway: GatewayProcess;
let reader: Device;
let speakers: Speaker[];
beforeAll(async () => {
  site = await startGatewaySite({
    config: configOf(segmentOf({ windowMs: 2_000, detect: [{ stream: 'climate', field: 'celsius', range: { max: 85 } }] })),
    devices: DEVICES.map((device) => deviceOf(device)),
  });
  gateway = await start();
  reader = await listen();
  speakers = await Promise.all(DEVICES.map((device) => site.speaker(device)));
});
afterAll(() => site?.stop());

const start = (): Promise<GatewayProcess> =>
  site.startGateway([
    ...['--uplink', `localhost:${site.cloud.mqttPort}`, '--uplink-ca-file', `${site.dir}/ca.pem`],
    ...['--uplink-cert-file', `${site.dir}/gateway.crt`, '--uplink-key-file', `${site.dir}/gateway.key`],
  ]);

async function listen(): Promise<Device> {
  const client = await site.connect(site.cloudAddress, 'reader.cloud', 'readers.cloud');
  expect(await client.subscribe('#')).toBe('granted 1');
  return client;
}

/** What the cloud has: the highest revision of each key, as a consumer keeps it. */
function had(...readers: Device[]): EgressMessage[] {
  const kept = new Map<string, EgressMessage>();
  const texts = new Map<string, string>();
  for (const { topic, payload } of readers.flatMap(({ received }) => received)) {
    const message = JSON.parse(payload) as EgressMessage;
    expect(egressProblem(message)).toBeUndefined();
    expect(topic).toBe(topicOf(message));
    // What is said again is said in the same words.
    const revision = `${message.key} ${message.rev}`;
    expect(payload).toBe(texts.get(revision) ?? payload);
    texts.set(revision, payload);
    if ((kept.get(message.key)?.rev ?? -1) <= message.rev) kept.set(message.key, message);
  }
  return [...kept.values()];
}
const of = <T extends EgressMessage['type']>(type: T, ...readers: Device[]): MessageOf<T>[] =>
  had(...readers).filter((one) => one.type === type) as MessageOf<T>[];

it('a reading out of range is an alert at the cloud, and tells no name of the device', async () => {
  await speakers[0]?.say('climate', { celsius: 99.75, note: 'a text of the device' });
  const [alert] = await waitFor('the alert', () => (of('Alert', reader).length > 0 ? of('Alert', reader) : undefined), PATIENCE);
  expect(alert).toMatchObject({ site: SITE, segment: 'office', kind: 'range', count: 1 });
  for (const word of ['thermo-', 'a text of', '99.75']) expect(JSON.stringify(had(reader))).not.toContain(word);
});

it('what six devices measure is a trend, though the gateway is killed in between; nothing is said in two ways', async () => {
  const round = () => Promise.all(speakers.map((speaker, at) => speaker.say('climate', { celsius: 20 + at })));
  for (let rounds = 0; rounds < 5; rounds++) await round();
  await counted(gateway, 'accepted', 31);
  await gateway.kill();
  gateway = await start();
  const trends = await waitFor(
    'the trend',
    async () => {
      await round();
      return of('Trend', reader).length > 0 ? of('Trend', reader) : undefined;
    },
    { ...PATIENCE, everyMs: 500 },
  );
  expect(trends.every(({ devices, count }) => devices >= 5 && count >= devices)).toBe(true);
  expect(trends[0]).toMatchObject({ segment: 'office', metric: 'climate:celsius' });
}, 180_000);

it('while the cloud is away all of it waits, and comes when it is back', async () => {
  await site.cloud.kill();
  await speakers[1]?.say('climate', { celsius: 120 });
  await waitFor('it to wait', async () => ((await gateway.metric('fleet_gateway_spool_waiting')) > 0 ? true : undefined), PATIENCE);
  await gateway.kill();
  gateway = await start();
  await site.cloud.restart();
  const second = await listen();
  await waitFor('the alert', () => (of('Alert', second).some(({ kind }) => kind === 'range') ? true : undefined), PATIENCE);
  await waitFor('nothing to wait', async () => ((await gateway.metric('fleet_gateway_spool_waiting')) === 0 ? true : undefined), PATIENCE);
  // Two devices, two alerts: what was sent again has the key that it had.
  expect(new Set(of('Alert', reader, second).map(({ device }) => device)).size).toBe(2);
  reader = second;
}, 180_000);

it('a Device that is deleted is said to be erased, and is in no file any more', async () => {
  site.setDevices(DEVICES.slice(1).map((device) => deviceOf(device)));
  const [erased] = await waitFor('it to be erased', () => (of('Erased', reader).length > 0 ? of('Erased', reader) : undefined), PATIENCE);
  expect(erased?.device).toMatch(/^[0-9a-f]{32}$/);
  await waitFor('the files to have nothing', () => (site.onDisk('thermo-0') ? undefined : true), PATIENCE);
  expect(site.onDisk('thermo-1')).toBe(true);
  await speakers[0]?.say('climate', { celsius: 20 });
  await counted(gateway, 'HR-GW-303', 1);
});
