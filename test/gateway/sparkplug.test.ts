// Nodes that speak Sparkplug B, in payloads that a library of others made: from the broker through the whole gateway, also when it starts anew.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { configOf, counted, deviceOf, type GatewayProcess, type GatewaySite, type Speaker, segmentOf, startGatewaySite } from './site.ts';

const SEGMENT = 'pumps.berlin';
const NODE = 'node-1.berlin';
const FIXTURE = new URL('../../edge-k3s/gateway/sparkplug/testdata/pysparkplug.json', import.meta.url);
const made = JSON.parse(readFileSync(FIXTURE, 'utf8')) as Record<string, string>;
/** The rights that the policy of the guide compiles to. */
const RULES = [
  `{allow, {clientid, "${NODE}"}, publish, [${['NBIRTH', 'NDATA', 'NDEATH'].map((type) => `"spBv1.0/${SEGMENT}/${type}/${NODE}"`)}]}.`,
  `{allow, {clientid, "${NODE}"}, publish, [${['DBIRTH', 'DDATA', 'DDEATH'].map((type) => `"spBv1.0/${SEGMENT}/${type}/${NODE}/+"`)}]}.`,
  `{allow, {clientid, "${NODE}"}, subscribe, ["spBv1.0/${SEGMENT}/NCMD/${NODE}"]}.`,
  `{allow, {clientid, "gateway.berlin"}, subscribe, ["spBv1.0/${SEGMENT}/#"]}.`,
  `{allow, {clientid, "gateway.berlin"}, publish, ["spBv1.0/${SEGMENT}/NCMD/+"]}.`,
  '{deny, all}.',
];

let site: GatewaySite;
let gateway: GatewayProcess;
let node: Speaker;
beforeAll(async () => {
  const level = { type: 'object', properties: { Level: { minimum: -300 } } };
  site = await startGatewaySite({
    config: configOf(
      segmentOf({
        ...{ name: SEGMENT, format: 'SparkplugB' },
        schemas: [{ topic: `dt/${SEGMENT}/+/sparkplug/pump`, schema: level }],
        detect: [{ stream: 'sparkplug/pump', field: 'Temperature', range: { max: -3 } }],
      }),
    ),
    devices: [deviceOf('node-1', { segment: SEGMENT })],
  });
  await site.local.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: `${RULES.join('\n')}\n` } });
  gateway = await site.startGateway();
  node = await site.speaker('node-1', { segment: SEGMENT });
});
afterAll(() => site.stop());

let lastMs = 0;
/** The payload of this name, made now: its time is the first field and its number the last byte. */
function now(name: string, seq: number): Buffer {
  lastMs = Math.max(Date.now(), lastMs + 1);
  const payload = Buffer.from(made[name] ?? '', 'hex');
  for (let [at, rest] = [1, BigInt(lastMs)]; at <= 6; at++, rest >>= 7n) payload[at] = Number(rest & 0x7fn) | (at < 6 ? 0x80 : 0);
  payload[payload.length - 1] = seq;
  return payload;
}
/** As nodes do, with QoS 0 (§5.4). */
const say = (type: string, payload: Buffer): Promise<unknown> =>
  node.client.client.publishAsync(`spBv1.0/${SEGMENT}/${type}/${NODE}${type.startsWith('D') ? '/pump' : ''}`, payload, { qos: 0 });
const results = (result: string): Promise<number> => gateway.metric('fleet_gateway_messages_total', { result });

it('are heard: births name what data has aliases for, and the detectors see it', async () => {
  await say('NBIRTH', now('nbirth', 0));
  await say('DBIRTH', now('dbirth', 1));
  await counted(gateway, 'accepted', 2);
  expect(await gateway.metric('fleet_gateway_findings_total', { kind: 'range' })).toBe(0);
  await say('DDATA', now('ddata', 2));
  await say('NDATA', now('ndata', 3));
  await counted(gateway, 'accepted', 4);
  expect(await gateway.metric('fleet_gateway_findings_total', { kind: 'range' })).toBe(1);
});

it('are not heard twice, and with nothing that is no payload of theirs', async () => {
  const payload = now('ddata', 4);
  await say('DDATA', payload);
  await say('DDATA', payload);
  await counted(gateway, 'HR-GW-202', 1);
  await say('NDATA', Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]));
  await say('NDATA', Buffer.from('{"v":1,"boot":1,"seq":1,"ts":1,"m":{}}'));
  await say('NBIRTH', Buffer.alloc(10_000, 0xff));
  await counted(gateway, 'HR-GW-801', 3);
  await say('NBIRTH', Buffer.alloc(0));
  await counted(gateway, 'HR-GW-802', 1);
  // Of 2025.
  await say('NBIRTH', Buffer.from(made.nbirth ?? '', 'hex'));
  await counted(gateway, 'HR-GW-203', 1);
  // What was refused has changed no name.
  await say('NDATA', now('ndata', 5));
  await counted(gateway, 'accepted', 6);
});

it('are held to the schema of their stream, and go on afterwards', async () => {
  const birth = now('dbirth', 6);
  // -300 as two bytes of a varint, made -301.
  const at = birth.indexOf(Buffer.from([0x50, 0xd4, 0xfd, 0x03]));
  expect(at).toBeGreaterThan(0);
  birth[at + 1] = 0xd3;
  await say('DBIRTH', birth);
  await counted(gateway, 'HR-GW-307', 1);
  await say('DBIRTH', now('dbirth', 6));
  await counted(gateway, 'accepted', 7);
});

it('have their rights at the broker for their own name only', async () => {
  expect(await node.send(`spBv1.0/${SEGMENT}/NDATA/node-2.berlin`, now('ndata', 7))).toBe('refused 135');
  expect(await node.send(`spBv1.0/${SEGMENT}/NCMD/${NODE}`, now('rebirth', 7))).toBe('refused 135');
});

it('are asked for another birth by a gateway that started anew; what was there before it still knows', async () => {
  expect(await node.client.subscribe(`spBv1.0/${SEGMENT}/NCMD/${NODE}`)).toBe('granted 1');
  const known = now('ddata', 7);
  await say('DDATA', known);
  await counted(gateway, 'accepted', 8);
  expect(await gateway.stop()).toBe(0);
  gateway = await site.startGateway();
  await say('DDATA', now('ddata', 8));
  await counted(gateway, 'HR-GW-803', 1);
  await node.client.waitMessages(1);
  expect(node.client.received[0]).toMatchObject({
    topic: `spBv1.0/${SEGMENT}/NCMD/${NODE}`,
    payload: expect.stringContaining('Node Control/Rebirth'),
  });
  await say('NBIRTH', now('nbirth', 0));
  await say('DBIRTH', now('dbirth', 1));
  await say('DDATA', now('ddata', 2));
  await counted(gateway, 'accepted', 3);
  await say('DDATA', known);
  await counted(gateway, 'HR-GW-203', 1);
  expect(await results('accepted')).toBe(3);
  expect(site.log()).not.toContain('"level":50');
});
