// The path of a device, once: three manifests make a fleet that talks, and taking the policy away opens nothing.
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CERTIFICATE_REQUESTS, NETWORK_POLICIES, SECRETS } from '../../operator/api/resources.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { connectWithoutCertificate } from '../simulator/hostile.ts';
import { conditionOf, type Member, type Scene, segment, startScene, telemetry, untilDevice, untilSegment } from './scene.ts';

type NetworkPolicy = KubeObject & { spec: { podSelector: unknown; policyTypes: string[]; ingress?: unknown[]; egress?: unknown[] } };

const WORKLOAD = { workloads: [{ podSelector: { matchLabels: { app: 'office' } } }] };

let scene: Scene;
let site: string;
let thermo: Member;
let air: Member;
let door: Member;
let firstSerial: string | undefined;

beforeAll(async () => {
  scene = await startScene('path');
  ({ site } = scene);
  const pod = { containers: [{ name: 'c', image: 'registry.invalid/none' }], automountServiceAccountToken: false };
  await scene.system.apply([segment('office', site, WORKLOAD), segment('doors', site)]);
  // A pod that the segment selects: without one, there would be nothing to keep shut when the policy goes.
  await waitFor('a pod to be made', () =>
    scene.system
      .apply([{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'office', namespace: site, labels: { app: 'office' } }, spec: pod }])
      .then(() => true),
  );
  [thermo, air] = (await scene.enrol(['thermo', 'air'])) as [Member, Member];
  [door] = (await scene.enrol(['door'], { segment: 'doors' })) as [Member];
});
afterAll(() => scene?.stop());

const policies = async (): Promise<NetworkPolicy[]> => scene.api.list<NetworkPolicy>(NETWORK_POLICIES, { namespace: site });
const shapes = (list: NetworkPolicy[]): unknown[] => list.map(({ metadata, spec }) => [metadata.name, spec]).sort();
const roles = (list: NetworkPolicy[]): string[] =>
  list.map(({ metadata }) => (metadata.name ?? '').replace(/^.*-[0-9a-f]{10}-/, '')).sort();

describe('a Device and its SegmentPolicy are all that is applied', () => {
  it('the Device is certified, in its segment, authorized and Ready', async () => {
    const device = await untilDevice(scene, thermo.ref, { type: 'Ready', status: 'True' });
    expect(device.status?.conditions?.map(({ type, status }) => `${type}=${status}`).sort()).toEqual([
      'Authorized=True',
      'Certified=True',
      'Ready=True',
      'Segmented=True',
    ]);
    firstSerial = device.status?.identity?.serialNumber;
    expect(firstSerial).toMatch(/^[0-9a-fA-F]{16,}$/);
  });

  it('its certificate names device and segment, is for a client only, and is of the key on the device', async () => {
    const certificate = new X509Certificate(thermo.certificatePem);
    expect(certificate.subject).toBe(`O=hedgerow\nOU=office.${site}\nCN=thermo.${site}`);
    expect(certificate.issuer).toBe(`CN=hedgerow devices of ${site}`);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']); // id-kp-clientAuth, RFC 5280 §4.2.1.12
    expect(certificate.ca).toBe(false);
    expect(certificate.checkPrivateKey(createPrivateKey(thermo.device.key.privateKeyPem))).toBe(true);
  });

  it('no key of a device and no request is left in the cluster', async () => {
    const secrets = await scene.api.list<KubeObject>(SECRETS, { namespace: site });
    expect(secrets.map(({ metadata }) => metadata.name)).toEqual(['hedgerow-devices-ca']);
    await waitFor('the requests of the devices to be deleted', async () => {
      const requests = await scene.api.list<KubeObject>(CERTIFICATE_REQUESTS, { namespace: site });
      return requests.every(({ metadata }) => metadata.ownerReferences?.[0]?.kind === 'Certificate') ? true : undefined;
    });
  });
});

