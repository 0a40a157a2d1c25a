// Somebody who has recorded what a device said, and says it again with the device's own certificate: at once, in a new session, after the gateway and after the device
// have started anew. And the device itself, whose messages overtake one another.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { seededRandom } from '../../operator/runtime/random.ts';
import { waitFor } from '../harness/wait.ts';
import { configOf, counted, type GatewayProcess, type GatewaySite, SEGMENT, type Speaker, segmentOf, startGatewaySite } from './site.ts';

const MESSAGES = 10_000;
const WINDOW = 64;
const TOPIC = `dt/${SEGMENT}/thermo-1.berlin/climate`;

let site: GatewaySite;
let gateway: GatewayProcess;
beforeAll(async () => {
  site = await startGatewaySite({ config: configOf(segmentOf({ replay: { window: WINDOW, maxSkewMs: 3_600_000 } })) });
  gateway = await site.startGateway();
});
afterAll(() => site?.stop());

const of = (result: string): Promise<number> => gateway.metric('fleet_gateway_messages_total', { result });
const recorded = (boot: number): string[] => {
  const ts = Date.now();
  return Array.from({ length: MESSAGES }, (_, at) => JSON.stringify({ v: 1, boot, seq: at + 1, ts, m: { celsius: at } }));
};

async function sayAll(speaker: Speaker, messages: readonly string[]): Promise<void> {
  const answers = await Promise.all(messages.map((message) => speaker.send(TOPIC, message)));
  expect(new Set(answers)).toEqual(new Set(['accepted']));
}

/** Everything is refused, whatever for; nothing is accepted. */
async function refusedAll(messages: readonly string[], thief: Speaker): Promise<void> {
  const [accepted, before] = [await of('accepted'), await refusals()];
  await sayAll(thief, messages);
  await waitFor('all to be refused', async () => ((await refusals()) === before + messages.length ? true : undefined), {
    timeoutMs: 60_000,
  });
  expect(await of('accepted')).toBe(accepted);
}
const refusals = async (): Promise<number> => (await of('HR-GW-202')) + (await of('HR-GW-203')) + (await of('HR-GW-204'));

it('each of 10,000 messages that overtake one another within the window is taken, and none of them a second time', async () => {
  const random = seededRandom(7);
  const messages = recorded(1);
  // Each is at most half a window away from its place.
  const order = messages.map((message, at) => ({ message, place: at + random() * (WINDOW / 2) }));
  order.sort((a, b) => a.place - b.place);
  expect(order.map(({ message }) => message)).not.toEqual(messages);
  const device = await site.speaker('thermo-1');
  await sayAll(
    device,
    order.map(({ message }) => message),
  );
  await counted(gateway, 'accepted', MESSAGES);
  expect([await of('accepted'), await refusals()]).toEqual([MESSAGES, 0]);

  await refusedAll(messages, device);
  await refusedAll(messages, await site.speaker('thermo-1'));
  await gateway.kill();
  gateway = await site.startGateway();
  await refusedAll(messages, await site.speaker('thermo-1'));

  const rebooted = await site.speaker('thermo-1', { boot: 2 });
  await rebooted.say('climate', { celsius: 1 });
  await counted(gateway, 'accepted', 1);
  await refusedAll(messages, rebooted);
}, 240_000);
