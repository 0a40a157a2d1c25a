// A device that sends ten times what its segment allows: measured by the broker's own counts, quarantined where the policy says so, and its neighbours notice nothing.
// When all of them do it, the budget keeps the site alive. One that is denied topic after topic is told of by the broker's own events.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import { asksText, GATEWAY_ASKS_KEY, GATEWAY_ASKS_MAP } from '../../operator/api/gateway-asks.ts';
import type { Intervention } from '../../operator/api/intervention.ts';
import { API_VERSION, DEVICES, INTERVENTIONS } from '../../operator/api/resources.ts';
import { makeServerCertificate } from '../harness/certificates.ts';
import { freePort } from '../harness/operator-process.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { conditionOf, type Member, type Scene, segment, startScene, telemetry, untilDevice } from './scene.ts';

const PATIENT_MS = 240_000;
const OFTEN = 100;
const MADE = ['one-limit-exceeded', 'prober-limit-exceeded'];
/** A second holds ten of these: a hundred messages from the loud, five from the others. */
const AT_ONCE = 10;

let scene: Scene;
let feed: { dir: string; port: number; caPem: string };
let prober: Member;
let quiet: Member;
let members: Member[];
let reader: Member;
const loud = new Set<Member>();
const sent = new Map<Member, number>();
let talking = true;
let talk: Promise<unknown>;

beforeAll(async () => {
  feed = await makeFeed();
  const events = [
    `--broker-events-url=https://localhost:${feed.port}`,
    `--broker-events-port=${feed.port}`,
    `--broker-events-tls=${feed.dir}`,
  ];
  scene = await startScene('limits', { operatorArgs: ['--leader-elect', 'false', ...events] });
  await scene.system.apply([
    segment('office', scene.site, {
      limits: { messages: '10/s' },
      quarantine: { triggers: ['LimitExceeded'] },
      acceptFrom: [{ segment: 'readers', topics: [{ topic: 'dt/{segment}/+/temperature', action: 'subscribe' }] }],
    }),
    segment('doors', scene.site, { quarantine: { triggers: ['ReplayDetected'] } }),
    spare('door-1', 'doors'),
    segment('lab', scene.site, { quarantine: { triggers: ['AuthorizationDenials'] } }),
    ...Array.from({ length: SPARE }, (_, n) => spare(`spare-${n}`)),
    segment('readers', scene.site, { trust: 3, topics: { subscribe: [{ topic: `dt/office.${scene.site}/+/temperature` }] } }),
  ]);
  members = await scene.enrol(['one', 'two', 'three', 'four']);
  [reader] = (await scene.enrol(['reader'], { segment: 'readers' })) as [Member];
  [prober, quiet] = (await scene.enrol(['prober', 'quiet'], { segment: 'lab' })) as [Member, Member];
  await Promise.all([...members, reader, prober, quiet].map((member) => member.connect()));
  await waitFor('the reader to be let in', async () =>
    (await reader.device.subscribe(`dt/office.${scene.site}/+/temperature`)) === 'granted' ? true : undefined,
  );
  talk = Promise.all(members.map(talkOn));
});
afterAll(async () => {
  talking = false;
  await talk;
  await scene?.stop();
  rmSync(feed.dir, { recursive: true });
});

/** The budget of the fleet is one in twenty: these are devices that nobody has switched on yet. */
const SPARE = 55;
const spare = (name: string, of = 'lab'): object => ({
  ...{ apiVersion: API_VERSION, kind: 'Device', metadata: { name, namespace: scene.site } },
  spec: { segment: of, hardware: { serial: `SN-${name}` }, identity: { enrollment: 'EST', est: { bootstrap: 'Token' } } },
});

async function makeFeed(): Promise<typeof feed> {
  const { certPem, keyPem, caPem } = await makeServerCertificate();
  const dir = mkdtempSync(join(tmpdir(), 'hedgerow-events-'));
  for (const [name, text] of Object.entries({ 'tls.crt': certPem, 'tls.key': keyPem, 'ca.crt': caPem }))
    writeFileSync(join(dir, name), text);
  return { dir, port: await freePort(), caPem };
}

/** As somebody who reaches the port and has no token. */
function forge(event: object): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: 'Bearer guessed' };
    const sent = request(
      { host: '127.0.0.1', servername: 'localhost', port: feed.port, path: '/events', method: 'POST', headers, ca: feed.caPem },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    sent.on('error', reject);
    sent.end(JSON.stringify(event));
  });
}

/** Two messages a second that wait for their answer; from the loud ten at each turn beside them. */
async function talkOn(member: Member): Promise<void> {
  for (let turn = 0; talking; turn++) {
    if (loud.has(member)) for (let n = 0; n < AT_ONCE; n++) await member.device.tryPublish(`${telemetry(member)}-extra`, '{}', { qos: 0 });
    if (turn % 5 === 0 && (await member.tell(String(turn))) === 'accepted') sent.set(member, (sent.get(member) ?? 0) + 1);
    await pause(OFTEN);
  }
}

const deviceOf = async ({ ref }: Member): Promise<Device> => (await scene.api.get<Device>(DEVICES, ref)) ?? expect.fail(ref.name);
const quarantines = async (): Promise<Intervention[]> => scene.api.list<Intervention>(INTERVENTIONS, { namespace: scene.site });
const heard = (member: Member): number => reader.device.received.filter(({ topic }) => topic === telemetry(member)).length;

