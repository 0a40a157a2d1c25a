// A Device that is deleted while the gateway does not run: the next one finds it, has nothing of it on its disk, and tells the cloud by the name that the cloud knows.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EgressMessage, EgressType, MessageOf } from '../../operator/api/egress.ts';
import type { Device } from '../broker/testing/device.ts';
import { waitFor } from '../harness/wait.ts';
import { configOf, counted, deviceOf, type GatewayProcess, type GatewaySite, segmentOf, startGatewaySite } from './site.ts';

const VICTIM = 'leaver-6f1c';
const OTHERS = ['thermo-1', 'thermo-2'];

let site: GatewaySite;
let cloud: Device;
beforeAll(async () => {
  site = await startGatewaySite({
    config: configOf(segmentOf({ detect: [{ stream: 'climate', field: 'celsius', range: { max: 85 } }] })),
    devices: [...OTHERS, VICTIM].map((device) => deviceOf(device)),
  });
  cloud = await site.connect(site.cloudAddress, 'reader.cloud', 'readers.cloud');
  expect(await cloud.subscribe('#')).toBe('granted 1');
});
afterAll(() => site.stop());

const start = (): Promise<GatewayProcess> => {
  const file = (name: string): string => join(site.dir, name);
  return site.startGateway([
    ...['--uplink', `localhost:${site.cloud.mqttPort}`, '--uplink-ca-file', file('ca.pem')],
    ...['--uplink-cert-file', file('gateway.crt'), '--uplink-key-file', file('gateway.key')],
  ]);
};

/** What the cloud has got. */
const heard = <T extends EgressType>(type: T): MessageOf<T>[] =>
  cloud.received.map(({ payload }) => JSON.parse(String(payload)) as EgressMessage).filter((one): one is MessageOf<T> => one.type === type);

const until = <T extends EgressType>(type: T, count: number): Promise<MessageOf<T>[]> =>
  waitFor(`${count} × ${type}`, () => (heard(type).length >= count ? heard(type) : undefined), { timeoutMs: 60_000 });

/** Files of the gateway that have the word. */
const filesWith = (word: string): string[] =>
  readdirSync(site.stateDir, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => path.includes(word) || readFileSync(path).includes(word));

it('is erased by the gateway that starts next, and what it says afterwards is that of a stranger', async () => {
  const killed = await start();
  const [victim, other] = [await site.speaker(VICTIM), await site.speaker('thermo-1')];
  for (const one of [other, victim]) await one.say('climate', { celsius: 99 });
  const alerts = await until('Alert', 2);
  expect(new Set(alerts.map(({ device }) => device)).size).toBe(2);
  expect(JSON.stringify(alerts)).not.toContain(VICTIM);
  expect(filesWith(VICTIM).length).toBeGreaterThan(1);
  await killed.kill();

  site.setDevices(OTHERS.map((device) => deviceOf(device)));
  for (let n = 0; n < 20; n++) await victim.say('climate', { celsius: 20 });
  const gateway = await start();
  const [erased] = await until('Erased', 1);
  expect(alerts.map(({ device }) => device)).toContain(erased?.device);
  await counted(gateway, 'HR-GW-303', 20);
  await waitFor('no file to have it', () => (filesWith(VICTIM).length === 0 ? true : undefined), {
    timeoutMs: 60_000,
    describe: () => filesWith(VICTIM).join(', '),
  });
  expect(filesWith('thermo-1').length).toBeGreaterThan(0);
  expect(await gateway.stop()).toBe(0);
  expect(filesWith(VICTIM)).toEqual([]);

  const last = await start();
  await other.say('climate', { celsius: 21 });
  await counted(last, 'accepted', 1);
  expect(heard('Erased').map(({ key }) => key)).toEqual([erased?.key]);
});
