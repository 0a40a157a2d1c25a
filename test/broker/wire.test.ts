/** MQTT on the wire, packet by packet: what client libraries hide. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { IPublishPacket, Packet } from 'mqtt-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Identity } from './testing/pki.ts';
import { openRaw, type RawClient } from './testing/raw-client.ts';
import { startWorld, type World } from './testing/world.ts';

let world: World;
let alice: Identity;
let bob: Identity;

beforeAll(async () => {
  world = await startWorld();
  await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: '{allow, all}.\n' } });
  alice = await world.identity('alice.berlin', 'office.berlin');
  bob = await world.identity('bob.berlin', 'office.berlin');
});
afterAll(() => world?.stop());

type Connect = Parameters<typeof openRaw>[2];
const open = (identity: Identity, connect: Connect = {}) => openRaw(world.broker, identity, connect);
const publish = (topic: string, more: Partial<IPublishPacket> = {}): IPublishPacket => ({
  cmd: 'publish',
  topic,
  payload: 'x',
  qos: 0,
  dup: false,
  retain: false,
  ...more,
});
const subscribe = (topic: string, more: object = {}, properties = {}): Packet =>
  ({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1, ...more }], properties }) as Packet;
/** By REST: no client of its own is in the way. */
const send = (topic: string, payload = 'x', more: object = {}) =>
  world.standIn.request('POST', '/publish', { body: { topic, payload, qos: 1, ...more } });

async function subscribed(client: RawClient, topic: string, more: object = {}, properties = {}): Promise<void> {
  client.send(subscribe(topic, more, properties));
  expect(await client.next()).toMatchObject({ cmd: 'suback', granted: [1] });
}

/** Alice loses her connection, and the broker has noticed. */
async function goOffline(client: RawClient): Promise<void> {
  client.drop();
  for (;;) {
    const { body } = await world.standIn.request('GET', '/clients/alice.berlin');
    if ((body as { connected: boolean }).connected === false) return;
    await sleep(10);
  }
}

describe('what ends a connection', () => {
  const cases: [string, number, (client: RawClient) => void][] = [
    [
      'a second CONNECT',
      0x82,
      (client) => client.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true, clientId: 'x', keepalive: 0 }),
    ],
    ['a wildcard in a topic name', 0x90, (client) => client.write(Buffer.from('300700032f2b2f0078', 'hex'))],
    ['topic alias 0', 0x94, (client) => client.write(Buffer.from('30080001610323000078', 'hex'))],
    ['a topic alias that was never set', 0x82, (client) => client.send(publish('', { properties: { topicAlias: 7 } }))],
    ['a malformed shared subscription', 0x8f, (client) => client.send(subscribe('$share/g'))],
    ['bytes that are no packet', 0x81, (client) => client.write(Buffer.from('0000', 'hex'))],
  ];
  it.each(cases)('%s', async (_name, reasonCode, act) => {
    const client = await open(alice);
    act(client);
    expect(await client.next()).toMatchObject({ cmd: 'disconnect', reasonCode });
    expect(await client.next()).toBeUndefined();
    expect(client.closed).toBe(true);
  });

  it('anything before CONNECT', async () => {
    const client = await openRaw(world.broker, alice);
    client.send(publish('a'));
    expect(await client.next()).toBeUndefined();
  });

  it('silence for one and a half times the keep-alive', async () => {
    const client = await open(alice, { keepalive: 1 });
    const startedAt = performance.now();
    expect(await client.next()).toMatchObject({ cmd: 'disconnect', reasonCode: 0x8d });
    expect(performance.now() - startedAt).toBeGreaterThan(1_400);
  });
});