describe('a device at ten times its limit', () => {
  it('says LimitExceeded and is quarantined with the evidence, by the operator and in its name', async () => {
    const [one] = members as [Member];
    loud.add(one);
    const device = await untilDevice(scene, one.ref, { type: 'LimitExceeded', status: 'True', reason: 'MessagesAboveLimit' }, PATIENT_MS);
    expect(conditionOf(device, 'LimitExceeded')?.message).toMatch(/^sent at least \d+ messages within \d+ s, limits\.messages is 10\/s$/);
    await untilDevice(scene, one.ref, { type: 'Quarantined', status: 'True' }, PATIENT_MS);
    expect((await quarantines()).map(({ metadata, spec }) => ({ name: metadata.name, spec }))).toEqual([
      {
        name: 'one-limit-exceeded',
        spec: {
          ...{ target: { kind: 'Device', name: 'one' }, action: 'Quarantine' },
          requestedBy: 'system:serviceaccount:hedgerow-system:hedgerow',
          reason: expect.stringMatching(/^LimitExceeded: sent at least \d+ messages within \d+ s, limits\.messages is 10\/s/),
        },
      },
    ]);
  });

  it('costs its neighbours no message and no connection, and they are accused of nothing', async () => {
    const neighbours = members.slice(1);
    for (const neighbour of neighbours) {
      expect(neighbour.device.endedAt()).toBeUndefined();
      const said = sent.get(neighbour) ?? 0;
      expect(said).toBeGreaterThan(10);
      await waitFor(`the reader to have all of ${neighbour.name}`, () => (heard(neighbour) >= said ? true : undefined));
      const device = await deviceOf(neighbour);
      expect([conditionOf(device, 'LimitExceeded'), conditionOf(device, 'Ready')?.status]).toEqual([undefined, 'True']);
    }
  });

  it('when the others do it too, they say so and are not quarantined: the budget of the segment is spent, which an Event says', async () => {
    for (const member of members) loud.add(member);
    for (const member of members.slice(1)) await untilDevice(scene, member.ref, { type: 'LimitExceeded', status: 'True' }, PATIENT_MS);
    await waitFor(
      'an Event for each',
      async () => {
        const { items } = await scene.system.get<{ items: { reason: string; regarding?: { name?: string } }[] }>(
          'events.events.k8s.io',
          ...['-n', scene.site],
        );
        const of = new Set(items.filter(({ reason }) => reason === 'QuarantineBudgetSpent').map(({ regarding }) => regarding?.name));
        return ['two', 'three', 'four'].every((name) => of.has(name)) ? true : undefined;
      },
      { timeoutMs: PATIENT_MS },
    );
    expect((await quarantines()).map(({ metadata }) => metadata.name)).toEqual(['one-limit-exceeded']);
    for (const member of members.slice(1)) expect(member.device.endedAt()).toBeUndefined();
  });

  it('one that is denied topic after topic is quarantined where its segment asks for it; forged denials of its neighbour change nothing', async () => {
    for (let n = 0; n < 100; n++)
      expect(await forge({ event: 'client.check_authz_complete', clientid: quiet.name, result: 'deny', topic: 'x' })).toBe(401);
    let stopped = false;
    const probing = (async () => {
      while (!stopped) {
        await prober.device.tryPublish(`dt/office.${scene.site}/one.${scene.site}/temperature`, '{}');
        await pause(OFTEN);
      }
    })();
    await untilDevice(scene, prober.ref, { type: 'LimitExceeded', status: 'True', reason: 'DenialsAboveLimit' }, PATIENT_MS);
    await untilDevice(scene, prober.ref, { type: 'Quarantined', status: 'True' }, PATIENT_MS);
    stopped = true;
    await probing;
    expect((await quarantines()).map(({ metadata }) => metadata.name).sort()).toEqual(MADE);
    expect(conditionOf(await deviceOf(quiet), 'LimitExceeded')).toBeUndefined();
    expect(quiet.device.endedAt()).toBeUndefined();
  });

  it('a kill of the operator makes no second Intervention, and what was said stands', async () => {
    const since = conditionOf(await deviceOf(members[1] ?? expect.fail()), 'LimitExceeded')?.lastTransitionTime;
    await scene.system.operator().kill();
    await scene.system.startOperator();
    await pause(20_000);
    expect((await quarantines()).map(({ metadata }) => metadata.name).sort()).toEqual(MADE);
    expect(conditionOf(await deviceOf(members[1] ?? expect.fail()), 'LimitExceeded')?.lastTransitionTime).toBe(since);
  });

  it('what the gateway of the site asks for is done in the same budget, where the policy of the segment has the trigger, and for no other site', async () => {
    const uid = async (name: string) => (await scene.api.get<Device>(DEVICES, { namespace: scene.site, name }))?.metadata.uid ?? '';
    const ask = { trigger: 'ReplayDetected', count: 40, overMs: 9_000, atMs: Date.now() } as const;
    const asks = asksText([
      { ...ask, device: 'quiet', uid: await uid('quiet') },
      { ...ask, device: 'spare-0', uid: 'of-another-device' },
      { ...ask, device: 'door-1', uid: await uid('door-1') },
    ]);
    await scene.system.apply([
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: GATEWAY_ASKS_MAP, namespace: scene.site },
        data: { [GATEWAY_ASKS_KEY]: asks },
      },
    ]);
    await untilDevice(scene, { namespace: scene.site, name: 'door-1' }, { type: 'Quarantined', status: 'True' }, PATIENT_MS);
    const all = await quarantines();
    expect(all.map(({ metadata }) => metadata.name).sort()).toEqual(['door-1-limit-exceeded', ...MADE]);
    expect(all.find(({ spec }) => spec.target.name === 'door-1')?.spec.reason).toMatch(
      /^ReplayDetected: sent 40 messages of a recording within 9 s/,
    );
  });
});