describe('devices talk by mutual TLS', () => {
  it('the broker takes name and certificate from the handshake', async () => {
    await Promise.all([thermo.connect(), air.connect(), door.connect()]);
    const clients = await scene.system.standIn().clients();
    const md5 = createHash('md5').update(new X509Certificate(thermo.certificatePem).raw).digest('hex');
    expect(clients).toContainEqual({ clientid: `thermo.${site}`, username: md5 });
    expect(clients).toHaveLength(3);
  });

  it('nobody gets in without a certificate', async () => {
    expect(await connectWithoutCertificate(scene.broker)).toMatchObject({ refused: true });
  });

  it('telemetry is accepted, a command arrives', async () => {
    expect(await thermo.device.publishReadings(600)).toBe(3);
    expect(await thermo.tell()).toBe('accepted');
    expect(await thermo.device.subscribe(`cmd/office.${site}/thermo.${site}/#`)).toBe('granted');
    await command(thermo, 'setpoint', '21');
    await waitFor('the command to arrive', () => thermo.device.received.find(({ payload }) => payload === '21'));
  });

  const own = () => `office.${site}/thermo.${site}`;
  it.each<[what: string, topic: () => string, options?: object]>([
    ['in the name of another device of its segment', () => telemetry(air)],
    ['in the name of a device of another segment', () => telemetry(door)],
    ['to its own name in another segment', () => `dt/doors.${site}/thermo.${site}/x`],
    ['to itself in another namespace', () => 'dt/office.elsewhere/thermo.elsewhere/x'],
    ['what is only commanded to it', () => `cmd/${own()}/setpoint`],
    ['system topics', () => '$SYS/brokers'],
    ['events of the broker', () => '$events/client_connected'],
    ['to itself, delayed', () => `$delayed/1/dt/office.${site}/air.${site}/x`],
    ['retained telemetry', () => `dt/${own()}/temperature`, { retain: true }],
    ['telemetry with QoS 2', () => `dt/${own()}/temperature`, { qos: 2 }],
    ["another device's firmware record", () => `ota/v1/d/air.${site}/state`, { retain: true }],
    ['its own firmware directive', () => `ota/v1/d/thermo.${site}/directive`],
  ])('refuses to publish %s', async (_what, topic, options = {}) => {
    expect(await thermo.device.publish(topic(), '{}', options)).toBe('refused');
    expect(thermo.device.connected()).toBe(true);
  });

  it.each<[what: string, filter: () => string]>([
    ['everything', () => '#'],
    ['everything on one level', () => '+'],
    ['all telemetry', () => 'dt/#'],
    ['all commands', () => 'cmd/#'],
    ['the commands of its whole segment', () => `cmd/office.${site}/#`],
    ['the commands of any device of its segment', () => `cmd/office.${site}/+/setpoint`],
    ["another device's commands", () => `cmd/office.${site}/air.${site}/#`],
    ['its own commands in another segment', () => `cmd/doors.${site}/thermo.${site}/#`],
    ["another device's firmware directive", () => `ota/v1/d/air.${site}/directive`],
    ['all firmware directives', () => 'ota/v1/d/+/directive'],
    ['system topics', () => '$SYS/#'],
    ['events of the broker', () => '$events/#'],
    ['everything, as a shared subscription', () => '$share/g/#'],
  ])('refuses to subscribe to %s', async (_what, filter) => {
    expect(await thermo.device.subscribe(filter())).toBe('refused');
    expect(thermo.device.connected()).toBe(true);
  });

  it('its firmware and recovery topics are its own without a word in the policy', async () => {
    await expectRepairable(thermo);
  });
});

describe('the network follows the same text', () => {
  it('the segment has its deny, and what somebody edits is put back', async () => {
    await untilSegment(scene, 'office');
    const before = await policies();
    expect(roles(before)).toContain('deny');
    const deny = before.find(({ metadata }) => metadata.name?.endsWith('-deny'));
    expect(deny?.spec).toEqual({ podSelector: { matchLabels: { app: 'office' } }, policyTypes: ['Ingress', 'Egress'] });
    const open = { spec: { ingress: [{}], egress: [{}] } };
    await scene.api.mergePatch(NETWORK_POLICIES, { name: deny?.metadata.name ?? '', namespace: site }, open);
    await waitFor('the repair', async () => {
      const now = await policies();
      const repaired = now.find(({ metadata }) => metadata.uid === deny?.metadata.uid);
      const changed = repaired?.metadata.resourceVersion !== deny?.metadata.resourceVersion;
      return changed && JSON.stringify(shapes(now)) === JSON.stringify(shapes(before)) ? true : undefined;
    });
  });
});

