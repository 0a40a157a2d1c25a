// The whole way on one cluster: a SegmentPolicy, the operator that compiles it, the gateway of the site under its own account, devices with their certificates, and what of
// all that is heard at the cloud. The steps are those of "See it" in docs/guides/edge-gateway.md.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type EgressMessage, type EgressType, egressProblem, type MessageOf } from '../../operator/api/egress.ts';
import type { Intervention } from '../../operator/api/intervention.ts';
import { INTERVENTIONS } from '../../operator/api/resources.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { type Cloud, type Edge, installEdge, type Kubelet, startCloud, startEdge, startKubelet } from './edge-room.ts';
import { type Member, type Scene, segment, startScene, telemetry, untilDevice, untilSegment } from './scene.ts';

const PATIENT_MS = 120_000;
/** Of all names of devices, so that one search finds any of them. */
const NAMED = '-6f1c';
/** In the name of the device that will be deleted, and in all that it says. */
const MARKER = `leaver${NAMED}`;
const RECORDED = 40;
const FROZEN = -40;

let scene: Scene;
let cloud: Cloud;
let kubelet: Kubelet;
let edge: Edge;
let neighbours: Member[];
let replayer: Member;
let leaver: Member;
/** What the broker of the site took of all devices, to be counted by the gateway. */
let said = 0;
let talking = true;
let talk: Promise<unknown> | undefined;

beforeAll(async () => {
  scene = await startScene('edge-gateway', { operatorArgs: ['--leader-elect', 'false'] });
  cloud = await startCloud(scene.dir, scene.site);
  const rendered = await installEdge(scene, cloud);
  const dt = `dt/office.${scene.site}/#`;
  await scene.system.apply([office(200), segment('gateways', scene.site, { trust: 3, topics: { subscribe: [{ topic: dt }] } })]);
  const [[gateway], members] = await Promise.all([
    scene.enrol(['gateway'], { segment: 'gateways' }),
    scene.enrol(['one', 'two', 'three', 'replayer', 'leaver'].map((name) => `${name}${NAMED}`)),
    startKubelet(scene, (segments) => segments.includes(`office.${scene.site}`)).then((started) => {
      kubelet = started;
    }),
    untilSegment(scene, 'gateways'),
    untilSegment(scene, 'office'),
  ]);
  neighbours = members.slice(0, 3);
  [replayer, leaver] = members.slice(3) as [Member, Member];
  edge = await startEdge(scene, cloud, rendered, gateway as Member);
  await Promise.all(members.map((member) => member.connect()));
  talk = Promise.all(neighbours.map(talkOn));
  // Who waits for it later hears of it.
  talk.catch(() => undefined);
});
afterAll(async () => {
  talking = false;
  await talk?.catch(() => undefined);
  await edge?.stop();
  await kubelet?.stop();
  await cloud?.stop();
  await scene?.stop();
});

const office = (max: number): object =>
  segment('office', scene.site, {
    topics: { publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: true }] },
    acceptFrom: [{ segment: 'gateways', topics: [{ topic: 'dt/{segment}/#', action: 'subscribe' }] }],
    quarantine: { triggers: ['ReplayDetected'] },
    // The clock of the gateway is set forward twice.
    payload: { replay: { maxSkew: '10m' } },
    telemetry: { detect: [{ stream: 'temperature', field: 'celsius', max }] },
  });

async function talkOn(member: Member): Promise<void> {
  for (let turn = 0; talking; turn++) {
    await say(member, { celsius: 20 + (turn % 7) / 10 });
    await pause(200);
  }
}

async function say(member: Member, m: Record<string, number | string>, options?: { retain?: boolean }): Promise<void> {
  const answer = await member.device.tell(telemetry(member), m, options);
  expect(answer).toMatchObject({ given: 'accepted' });
  said += 1;
}

/** What the reader at the cloud has got. */
function heard<T extends EgressType>(type: T): MessageOf<T>[] {
  const messages = cloud.reader.received.map(({ payload }) => JSON.parse(payload) as EgressMessage);
  for (const message of messages) expect(egressProblem(message)).toBeUndefined();
  return messages.filter((one): one is MessageOf<T> => one.type === type);
}
const accepted = (): Promise<number> => edge.metric('fleet_gateway_messages_total', { result: 'accepted' });
const retained = async (): Promise<string[]> => {
  const { body } = await scene.system.standIn().request('GET', '/mqtt/retainer/messages');
  return (body as { data: { topic: string }[] }).data.map(({ topic }) => topic);
};

let pseudonym: string | undefined;

it('an edit of the policy reaches the gateway, and what it finds then is heard at the cloud', async () => {
  await say(leaver, { celsius: 60, [MARKER]: 1 }, { retain: true });
  await waitFor('the gateway to have it', async () => ((await accepted()) > 0 ? true : undefined), { timeoutMs: PATIENT_MS });
  expect(heard('Alert')).toEqual([]);
  await scene.system.apply([office(50)]);
  await waitFor(
    'the alert',
    async () => {
      await say(leaver, { celsius: 60, [MARKER]: 1 });
      return heard('Alert').some(({ kind }) => kind === 'range') ? true : undefined;
    },
    { timeoutMs: PATIENT_MS, everyMs: 500, describe: () => edge.log().slice(-2_000) },
  );
  const [alert] = heard('Alert').filter(({ kind }) => kind === 'range');
  expect(alert).toMatchObject({ site: scene.site, segment: 'office', metric: 'temperature:celsius' });
  pseudonym = alert?.device;
  expect(pseudonym).toMatch(/^[0-9a-f]{32}$/);
});