describe('delivery', () => {
  it('QoS 1 that was not acknowledged comes again, marked as a duplicate, after the connection was lost', async () => {
    const persistent = { clean: false, properties: { sessionExpiryInterval: 60 } };
    const first = await open(alice, persistent);
    await subscribed(first, 'again');
    await send('again', 'one');
    const sent = (await first.next()) as IPublishPacket;
    expect(sent).toMatchObject({ cmd: 'publish', dup: false, qos: 1 });
    first.drop();
    const second = await open(alice, persistent);
    expect(await second.next()).toMatchObject({ cmd: 'publish', dup: true, messageId: sent.messageId, topic: 'again' });
    second.send({ cmd: 'puback', messageId: sent.messageId ?? 0 });
    second.send({ cmd: 'pingreq' });
    expect(await second.next()).toMatchObject({ cmd: 'pingresp' });
    second.drop();
    const third = await open(alice, persistent);
    third.send({ cmd: 'pingreq' });
    expect(await third.next()).toMatchObject({ cmd: 'pingresp' });
  });

  it('QoS 2 that was received is only released again', async () => {
    const persistent = { clean: false, properties: { sessionExpiryInterval: 60 } };
    const first = await open(bob, persistent);
    first.send(subscribe('twice', { qos: 2 }));
    await first.next();
    await send('twice', 'one', { qos: 2 });
    const { messageId = 0 } = (await first.next()) as IPublishPacket;
    first.send({ cmd: 'pubrec', messageId });
    expect(await first.next()).toMatchObject({ cmd: 'pubrel', messageId });
    first.drop();
    const second = await open(bob, persistent);
    expect(await second.next()).toMatchObject({ cmd: 'pubrel', messageId });
    second.send({ cmd: 'pubcomp', messageId });
  });

  it('a QoS 2 publish sent twice arrives once', async () => {
    const listener = await open(bob);
    await subscribed(listener, 'once');
    const client = await open(alice);
    const packet = publish('once', { qos: 2, messageId: 9 });
    client.send(packet, { ...packet, dup: true });
    expect([await client.next(), await client.next()]).toMatchObject([{ cmd: 'pubrec' }, { cmd: 'pubrec' }]);
    client.send({ cmd: 'pubrel', messageId: 9 });
    expect(await client.next()).toMatchObject({ cmd: 'pubcomp', messageId: 9 });
    listener.send({ cmd: 'pingreq' });
    expect([await listener.next(), await listener.next()]).toMatchObject([{ cmd: 'publish', topic: 'once' }, { cmd: 'pingresp' }]);
  });

  it('no more than Receive Maximum are under way', async () => {
    const client = await open(alice, { properties: { receiveMaximum: 2 } });
    await subscribed(client, 'flow');
    for (const payload of ['1', '2', '3']) await send('flow', payload);
    const [first] = [(await client.next()) as IPublishPacket, await client.next()];
    client.send({ cmd: 'pingreq' });
    expect(await client.next()).toMatchObject({ cmd: 'pingresp' });
    client.send({ cmd: 'puback', messageId: first?.messageId ?? 0 });
    expect(String(((await client.next()) as IPublishPacket).payload)).toBe('3');
  });

  it('what is larger than the client takes is left out and holds nothing up', async () => {
    const client = await open(alice, { properties: { maximumPacketSize: 100, receiveMaximum: 1 } });
    await subscribed(client, 'size');
    await send('size', 'x'.repeat(200));
    await send('size', 'small');
    expect(String(((await client.next()) as IPublishPacket).payload)).toBe('small');
    expect((await world.standIn.request('GET', '/clients/alice.berlin')).body).toMatchObject({ inflight_cnt: 1 });
  });

  it('of an offline session the oldest above 1000 go', async () => {
    const persistent = { clean: false, properties: { sessionExpiryInterval: 60 } };
    const client = await open(alice, persistent);
    await subscribed(client, 'many');
    await goOffline(client);
    const publisher = await open(bob);
    for (let n = 0; n < 1005; n++) publisher.send(publish('many', { payload: String(n), qos: 0 }));
    publisher.send({ cmd: 'pingreq' });
    await publisher.next();
    const { body } = await world.standIn.request('GET', '/clients/alice.berlin');
    expect(body).toMatchObject({ mqueue_len: 1000, mqueue_dropped: 5 });
    const again = await open(alice, persistent);
    expect(String(((await again.next()) as IPublishPacket).payload)).toBe('5');
  });

  it('an expired message is not delivered any more', async () => {
    const persistent = { clean: false, properties: { sessionExpiryInterval: 60 } };
    const client = await open(alice, persistent);
    await subscribed(client, 'expiry');
    await goOffline(client);
    await send('expiry', 'gone', { properties: { message_expiry_interval: 0 } });
    await send('expiry', 'stays');
    const again = await open(alice, persistent);
    expect(String(((await again.next()) as IPublishPacket).payload)).toBe('stays');
  });
});

describe('MQTT 5', () => {
  it('a topic alias stands for its topic', async () => {
    const listener = await open(bob);
    await subscribed(listener, 'alias/#');
    const client = await open(alice);
    client.send(publish('alias/a', { properties: { topicAlias: 3 } }), publish('', { properties: { topicAlias: 3 } }));
    expect([await listener.next(), await listener.next()]).toMatchObject([{ topic: 'alias/a' }, { topic: 'alias/a' }]);
  });

  it('no local, retain as published, subscription identifier', async () => {
    const client = await open(alice);
    await subscribed(client, 'own/a', { nl: true });
    await subscribed(client, 'own/b', { rap: true }, { subscriptionIdentifier: 42 });
    client.send(publish('own/a'), publish('own/b', { retain: true }));
    expect(await client.next()).toMatchObject({ topic: 'own/b', retain: true, properties: { subscriptionIdentifier: 42 } });
    await send('own/b', '', { retain: true });
  });

  it('retain handling 2 hands nothing over, 1 only to a new subscription', async () => {
    await send('kept', 'kept', { retain: true });
    const client = await open(alice);
    for (const [rh, handed] of [
      [2, false],
      [1, false],
      [0, true],
    ] as const) {
      await subscribed(client, 'kept', { rh });
      client.send({ cmd: 'pingreq' });
      const next = await client.next();
      expect(next?.cmd).toBe(handed ? 'publish' : 'pingresp');
      if (handed) await client.next();
    }
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['kept', 'never'] });
    expect(await client.next()).toMatchObject({ cmd: 'unsuback', granted: [0, 0x11] });
    await subscribed(client, 'kept', { rh: 1 });
    expect(await client.next()).toMatchObject({ cmd: 'publish', retain: true });
    await send('kept', '', { retain: true });
  });

  it('DISCONNECT 0x04 keeps the will, 0x00 does not', async () => {
    const listener = await open(bob);
    await subscribed(listener, 'last/words');
    const will = { topic: 'last/words', payload: Buffer.from('bye'), qos: 0 as const, retain: false };
    const quiet = await open(alice, { will });
    quiet.send({ cmd: 'disconnect', reasonCode: 0 });
    await quiet.next();
    const loud = await open(alice, { will });
    loud.send({ cmd: 'disconnect', reasonCode: 4 });
    expect(await listener.next()).toMatchObject({ topic: 'last/words' });
    listener.send({ cmd: 'pingreq' });
    expect(await listener.next()).toMatchObject({ cmd: 'pingresp' });
  });
});
