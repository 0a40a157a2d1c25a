// Rights that shrink while sessions last (MQTT 5, clean start off, expiry one day): by quarantine, and by a SegmentPolicy that loses a topic. Online or offline,
// nothing of what was taken away arrives afterwards; nobody else is disconnected; and what is released is as it was, object for object.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_VERSION, DEVICES, INTERVENTIONS, NETWORK_POLICIES } from '../../operator/api/resources.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { keepSession, type LastingSession } from './lasting-session.ts';
import { type Member, type Scene, segment, startScene, until, untilDevice } from './scene.ts';

const READY = { type: 'Ready', status: 'True' } as const;
const PATIENCE_MS = 120_000;
const TOPICS = {
  publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }],
  subscribe: [{ topic: 'cmd/{segment}/{device}/#' }],
};
const NOTICES = { ...TOPICS, subscribe: [...TOPICS.subscribe, { topic: 'notice/{segment}/all' }] };
const WORKLOADS = [{ podSelector: { matchLabels: { app: 'office' } } }];

type Actor = { member: Member; session: LastingSession; heard(prefix: string, since?: number): number };
type NetworkPolicy = KubeObject & { spec: { podSelector: { matchExpressions?: object[] } } };

let scene: Scene;
let site: string;
let online: Actor;
let offline: Actor;
let bystander: Actor;
let talking = true;
let talk: Promise<void>;

beforeAll(async () => {
  scene = await startScene('tightened', { operatorArgs: ['--leader-elect', 'false'] });
  ({ site } = scene);
  await scene.system.apply([segment('office', site, { topics: NOTICES, workloads: WORKLOADS }), segment('lab', site, { topics: NOTICES })]);
  [online, offline] = (await scene.enrol(['online', 'offline'])).map((member) => actorOf(member, 'office')) as [Actor, Actor];
  [bystander] = (await scene.enrol(['bystander'], { segment: 'lab' })).map((member) => actorOf(member, 'lab')) as [Actor];
  const containers = [{ name: 'c', image: 'registry.invalid/none' }];
  const labels = { app: 'office', 'hedgerow.dev/device': 'online' };
  await waitFor('a pod to be made', () =>
    scene.system
      .apply([
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'online', namespace: site, labels },
          spec: { containers, automountServiceAccountToken: false },
        },
      ])
      .then(() => true),
  );
  talk = talkToAll();
  for (const actor of [online, offline, bystander]) await hears(actor);
});
afterAll(async () => {
  talking = false;
  await talk;
  await Promise.all([online, offline, bystander].map((actor) => actor?.session.stop()));
  await scene?.stop();
});

function actorOf(member: Member, home: string): Actor {
  const worn = { privateKeyPem: member.device.key.privateKeyPem, certificatePem: member.certificatePem };
  const filters = [`cmd/${home}.${site}/${member.name}/#`, `notice/${home}.${site}/all`];
  const session = keepSession({ address: scene.broker, name: member.name, worn, filters });
  const heard = (prefix: string, since = 0): number =>
    session.arrivals.filter(({ topic, at }) => topic.startsWith(`${prefix}/`) && at > since).length;
  return { member, session, heard };
}

/** As services that the broker trusts do: through its own API. */
async function talkToAll(): Promise<void> {
  for (let number = 1; talking; number++) {
    const topics = [
      ...['office', 'lab'].map((one) => `notice/${one}.${site}/all`),
      ...[online, offline].map(({ member }) => `cmd/office.${site}/${member.name}/n`),
      `cmd/lab.${site}/${bystander.member.name}/n`,
    ];
    for (const topic of topics)
      await scene.system.standIn().request('POST', '/publish', { body: { topic, payload: String(number), qos: 1 } });
    await pause(40);
  }
}

async function hears({ member, session, heard }: Actor, prefixes: readonly string[] = ['cmd', 'notice']): Promise<void> {
  const since = performance.now();
  await waitFor(
    `${member.name} to hear ${prefixes.join(' and ')}`,
    () => {
      session.ask();
      return prefixes.every((prefix) => heard(prefix, since) > 2) ? true : undefined;
    },
    { timeoutMs: PATIENCE_MS, everyMs: 300 },
  );
}

type Row = { connected?: boolean; mqueue_len?: number; code?: string };
const rowOf = async ({ member }: Actor): Promise<Row> =>
  (await scene.system.standIn().request('GET', `/clients/${member.name}`)).body as Row;

async function goOffline(actor: Actor): Promise<void> {
  await actor.session.goOffline();
  await waitFor('its session to hold messages while it is away', async () => {
    const row = await rowOf(actor);
    return row.connected === false && (row.mqueue_len ?? 0) > 3 ? true : undefined;
  });
}

/** The services go on for a while, and the device that was away has come back. */
async function expectDeaf(actor: Actor, prefixes: readonly string[], since: number): Promise<void> {
  await waitFor(`${actor.member.name} to be connected`, () => (actor.session.connected() ? true : undefined), { timeoutMs: PATIENCE_MS });
  const before = bystander.heard('notice');
  await waitFor('the services to have talked on', () => (bystander.heard('notice') > before + 20 ? true : undefined));
  for (const prefix of prefixes) expect([actor.member.name, prefix, actor.heard(prefix, since)]).toEqual([actor.member.name, prefix, 0]);
}

