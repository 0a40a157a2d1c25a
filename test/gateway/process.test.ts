// The gateway as a process, on real sockets: what devices say, what it takes of it, and what is still so after it was killed.
import { encode as encodeCbor } from 'cborg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../harness/wait.ts';
import { configOf, counted, deviceOf, type GatewayProcess, type GatewaySite, SEGMENT, segmentOf, startGatewaySite } from './site.ts';

let site: GatewaySite;
let gateway: GatewayProcess;
beforeAll(async () => {
  const climate = { type: 'object', properties: { celsius: { type: 'number' } }, required: ['celsius'], additionalProperties: false };
  site = await startGatewaySite({
    config: configOf(
      segmentOf({
        schemas: [{ topic: `dt/${SEGMENT}/+/climate`, schema: climate }],
        detect: [{ stream: 'climate', field: 'celsius', range: { max: 85 } }],
        maxBytes: 1_000,
        triggers: ['SchemaFlood'],
      }),
      segmentOf({ name: 'lab.berlin' }),
    ),
    devices: [
      ...['thermo-1', 'thermo-2', 'thermo-3', 'flood-1'].map((device) => deviceOf(device)),
      deviceOf('moved-1', { segment: 'lab.berlin' }),
      deviceOf('shut-1', { lifecycle: 'Quarantined' }),
    ],
  });
  gateway = await site.startGateway();
});
afterAll(() => site.stop());

