// explain, can, check and what-if beside the broker that they were asked about: each "allowed" and "denied" is what its answers to SUBSCRIBE and its deliveries say.
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { can } from '../../operator/cli/can.ts';
import { check } from '../../operator/cli/check.ts';
import { explainTopic } from '../../operator/cli/explain-topic.ts';
import { typed } from '../../operator/cli/testing/heard.ts';
import { whatIfCompromise } from '../../operator/cli/what-if.ts';
import type { Device } from '../broker/testing/device.ts';
import { startWorld, type World } from '../broker/testing/world.ts';

const MAIN = resolve(import.meta.dirname, '../../examples/gitops/main');
const RULES = [
  '{allow, {clientid, "collector.paris"}, subscribe, ["dt/+"]}.',
  '{deny, {client_attr, "seg", "gateways.berlin"}, subscribe, [{eq, "dt/sensors.berlin/#"}]}.',
  `{allow, {client_attr, "seg", {re, "^(?:sensors[.]berlin)$"}}, publish, ["dt/$\{client_attrs.seg}/$\{cert_common_name}/#"]}.`,
  '{allow, {client_attr, "seg", "gateways.berlin"}, subscribe, ["dt/sensors.berlin/#"]}.',
  '{deny, all}.',
].join('\n');
const RECORD = { clientid: 'cam-1.berlin', rules: [{ topic: 'dt/sensors.berlin/+/t', permission: 'allow', action: 'subscribe' }] };
const FLEET = [
  ['berlin/thermo-1', 'sensors.berlin'],
  ['berlin/gate-1', 'gateways.berlin'],
  ['berlin/cam-1', 'cameras.berlin'],
  ['paris/collector', 'analytics.paris'],
] as const;
const FILTERS = [
  'dt/#',
  'dt/+',
  'dt/sensors.berlin/#',
  'dt/sensors.berlin/+/#',
  'dt/sensors.berlin/+/t',
  'dt/sensors.berlin/thermo-1.berlin/t',
];
const TOPIC = 'dt/sensors.berlin/thermo-1.berlin/t';

let world: World;
let flags: string[];
const devices = new Map<string, Device>();

beforeAll(async () => {
  world = await startWorld();
  const [key, ca] = [join(world.dir, 'key'), join(world.dir, 'rest-ca.pem')];
  writeFileSync(key, `${world.standIn.apiKey.key}:${world.standIn.apiKey.secret}\n`);
  writeFileSync(ca, world.broker.caPem);
  flags = ['--dir', MAIN, '--broker-url', world.standIn.restUrl, '--broker-api-key-file', key, '--broker-ca-file', ca];
  const written = [
    await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: RULES } }),
    await world.standIn.request('POST', '/authorization/sources/built_in_database/rules/clients', { body: [RECORD] }),
  ];
  expect(written.map(({ status }) => status)).toEqual([204, 204]);
  for (const [device, segment] of FLEET) {
    const [namespace, name] = device.split('/');
    devices.set(device, await world.connect(`${name}.${namespace}`, segment));
  }
}, 120_000);
afterAll(() => world?.stop());

it.each(FLEET.map(([device]) => device))('what %s may subscribe to', { timeout: 120_000 }, async (device) => {
  for (const filter of FILTERS) {
    const answer = await devices.get(device)?.subscribe(filter);
    const { code, err } = await typed(explainTopic, 'explain', device, 'subscribe', filter, ...flags);
    expect([filter, code, err]).toEqual([filter, answer?.startsWith('granted') ? 0 : 1, '']);
  }
});

it('who receives what thermo-1 publishes', { timeout: 120_000 }, async () => {
  const readers = FLEET.filter(([device]) => device !== 'berlin/thermo-1').map(([device]) => device);
  for (const device of readers) for (const filter of FILTERS) await devices.get(device)?.subscribe(filter);
  expect(await devices.get('berlin/thermo-1')?.publish(TOPIC)).toBe('accepted');
  const seen: Record<string, boolean> = {};
  for (const device of readers) {
    await devices.get(device)?.settle();
    const received = devices.get(device)?.received.some(({ topic }) => topic === TOPIC) === true;
    const { code } = await typed(can, 'can', 'berlin/thermo-1', device, '--topic', TOPIC, ...flags);
    expect([device, code]).toEqual([device, received ? 0 : 1]);
    seen[device] = received;
  }
  // The gateway by dt/sensors.berlin/+/#, for only the one text is denied; the camera by its record; the collector by what EMQX adds.
  expect(seen).toEqual({ 'berlin/gate-1': true, 'berlin/cam-1': true, 'paris/collector': true });
  expect((await typed(can, 'can', 'berlin/gate-1', 'paris/collector', '--topic', 'dt/#', ...flags)).code).toBe(1);
});

it('whom thermo-1 touched is whom what-if compromise names, and check finds each by its rule', { timeout: 120_000 }, async () => {
  const blast = await typed(whatIfCompromise, ...whatIfCompromise.words, 'berlin/thermo-1', '-o', 'json', ...flags);
  expect([blast.code, blast.err]).toEqual([0, '']);
  const ways = JSON.parse(blast.out).reached.filter(({ topics }: { topics: string[] }) => topics.length > 0);
  expect(ways.map(({ to }: { to: string }) => to)).toEqual(['berlin/cameras', 'berlin/gateways', 'paris/analytics']);
  const file = join(world.dir, 'invariants.yaml');
  const who = (segment: string) =>
    `{name: none reaches ${segment}, never: {from: {segment: sensors}, to: {segment: ${segment}}, via: broker}}`;
  writeFileSync(file, `invariants: [${['cameras', 'gateways', 'analytics'].map(who).join(', ')}]\n`);
  const { code, out } = await typed(check, 'check', file, ...flags);
  expect(out.match(/^BROKEN /gm)).toHaveLength(3);
  expect(out).toContain('EMQX, record of cam-1.berlin, subscribe ');
  expect(code).toBe(1);
});
