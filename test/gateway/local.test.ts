// What a gateway does by itself at its site: it has no uplink at all here. The receiver is the reference device, over a broker that lets everybody write only where its
// policy says.
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../broker/testing/device.ts';
import { waitFor } from '../harness/wait.ts';
import { powerOn } from '../simulator/command/commanded.ts';
import { memoryFlash } from '../simulator/firmware/flash.ts';
import { configOf, deviceOf, type GatewayProcess, type GatewaySite, type Speaker, segmentOf, startGatewaySite } from './site.ts';

const GATEWAY = 'gateway.berlin';
const ASK = `get/gateways.berlin/${GATEWAY}`;
// biome-ignore lint/suspicious/noTemplateCurlyInString: the broker's own placeholder
const OWN = '${clientid}';
const rules = (asks: string): string =>
  [
    `{allow, {clientid, "${GATEWAY}"}, publish, ["cmd/fans.berlin/+/+", "latest/panels.berlin/+"]}.`,
    `{allow, {clientid, "${GATEWAY}"}, subscribe, ["dt/office.berlin/#"${asks}]}.`,
    `{allow, all, publish, ["dt/office.berlin/${OWN}/#", "${ASK}/${OWN}"]}.`,
    `{allow, all, subscribe, ["cmd/fans.berlin/${OWN}/#", "latest/panels.berlin/${OWN}"]}.`,
    '{deny, all}.',
    '',
  ].join('\n');
const ruled = (asks: string) =>
  site.local.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: rules(asks) } });

let site: GatewaySite;
let gateway: GatewayProcess;
let thermo: Speaker;
let done: unknown[];

beforeAll(async () => {
  const rule = {
    ...{ name: 'too-warm', stream: 'climate', field: 'celsius', when: 'above' as const, limit: 30, back: 28, forMs: 0, validMs: 60_000 },
    ...{ to: { segment: 'fans.berlin', device: 'fan-1.berlin' }, atMost: 60 },
    ...{ command: { name: 'speed', args: { percent: 100 } }, whenOver: { name: 'speed', args: { percent: 20 } } },
  };
  site = await startGatewaySite({
    config: configOf(segmentOf({ rules: [rule] })),
    devices: [deviceOf('thermo-1'), deviceOf('fan-1', { segment: 'fans.berlin' }), deviceOf('panel-1', { segment: 'panels.berlin' })],
  });
  await ruled(`, "${ASK}/#"`);
  gateway = await site.startGateway();
  thermo = await site.speaker('thermo-1');
  done = [];
  const fan = await site.connect(site.localAddress, 'fan-1.berlin', 'fans.berlin');
  const device = powerOn({
    ...{ segment: 'fans.berlin', device: 'fan-1.berlin', cas: [new X509Certificate(site.ca.certPem)], revoked: new Set<string>() },
    ...{ grants: [{ sender: GATEWAY, commands: ['speed'] }], flash: memoryFlash(), now: Date.now },
    execute: ({ args }) => void done.push(args.percent),
  });
  fan.client.on('message', (topic, payload) => device.receive(topic, payload));
  await fan.subscribe('cmd/fans.berlin/fan-1.berlin/#');
});
afterAll(() => site?.stop());

const became = (wanted: unknown[]): Promise<true> =>
  waitFor('the fan to be told', () => Promise.resolve(done.length >= wanted.length ? true : undefined), { timeoutMs: 60_000 });

describe('a rule of the site', () => {
  it('tells a device of another segment, once, also when the gateway is killed meanwhile; and when it is over', async () => {
    await thermo.say('climate', { celsius: 21 });
    await thermo.say('climate', { celsius: 31 });
    await thermo.say('climate', { celsius: 32 });
    await became([100]);
    await waitFor('the alert that says so', async () =>
      (await gateway.metric('fleet_gateway_outputs_total', { type: 'Alert', result: 'taken' })) === 1 ? true : undefined,
    );
    await gateway.kill();
    const sent = thermo.say('climate', { celsius: 33 });
    gateway = await site.startGateway();
    await sent;
    await thermo.say('climate', { celsius: 27 });
    await became([100, 20]);
    await thermo.say('climate', { celsius: 35 });
    await became([100, 20, 100]);
    expect(done).toEqual([100, 20, 100]);
  });
});

describe('the last values', () => {
  const answers = ({ received }: Device): unknown[] => received.map(({ payload }) => JSON.parse(payload) as unknown);

  it('are told to who may ask, under its own name only', async () => {
    const panel = await site.connect(site.localAddress, 'panel-1.berlin', 'panels.berlin');
    await panel.subscribe('latest/panels.berlin/panel-1.berlin');
    const question = (id: string): string => JSON.stringify({ v: 1, id, device: 'thermo-1.berlin' });
    const stranger = await site.connect(site.localAddress, 'panel-2.berlin', 'panels.berlin');
    expect(await stranger.publish(`${ASK}/panel-1.berlin`, { payload: question('stolen') })).toBe('refused 135');
    // It may ask in its own name, and is no Device.
    expect(await stranger.publish(`${ASK}/panel-2.berlin`, { payload: question('none') })).toBe('accepted');
    expect(await panel.publish(`${ASK}/panel-1.berlin`, { payload: question('mine') })).toBe('accepted');
    await panel.waitMessages(1);
    expect(answers(panel)).toEqual([
      expect.objectContaining({
        ...{ v: 1, id: 'mine', device: 'thermo-1.berlin', segment: 'office.berlin' },
        streams: [expect.objectContaining({ stream: 'climate', readings: [['celsius', 35]] })],
      }),
    ]);
    expect(await gateway.metric('fleet_gateway_questions_total', { result: 'unknown' })).toBe(1);
  });

  it('that nobody may ask for are no trouble: rules go on', async () => {
    await gateway.stop();
    await ruled('');
    const before = done.length;
    gateway = await site.startGateway();
    await thermo.say('climate', { celsius: 20 });
    await became([...done.slice(0, before), 20]);
    expect(done.slice(before)).toEqual([20]);
    expect(site.log()).toContain('nobody asks this gateway for last values');
    expect(site.log()).not.toContain('HR-GW-314');
  });
});
