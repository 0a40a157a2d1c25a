// A worm at the broker: every device of a small fleet in turn is one that somebody has taken. With its real certificate each tries every form of every topic of everybody, and all say what
// reached them. Whom it touched, and who touched it, is what `what-if compromise` says from the manifests and from what the broker answers; nobody more, nobody less.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { sentText } from '../../operator/broker/testing/sent-text.ts';
import { check } from '../../operator/cli/check.ts';
import { typed } from '../../operator/cli/testing/heard.ts';
import { whatIfCompromise, whatIfQuarantine } from '../../operator/cli/what-if.ts';
import { rightsOfListed } from '../../operator/segments/segments.ts';
import type { Device } from '../broker/testing/device.ts';
import { startWorld, type World } from '../broker/testing/world.ts';

const API = 'hedgerow.dev/v1alpha1';
const policy = (namespace: string, name: string, spec: object) => ({
  apiVersion: API,
  kind: 'SegmentPolicy',
  metadata: { namespace, name },
  spec,
});
const POLICIES = [
  policy('berlin', 'sensors', {
    topics: { publish: [{ topic: 'dt/{segment}/{device}/#' }], subscribe: [{ topic: 'cmd/{segment}/{device}/#' }] },
    acceptFrom: [
      {
        segment: 'gateways',
        topics: [
          { topic: 'dt/{segment}/#', action: 'subscribe' },
          { topic: 'cmd/{segment}/+/#', action: 'publish' },
        ],
      },
    ],
  }),
  policy('berlin', 'gateways', {
    trust: 3,
    topics: { subscribe: [{ topic: 'dt/sensors.berlin/#' }], publish: [{ topic: 'cmd/sensors.berlin/+/#' }] },
  }),
  policy('berlin', 'cameras', { topics: { publish: [{ topic: 'dt/{segment}/{device}/#' }], subscribe: [] } }),
  policy('paris', 'analytics', { trust: 3, topics: { subscribe: [{ topic: 'dt/#' }] } }),
];
const NAMESPACES = ['berlin', 'paris'].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
const FLEET: readonly [device: string, segment: string, lifecycle: 'Active' | 'Quarantined'][] = [
  ['berlin/thermo-1', 'sensors', 'Active'],
  ['berlin/thermo-2', 'sensors', 'Active'],
  ['berlin/shut', 'sensors', 'Quarantined'],
  ['berlin/gate-1', 'gateways', 'Active'],
  ['berlin/cam-1', 'cameras', 'Active'],
  ['berlin/cam-2', 'cameras', 'Active'],
  ['paris/collector', 'analytics', 'Active'],
];
const onWire = (key: string): string => key.split('/').reverse().join('.');
const NAMES = FLEET.map(([key]) => onWire(key));
const SEGMENTS = ['sensors.berlin', 'gateways.berlin', 'cameras.berlin', 'analytics.paris'];
const WORDS = ['dt', 'cmd', 'free'];

const TOPICS = [
  ...WORDS.flatMap((word) => SEGMENTS.flatMap((segment) => NAMES.map((name) => `${word}/${segment}/${name}/t`))),
  ...NAMES.flatMap((name) => [
    `recovery/${name}/x`,
    `ota/v1/d/${name}/directive`,
    `ota/v1/d/${name}/state`,
    `trust/v1/d/${name}/confirmed`,
  ]),
  ...['trust/v1/anchors', 'dt', 'dt/sensors.berlin', '$SYS/x', '$events/x', 'x'],
];
const PLAIN_FILTERS = [
  ...['#', '+/#', '+/+/+/+', 'recovery/#', 'ota/#', 'ota/v1/d/+/directive', 'trust/#', 'trust/v1/anchors', '$SYS/#', '$events/#'],
  ...WORDS.flatMap((word) => [`${word}/#`, `${word}/+`, `${word}/+/#`, `${word}/+/+/t`]),
  ...WORDS.flatMap((word) => SEGMENTS.flatMap((segment) => [`${word}/${segment}/#`, `${word}/${segment}/+/#`, `${word}/${segment}/+/t`])),
  ...NAMES.flatMap((name) => [
    `recovery/${name}/#`,
    `cmd/sensors.berlin/${name}/#`,
    `dt/sensors.berlin/${name}/t`,
    `dt/cameras.berlin/${name}/#`,
  ]),
];
/** Rules of others, one of which opens what no policy does. */
const FOREIGN = [
  '{allow, {clientid, "collector.paris"}, subscribe, ["dt/+"]}.',
  '{allow, {clientid, "cam-1.berlin"}, publish, ["cmd/sensors.berlin/thermo-2.berlin/t"]}.',
].join('\n');