describe('the policy is deleted', () => {
  beforeAll(async () => {
    await scene.system.kubectl('delete', 'segmentpolicy', 'office', '-n', site);
    await untilDevice(scene, thermo.ref, { type: 'Segmented', status: 'False', reason: 'SegmentNotFound' });
  });

  it('the Device says so and is not Ready', async () => {
    const device = await untilDevice(scene, thermo.ref, { type: 'Ready', status: 'False', reason: 'SegmentNotFound' });
    expect(conditionOf(device, 'Certified')?.status).toBe('True');
  });

  it('the open session has lost its rights: it neither tells nor hears', async () => {
    await waitFor('telemetry to be refused', async () => ((await thermo.tell()) === 'refused' ? true : undefined));
    // The broker refuses before the operator has taken the subscription away.
    const heard = await waitFor('commands to be heard no more', async () => {
      const before = thermo.device.received.length;
      await command(thermo, 'setpoint', 'after the policy');
      await pause(500);
      return thermo.device.received.length === before ? before : undefined;
    });
    await reconnect(thermo);
    expect(await thermo.tell()).toBe('refused');
    expect(await thermo.device.subscribe(`cmd/office.${site}/thermo.${site}/#`)).toBe('refused');
    expect(thermo.device.received).toHaveLength(heard);
  });

  it('its firmware and recovery topics stay', async () => {
    await expectRepairable(thermo);
  });

  it('the other segment notices nothing', async () => {
    expect(door.device.endedAt()).toBeUndefined();
    expect(await door.tell()).toBe('accepted');
  });

  it('nothing opened in the network: the deny stays while a pod belongs to it, and allows nothing', async () => {
    const left = await waitFor('what was allowed to go', async () => {
      const now = await policies();
      return roles(now).every((role) => role === 'deny') ? now : undefined;
    });
    expect(left.map(({ spec }) => spec)).toEqual([{ podSelector: { matchLabels: { app: 'office' } }, policyTypes: ['Ingress', 'Egress'] }]);
  });
});

describe('the policy comes back', () => {
  it('all is as before with the same certificate', async () => {
    await scene.system.apply([segment('office', site, WORKLOAD)]);
    const device = await untilDevice(scene, thermo.ref, { type: 'Ready', status: 'True' });
    expect(device.status?.identity?.serialNumber).toBe(firstSerial);
    expect(device.status?.certificate).toBe(thermo.certificatePem);
    await reconnect(thermo);
    await waitFor('telemetry to be accepted', async () => ((await thermo.tell()) === 'accepted' ? true : undefined));
    expect(await thermo.device.subscribe(`cmd/office.${site}/thermo.${site}/#`)).toBe('granted');
    await command(thermo, 'setpoint', 'again');
    await waitFor('the command to arrive', () => thermo.device.received.find(({ payload }) => payload === 'again'));
    for (const { ref } of [air, door]) await untilDevice(scene, ref, { type: 'Ready', status: 'True' });
  });
});

/** As a service that the broker trusts would: through its own API, which asks no ACL. */
async function command(member: Member, name: string, payload: string): Promise<void> {
  const topic = `cmd/${member.device.who.segment}.${site}/${member.name}/${name}`;
  const { status } = await scene.system.standIn().request('POST', '/publish', { body: { topic, payload, qos: 1, retain: false } });
  expect([200, 202]).toContain(status);
}

async function reconnect(member: Member): Promise<void> {
  await member.device.close();
  await member.connect();
}

async function expectRepairable(member: Member): Promise<void> {
  if (!member.device.connected()) await member.connect();
  const { device } = member;
  expect(await device.publish(`ota/v1/d/${member.name}/hello`, '{}')).toBe('accepted');
  expect(await device.publish(`recovery/${member.name}/state`, '{}')).toBe('accepted');
  expect(await device.subscribe(`ota/v1/d/${member.name}/directive`)).toBe('granted');
  expect(await device.subscribe(`recovery/${member.name}/#`)).toBe('granted');
}