async function dump(): Promise<unknown> {
  const get = async (path: string): Promise<unknown> => (await scene.system.standIn().request('GET', path)).body;
  const policies = await scene.api.list<NetworkPolicy>(NETWORK_POLICIES, { namespace: site });
  const devices = await scene.api.list<
    KubeObject & { spec: object; status?: { conditions?: { type: string; status: string; reason: string }[] } }
  >(DEVICES, { namespace: site });
  const byName = (a: readonly unknown[], b: readonly unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1);
  return {
    policies: policies.map(({ metadata, spec }) => [metadata.name, metadata.uid, metadata.labels, metadata.annotations, spec]).sort(byName),
    devices: devices
      .map(({ metadata, spec, status }) => [
        metadata.name,
        metadata.generation,
        spec,
        { ...status, conditions: (status?.conditions ?? []).map(({ type, status: is, reason }) => [type, is, reason]).sort(byName) },
      ])
      .sort(byName),
    bans: await get('/banned?limit=1000'),
    records: await get('/authorization/sources/built_in_database/rules/clients?limit=1000'),
    text: await get('/authorization/sources/file'),
  };
}

describe('quarantine of devices whose sessions last', () => {
  let before: unknown;
  let shut: number;

  it('nothing but recovery and firmware is heard from the moment that the Device says so, online and offline', async () => {
    before = await dump();
    await goOffline(offline);
    const rounds = online.session.counts.accepted;
    const order = ({ member }: Actor): object => ({
      ...{ apiVersion: API_VERSION, kind: 'Intervention', metadata: { name: `q-${member.ref.name}`, namespace: site } },
      spec: {
        ...{ target: { kind: 'Device', name: member.ref.name }, action: 'Quarantine' },
        ...{ requestedBy: 'admin', reason: 'beaconing, ticket 4711' },
      },
    });
    for (const actor of [online, offline]) await scene.system.apply([order(actor)]);
    for (const { member } of [online, offline]) await untilDevice(scene, member.ref, { type: 'Quarantined', status: 'True' }, PATIENCE_MS);
    shut = performance.now();
    offline.session.comeBack();
    for (const actor of [online, offline]) await expectDeaf(actor, ['cmd', 'notice'], shut);
    // Kicked, and back by itself.
    expect(online.session.counts.accepted).toBeGreaterThan(rounds);
    expect(bystander.session.counts).toEqual({ accepted: 1, refused: 0 });
  });

  it('what its segment allows in the network excludes its pod, which keeps DNS and the broker', async () => {
    await waitFor('the NetworkPolicies to follow', async () => {
      const policies = await scene.api.list<NetworkPolicy>(NETWORK_POLICIES, { namespace: site });
      const selectors = new Map(policies.map(({ metadata, spec }) => [metadata.name ?? '', JSON.stringify(spec.podSelector)]));
      const own = selectors.get('hedgerow-quarantine');
      const out = [...selectors].find(([name]) => name.endsWith('-allow-out'))?.[1];
      return own?.includes('"In"') === true && own.includes('"online"') && out?.includes('"NotIn"') === true ? true : undefined;
    });
  });

  it('released, every object is as it was, and the devices hear everything again by themselves', async () => {
    for (const { member } of [online, offline]) await scene.api.delete(INTERVENTIONS, { name: `q-${member.ref.name}`, namespace: site });
    for (const { member } of [online, offline]) await untilDevice(scene, member.ref, READY, PATIENCE_MS);
    let last: unknown;
    await waitFor(
      'the world to be as before',
      async () => {
        last = await dump();
        return JSON.stringify(last) === JSON.stringify(before) ? true : undefined;
      },
      { timeoutMs: PATIENCE_MS },
    ).catch(() => expect(last).toEqual(before));
    for (const actor of [online, offline]) await hears(actor);
  });
});

describe('a SegmentPolicy loses a topic', () => {
  it('its devices lose the subscription, away the whole session; nobody is disconnected', async () => {
    await goOffline(offline);
    const counts = [online, bystander].map(({ session }) => session.counts.accepted);
    const startedAt = performance.now();
    await scene.system.apply([segment('office', site, { topics: TOPICS, workloads: WORKLOADS })]);
    const filters = async ({ member }: Actor): Promise<string[]> => {
      const { body } = await scene.system.standIn().request('GET', `/clients/${member.name}/subscriptions`);
      return Array.isArray(body) ? (body as { topic: string }[]).map(({ topic }) => topic) : [];
    };
    await waitFor('the subscription and the session to be gone', async () => {
      const rest = await filters(online);
      return !rest.some((topic) => topic.startsWith('notice/')) && (await rowOf(offline)).code === 'CLIENTID_NOT_FOUND' ? true : undefined;
    });
    const done = performance.now();
    process.stderr.write(`a topic less: in force ${Math.round(done - startedAt)} ms after kubectl apply was started\n`);
    offline.session.comeBack();
    for (const actor of [online, offline]) await expectDeaf(actor, ['notice'], done);
    for (const actor of [online, offline]) await hears(actor, ['cmd']);
    expect([online, bystander].map(({ session }) => session.counts.accepted)).toEqual(counts);
    expect(bystander.heard('notice', done)).toBeGreaterThan(10);
  });

  it('gets it back, and with it the devices', async () => {
    await scene.system.apply([segment('office', site, { topics: NOTICES, workloads: WORKLOADS })]);
    for (const actor of [online, offline]) await hears(actor);
    await until(scene, DEVICES, online.member.ref, READY);
  });
});