it('a device that sends its recorded messages again is quarantined, by an Intervention that says so', async () => {
  const recorded = Array.from({ length: RECORDED }, (_, at) =>
    JSON.stringify({ v: 1, boot: 1, seq: at + 1, ts: Date.now(), m: { celsius: 20 } }),
  );
  for (const payload of recorded) {
    expect(await replayer.device.publish(telemetry(replayer), payload)).toBe('accepted');
    said += 1;
  }
  // In the first minute of a session the broker itself may send again.
  edge.minuteOn();
  await waitFor(
    'the connection to end',
    async () => {
      for (const payload of recorded) await replayer.device.publish(telemetry(replayer), payload);
      return replayer.device.endedAt();
    },
    { timeoutMs: PATIENT_MS, everyMs: 500, describe: () => edge.log().slice(-2_000) },
  );
  await untilDevice(scene, replayer.ref, { type: 'Quarantined', status: 'True' }, PATIENT_MS);
  const made = await scene.api.list<Intervention>(INTERVENTIONS, { namespace: scene.site });
  expect(made.map(({ spec }) => spec)).toEqual([
    {
      ...{ target: { kind: 'Device', name: replayer.ref.name }, action: 'Quarantine' },
      requestedBy: 'system:serviceaccount:hedgerow-system:hedgerow',
      reason: expect.stringMatching(/^ReplayDetected: sent \d+ messages of a recording within \d+ s/),
    },
  ]);
});

it('its neighbours lose no message and no connection', async () => {
  talking = false;
  await talk;
  for (const { device } of neighbours) expect(device.endedAt()).toBeUndefined();
  await waitFor('all to be counted', async () => ((await accepted()) >= said ? true : undefined), {
    timeoutMs: PATIENT_MS,
    describe: () => `${said} were said`,
  });
  expect(await accepted()).toBe(said);
  const text = await (await fetch(`${edge.metricsUrl}/metrics`)).text();
  const results = [...text.matchAll(/^fleet_gateway_messages_total\{result="([^"]+)"\}/gm)].map(([, result]) => result);
  expect(results.sort()).toEqual(['HR-GW-202', 'accepted']);
  expect(edge.log()).not.toContain('HR-GW-314');
});

it('the cloud is told of the replays, and no name of a device', async () => {
  // The minute in which they came is over.
  edge.minuteOn();
  const [told] = await waitFor(
    'the Security message',
    () => {
      const of = heard('Security').filter(({ kind }) => kind === 'ReplayDetected');
      return of.length > 0 ? of : undefined;
    },
    { timeoutMs: PATIENT_MS, describe: () => edge.log().slice(-2_000) },
  );
  expect(told).toMatchObject({ site: scene.site, segment: 'office', code: 'HR-GW-202', device: expect.stringMatching(/^[0-9a-f]{32}$/) });
  expect(told?.device).not.toBe(pseudonym);
  expect(told?.count).toBeGreaterThan(30);
  expect(JSON.stringify(cloud.reader.received)).not.toContain(NAMED);
});

it('a Device that is deleted is erased at the gateway and at the broker, and the cloud is told by the name that it knows', async () => {
  const [neighbour] = neighbours as [Member];
  await say(neighbour, { celsius: FROZEN }, { retain: true });
  expect(edge.filesWith(MARKER)).not.toEqual([]);
  expect((await retained()).filter((topic) => topic.includes(NAMED)).sort()).toEqual([telemetry(leaver), telemetry(neighbour)].sort());
  await scene.system.kubectl('delete', 'device', leaver.ref.name, '-n', scene.site);
  const [erased] = await waitFor('it to be said', () => (heard('Erased').length > 0 ? heard('Erased') : undefined), {
    timeoutMs: PATIENT_MS,
    describe: () => edge.log().slice(-2_000),
  });
  expect(erased).toMatchObject({ site: scene.site, device: pseudonym });
  await waitFor('no file to have it', () => (edge.filesWith(MARKER).length === 0 ? true : undefined), {
    timeoutMs: PATIENT_MS,
    describe: () => edge.filesWith(MARKER).join(', '),
  });
  await waitFor('the broker to have nothing', async () => ((await retained()).some((topic) => topic.includes(MARKER)) ? undefined : true), {
    timeoutMs: PATIENT_MS,
  });
  // Of who is still there nothing is gone.
  expect(edge.filesWith(neighbour.name)).not.toEqual([]);
  expect(await retained()).toContain(telemetry(neighbour));
  expect(JSON.stringify(cloud.reader.received)).not.toContain(NAMED);
});