/** What a quarantine is at the broker. */
function quarantine(clientid: string) {
  const kept = [
    ...['hello', 'log', 'state'].map((word) => ({ topic: `ota/v1/d/${clientid}/${word}`, permission: 'allow', action: 'publish' })),
    { topic: `recovery/${clientid}/#`, permission: 'allow', action: 'all' },
    { topic: `ota/v1/d/${clientid}/directive`, permission: 'allow', action: 'subscribe' },
  ];
  const rest = ['#', '$SYS/#', '$events/#'].map((topic) => ({ topic, permission: 'deny', action: 'all' }));
  return { clientid, rules: [...kept, ...rest] };
}

let world: World;
let flags: string[];
let dir: string;
const devices = new Map<string, Device>();
/** By receiver: who reached it. */
const reached = new Map<string, Set<string>>();

beforeAll(async () => {
  world = await startWorld();
  dir = join(world.dir, 'manifests');
  mkdirSync(dir);
  const manifests = FLEET.map(([key, segment, lifecycle]) => {
    const [namespace, name] = key.split('/');
    return { apiVersion: API, kind: 'Device', metadata: { namespace, name }, spec: { segment, lifecycle } };
  });
  writeFileSync(join(dir, 'fleet.yaml'), [...NAMESPACES, ...POLICIES, ...manifests].map((one) => stringify(one)).join('---\n'));
  const [key, ca] = [join(world.dir, 'key'), join(world.dir, 'rest-ca.pem')];
  writeFileSync(key, `${world.standIn.apiKey.key}:${world.standIn.apiKey.secret}\n`);
  writeFileSync(ca, world.broker.caPem);
  flags = ['--dir', dir, '--broker-url', world.standIn.restUrl, '--broker-api-key-file', key, '--broker-ca-file', ca];
  const rules = `${FOREIGN}\n${sentText(rightsOfListed(parse(stringify(POLICIES)), NAMESPACES, 0))}`;
  const written = [
    await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules } }),
    await world.standIn.request('POST', '/authorization/sources/built_in_database/rules/clients', { body: [quarantine('shut.berlin')] }),
  ];
  expect(written.map(({ status }) => status)).toEqual([204, 204]);
  for (const [at, [device, segment]] of FLEET.entries()) {
    const namespace = device.split('/')[0];
    // Whatever it says it is called, its certificate counts.
    const clientId = NAMES[(at + 1) % NAMES.length] ?? '';
    devices.set(onWire(device), await world.connect(onWire(device), `${segment}.${namespace}`, { clientId }));
  }
  for (const [name, device] of devices) for (const filter of filtersOf(name)) await device.subscribe(filter);
  for (const [name, device] of devices)
    for (const topic of TOPICS) for (const retain of [false, true]) await device.publish(topic, { payload: name, retain });
  await willsOf('thermo-1.berlin', 'sensors.berlin');
  for (const [name, device] of devices) {
    await device.settle();
    reached.set(name, new Set(device.received.map(({ payload }) => payload).filter((from) => from !== name)));
  }
}, 300_000);
afterAll(() => world?.stop());

/** Each filter plainly, and as a member of a group of its own. */
const filtersOf = (name: string): string[] => [...PLAIN_FILTERS, ...PLAIN_FILTERS.map((filter) => `$share/${name}/${filter}`)];

/** The connection is cut, so that the broker publishes what the device could not say itself. */
async function willsOf(name: string, segment: string): Promise<void> {
  devices.get(name)?.drop();
  for (const topic of TOPICS.filter((_, at) => at % 7 === 0)) {
    const made = await world.connect(name, segment, { will: { topic, payload: name } });
    made.drop();
    await made.waitClosed();
  }
  const again = await world.connect(name, segment);
  for (const filter of filtersOf(name)) await again.subscribe(filter);
  const before = devices.get(name);
  again.received.unshift(...(before?.received ?? []));
  devices.set(name, again);
}