describe('the gateway', () => {
  it('takes JSON and CBOR of a device, and says what its detectors find', async () => {
    const thermo = await site.speaker('thermo-1');
    await thermo.say('climate', { celsius: 21.5 });
    const cbor = encodeCbor({ v: 1, boot: 1, seq: 100, ts: Date.now(), m: { celsius: 99 } });
    await thermo.send(`dt/${SEGMENT}/thermo-1.berlin/climate`, Buffer.from(cbor));
    await counted(gateway, 'accepted', 2);
    expect(await gateway.metric('fleet_gateway_findings_total', { kind: 'range' })).toBe(1);
  });

  it.each([
    ['a device that is none', `dt/${SEGMENT}/stranger.berlin/climate`, undefined, 'HR-GW-303'],
    ['a device of another segment', `dt/${SEGMENT}/moved-1.berlin/climate`, undefined, 'HR-GW-303'],
    ['a device in quarantine', `dt/${SEGMENT}/shut-1.berlin/climate`, undefined, 'HR-GW-304'],
    ['a topic without a stream', `dt/${SEGMENT}/thermo-2.berlin`, undefined, 'HR-GW-302'],
    ['a payload that is too large', `dt/${SEGMENT}/thermo-2.berlin/climate`, 'x'.repeat(1_001), 'HR-GW-305'],
    ['a payload that is no JSON', `dt/${SEGMENT}/thermo-2.berlin/climate`, '{', 'HR-GW-306'],
    ['a message without an envelope', `dt/${SEGMENT}/thermo-2.berlin/climate`, '{"celsius":21}', 'HR-GW-201'],
    ['a message that its schema forbids', `dt/${SEGMENT}/thermo-2.berlin/climate`, wrapped({ note: 'x' }), 'HR-GW-307'],
    ['a message with a hundred numbers', `dt/${SEGMENT}/thermo-2.berlin/other`, wrapped(Array(100).fill(1)), 'HR-GW-308'],
    ['a message of yesterday', `dt/${SEGMENT}/thermo-2.berlin/climate`, wrapped({ celsius: 21 }, Date.now() - 86_400_000), 'HR-GW-205'],
  ])('refuses %s', async (_, topic, payload, code) => {
    const before = await gateway.metric('fleet_gateway_messages_total', { result: code });
    const thermo = await site.speaker('thermo-2', { clientId: `refused-${code}` });
    await thermo.send(topic, payload ?? wrapped({ celsius: 21 }));
    await counted(gateway, code, before + 1);
    expect(await gateway.metric('fleet_gateway_messages_total', { result: 'accepted' })).toBe(2);
  });

  it('asks for the quarantine of who floods it with what fits no schema, and of nobody else', async () => {
    expect(await gateway.metric('fleet_gateway_asks')).toBe(0);
    const flood = await site.speaker('flood-1');
    // More than are borne, in whichever minute of the meter they come.
    for (let at = 0; at < 70; at++) await flood.send(`dt/${SEGMENT}/flood-1.berlin/climate`, '{');
    await waitFor('the ask', async () => ((await gateway.metric('fleet_gateway_asks')) === 1 ? true : undefined));
  });

  it('killed in the middle, it has lost nothing that was sent and takes nothing twice', async () => {
    const thermo = await site.speaker('thermo-3', { boot: 7 });
    const sent: Promise<string>[] = [];
    for (let at = 0; at < 400; at++) sent.push(thermo.say('climate', { celsius: at }));
    await gateway.kill();
    for (let at = 400; at < 800; at++) sent.push(thermo.say('climate', { celsius: at }));
    expect(new Set(await Promise.all(sent))).toEqual(new Set(['accepted']));
    gateway = await site.startGateway();
    // Each of them again: what was taken is known, so all that is taken now is what was not.
    await waitFor('the session to be empty', async () => ((await queued()) === 0 ? true : undefined));
    const before = await gateway.metric('fleet_gateway_messages_total', { result: 'HR-GW-202' });
    const late = await gateway.metric('fleet_gateway_messages_total', { result: 'HR-GW-203' });
    const accepted = await gateway.metric('fleet_gateway_messages_total', { result: 'accepted' });
    for (let seq = 1; seq <= 800; seq++) await thermo.say('climate', { celsius: seq }, { seq });
    await waitFor('all to be refused', async () => {
      const now = (await gateway.metric('fleet_gateway_messages_total', { result: 'HR-GW-202' })) - before;
      const old = (await gateway.metric('fleet_gateway_messages_total', { result: 'HR-GW-203' })) - late;
      return now + old === 800 ? true : undefined;
    });
    expect(await gateway.metric('fleet_gateway_messages_total', { result: 'accepted' })).toBe(accepted);
  });

  it('takes over another configuration and other devices while it runs, and no wrong one', async () => {
    site.setDevices([deviceOf('thermo-1'), deviceOf('new-1', { segment: 'attic.berlin' })]);
    site.configure(configOf(segmentOf({ name: 'attic.berlin' })));
    const fresh = await site.speaker('new-1', { segment: 'attic.berlin' });
    const before = await gateway.metric('fleet_gateway_messages_total', { result: 'accepted' });
    await waitFor(
      'it to be heard',
      async () => {
        await fresh.say('climate', 1);
        return (await gateway.metric('fleet_gateway_messages_total', { result: 'accepted' })) > before ? true : undefined;
      },
      { everyMs: 500, timeoutMs: 60_000 },
    );
    site.configure(configOf(segmentOf({ name: 'attic.berlin', schemas: [{ topic: '#', schema: { pattern: '^(a+)+$' } }] })));
    await waitFor('the log to say so', () => (site.log().includes('HR-GW-312') ? true : undefined), { timeoutMs: 60_000 });
    const now = await gateway.metric('fleet_gateway_messages_total', { result: 'accepted' });
    await fresh.say('climate', 2);
    await counted(gateway, 'accepted', now + 1);
  });

  it('told to stop it ends by itself, and what it took is not sent to it again', async () => {
    const before = await gateway.metric('fleet_gateway_messages_total', { result: 'accepted' });
    const thermo = await site.speaker('new-1', { segment: 'attic.berlin', boot: 9 });
    await Promise.all(Array.from({ length: 500 }, () => thermo.say('climate', 3)));
    await counted(gateway, 'accepted', before + 1);
    site.configure(configOf(segmentOf({ name: 'attic.berlin' })));
    expect(await gateway.stop()).toBe(0);
    gateway = await site.startGateway();
    await waitFor('the session to be empty', async () => ((await queued()) === 0 ? true : undefined));
    expect(await gateway.metric('fleet_gateway_messages_total', { result: 'HR-GW-202' })).toBe(0);
    expect(site.log()).not.toContain('"level":50');
  });
});

function wrapped(m: unknown, ts = Date.now()): string {
  return JSON.stringify({ v: 1, boot: 1, seq: 1, ts, m });
}

/** In the gateway's session at the broker: waiting, or sent and not acknowledged. */
async function queued(): Promise<number> {
  const { body } = await site.local.request('GET', '/clients/gateway.berlin');
  const { mqueue_len = 0, inflight_cnt = 0 } = body as { mqueue_len?: number; inflight_cnt?: number };
  return mqueue_len + inflight_cnt;
}