type Way = { to: string; from: string; topics: string[] };

/** Devices of the segment, or those that each topic is said to be of alone. */
function named(segment: string, side: 'from' | 'to', topics: readonly string[]): string[] {
  const all = FLEET.filter(([key, own]) => `${key.split('/')[0]}/${own}` === segment).map(([key]) => onWire(key));
  return topics.flatMap((topic) => {
    const [, only] = new RegExp(` only .*?${side} ([a-z0-9.-]+(?: and [a-z0-9.-]+)*)`).exec(topic) ?? [];
    return only === undefined ? all : only.split(' and ');
  });
}

it.each(FLEET.map(([key]) => key))('somebody who has %s touches exactly whom what-if says', { timeout: 60_000 }, async (device) => {
  const { code, out, err } = await typed(whatIfCompromise, ...whatIfCompromise.words, device, '-o', 'json', ...flags);
  expect([code, err]).toEqual([0, '']);
  const { reached: ways, hears, devices: count } = JSON.parse(out) as { reached: Way[]; hears: Way[]; devices: number };
  const own = onWire(device);
  const foretold = new Set(ways.flatMap(({ to, topics }) => named(to, 'to', topics)).filter((name) => name !== own));
  const touched = NAMES.filter((name) => reached.get(name)?.has(own));
  expect(touched.sort()).toEqual([...foretold].sort());
  expect(count).toBe(touched.length);
  const heard = new Set(hears.flatMap(({ from, topics }) => named(from, 'from', topics)).filter((name) => name !== own));
  expect([...(reached.get(own) ?? [])].sort()).toEqual([...heard].sort());
});

it('there is something to foretell: the sensors and the gateway, what rules of others opened, and nobody by the one in quarantine', () => {
  const whom = Object.fromEntries(NAMES.map((own) => [own, NAMES.filter((name) => reached.get(name)?.has(own)).sort()]));
  expect(whom).toEqual({
    'thermo-1.berlin': ['collector.paris', 'gate-1.berlin'],
    'thermo-2.berlin': ['collector.paris', 'gate-1.berlin'],
    'shut.berlin': [],
    'gate-1.berlin': ['thermo-1.berlin', 'thermo-2.berlin'],
    'cam-1.berlin': ['collector.paris', 'thermo-2.berlin'],
    'cam-2.berlin': ['collector.paris'],
    'collector.paris': [],
  });
});

it('nobody lost its connection to another one that called itself by its name', () => {
  expect([...devices].flatMap(([name, { closed }]) => (closed ? [name] : []))).toEqual([]);
});

it('what is retained reaches who comes later only where what-if says', { timeout: 120_000 }, async () => {
  const later = await world.connect('gate-1.berlin', 'gateways.berlin');
  for (const filter of PLAIN_FILTERS) await later.subscribe(filter);
  await later.settle();
  const from = new Set(later.received.map(({ payload }) => payload).filter((name) => name !== 'gate-1.berlin'));
  expect([...from].filter((name) => reached.get('gate-1.berlin')?.has(name) !== true)).toEqual([]);
});

it('check finds the rules of others by the same reading, and what-if quarantine ends what they opened', async () => {
  const file = join(world.dir, 'invariants.yaml');
  const never = { from: { namespace: 'berlin' }, to: { namespace: 'paris' }, via: 'broker' };
  writeFileSync(file, stringify({ invariants: [{ name: 'nothing of berlin reaches paris', never }] }));
  const { code, out, err } = await typed(check, ...check.words, file, ...flags);
  expect([code, err]).toEqual([1, '']);
  expect(out).toContain('berlin/sensors -> paris/analytics');
  expect(out).toContain('EMQX, file, line 1');
  const quarantined = await typed(whatIfQuarantine, ...whatIfQuarantine.words, 'berlin/cam-1', '-o', 'json', ...flags);
  expect(JSON.parse(quarantined.out)).toMatchObject({ loses: [{ peer: 'berlin/sensors' }, { peer: 'paris/analytics' }], stays: [] });
});
