// Revoked means gone, for ever; quarantined means repairable and nothing else. By hand, from Git, by deleting, and after the broker forgot everything.
import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CertificateLedger } from '../../operator/api/certificate-ledger.ts';
import { API_VERSION, CERTIFICATE_LEDGERS, DEVICES, INTERVENTIONS } from '../../operator/api/resources.ts';
import { waitFor } from '../harness/wait.ts';
import { createDevice } from '../simulator/device.ts';
import { connectWith } from '../simulator/hostile.ts';
import { deviceManifest, type Member, type Scene, segment, startScene, telemetry, until, untilDevice } from './scene.ts';

const RESPONDER = 'alice@example.org';
const READY = { type: 'Ready', status: 'True' } as const;

let scene: Scene;
let site: string;
/** kubectl's kubeconfig of somebody who may create and delete Interventions and nothing else. */
let responder: string;
let bystander: Member;

beforeAll(async () => {
  scene = await startScene('revocation', { siteCount: 2 });
  ({ site } = scene);
  const rbac = 'rbac.authorization.k8s.io';
  const metadata = { name: 'incident-response', namespace: site };
  await scene.system.apply([
    ...scene.sites.map((namespace) => segment('office', namespace)),
    {
      ...{ apiVersion: `${rbac}/v1`, kind: 'Role', metadata },
      rules: [{ apiGroups: ['hedgerow.dev'], resources: ['interventions'], verbs: ['create', 'delete'] }],
    },
    {
      ...{ apiVersion: `${rbac}/v1`, kind: 'RoleBinding', metadata },
      roleRef: { apiGroup: rbac, kind: 'Role', name: metadata.name },
      subjects: [{ apiGroup: rbac, kind: 'User', name: RESPONDER }],
    },
  ]);
  responder = await scene.cluster.kubeconfigFor({ user: RESPONDER });
  [bystander] = (await scene.enrol(['bystander'])) as [Member];
  await bystander.connect();
});
afterAll(() => scene?.stop());

/** Creates an Intervention as the responder; gives kubectl's answer. */
function intervene(name: string, action: string, member: Pick<Member, 'ref'>, spec: object = {}) {
  const manifest = {
    apiVersion: API_VERSION,
    kind: 'Intervention',
    metadata: { name, namespace: site },
    spec: { target: { kind: 'Device', name: member.ref.name }, action, requestedBy: RESPONDER, reason: 'ticket 4711', ...spec },
  };
  return scene.cluster.kubectl(['--kubeconfig', responder, 'create', '-f', '-'], JSON.stringify(manifest));
}

async function withdraw(name: string): Promise<void> {
  const { code, stderr } = await scene.cluster.kubectl(['--kubeconfig', responder, 'delete', 'intervention', name, '-n', site]);
  if (code !== 0) throw new Error(stderr);
}

async function connected(name: string): Promise<Member> {
  const [member] = (await scene.enrol([name])) as [Member];
  await member.connect();
  expect(await member.tell()).toBe('accepted');
  return member;
}

const untilClosed = ({ device, name }: Member): Promise<true> =>
  waitFor(`the socket of ${name} to close`, () => (device.endedAt() === undefined ? undefined : true), { everyMs: 10 });
const expectRefused = async ({ device, certificatePem }: Member): Promise<void> => {
  expect(await connectWith(scene.broker, device.key, certificatePem)).toMatchObject({ refused: true });
};
const untilRefused = ({ device, certificatePem, name }: Member): Promise<true> =>
  waitFor(`${name} to be refused`, async () => ((await connectWith(scene.broker, device.key, certificatePem)).refused ? true : undefined));
const md5Of = (pem: string): string => createHash('md5').update(new X509Certificate(pem).raw).digest('hex');
const refuses = (member: Member): Promise<true> =>
  waitFor(`telemetry of ${member.name} to be refused`, async () => ((await member.tell()) === 'refused' ? true : undefined));
const accepts = (member: Member): Promise<true> =>
  waitFor(`telemetry of ${member.name} to be accepted`, async () => {
    if (!member.device.connected()) await member.connect();
    return (await member.tell()) === 'accepted' ? true : undefined;
  });

async function bans(): Promise<{ as: string; who: string; by: string }[]> {
  const { body } = await scene.system.standIn().request('GET', '/banned?limit=10000');
  return (body as { data: { as: string; who: string; by: string }[] }).data;
}

/** Every entry of the ledger about this certificate, as the API server holds it. */
async function ledgerOf(certificatePem: string): Promise<{ device: string; revoked?: { reason: string } }[]> {
  const id = createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('hex').slice(0, 32);
  const pages = await scene.api.list<CertificateLedger>(CERTIFICATE_LEDGERS, { namespace: scene.system.namespace });
  return pages.flatMap(({ spec }) => {
    const text = spec.entries?.[id];
    return text === undefined ? [] : [JSON.parse(text) as { device: string; revoked?: { reason: string } }];
  });
}

describe('revoked by hand', () => {
  let thermo: Member;
  let oldKey: Member['device']['key'];
  let oldCertificate: string;
  beforeAll(async () => {
    thermo = await connected('thermo');
    oldKey = thermo.device.key;
    oldCertificate = thermo.certificatePem;
  });

  it('the API server insists on who asks', async () => {
    const { code, stderr } = await intervene('thermo-1', 'Revoke', thermo, { requestedBy: 'bob@example.org' });
    expect(code).toBe(1);
    expect(stderr).toContain(`HR-API-012: spec.requestedBy is bob@example.org but you are ${RESPONDER}`);
    expect(thermo.device.connected()).toBe(true);
  });

  it('one right is enough: the socket is closed and CONNECT refused', async () => {
    const { code, stderr } = await intervene('thermo-1', 'Revoke', thermo);
    expect([code, stderr]).toEqual([0, '']);
    await untilClosed(thermo);
    await expectRefused(thermo);
  });

  it('ledger, broker, Device and Intervention say so', async () => {
    const device = await untilDevice(scene, thermo.ref, { type: 'Revoked', status: 'True' });
    expect(device.status?.identity?.revocationSteps?.map(({ step }) => step).sort()).toEqual(['Broker', 'Ledger', 'Rights']);
    expect(device.status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({ status: 'False', reason: 'Revoked' });
    await until(scene, INTERVENTIONS, { name: 'thermo-1', namespace: site }, { type: 'Applied', status: 'True' });
    expect(await ledgerOf(oldCertificate)).toMatchObject([{ device: thermo.name, revoked: { reason: 'Revoked' } }]);
    await waitFor('the bans of name and certificate', async () => {
      const held = (await bans()).map(({ as, who }) => `${as} ${who}`);
      return [`clientid ${thermo.name}`, `username ${md5Of(oldCertificate)}`].every((ban) => held.includes(ban)) ? true : undefined;
    });
  });

  it('Git cannot undo it: not by applying the manifest, not by a new key', async () => {
    thermo = { ...thermo, device: await createDevice(thermo.device.who, 0) };
    await scene.system.apply([deviceManifest(thermo.device, 'office', { lifecycle: 'Active' })]);
    const generation = (await scene.api.get(DEVICES, thermo.ref))?.metadata.generation;
    const device = await untilDevice(scene, thermo.ref, { type: 'Revoked', status: 'True' });
    expect(device.metadata.generation).toBe(generation);
    expect(await connectWith(scene.broker, oldKey, oldCertificate)).toMatchObject({ refused: true });
  });

  it('when the Intervention is withdrawn, the Device comes back with the new key and the old one never', async () => {
    await withdraw('thermo-1');
    const device = await untilDevice(scene, thermo.ref, READY);
    const certificatePem = device.status?.certificate ?? '';
    expect(certificatePem).not.toBe(oldCertificate);
    await waitFor('the new key to be let in', async () => {
      await thermo.device.connect(scene.broker, certificatePem);
      return (await thermo.device.publish(telemetry(thermo), '{}')) === 'accepted' ? true : undefined;
    });
    expect(await connectWith(scene.broker, oldKey, oldCertificate)).toMatchObject({ refused: true });
    expect(thermo.device.connected()).toBe(true);
    await thermo.device.close();
  });

  it('a request with the old key is not certified again', async () => {
    await scene.system.apply([deviceManifest({ who: thermo.device.who, key: oldKey })]);
    await untilDevice(scene, thermo.ref, { type: 'Stalled', status: 'True', reason: 'KeyRevoked' });
    expect(await connectWith(scene.broker, oldKey, oldCertificate)).toMatchObject({ refused: true });
  });
});

describe('revoked in Git', () => {
  it('does the same, and a withdrawn Revoke of a Device that is revoked in Git too frees nothing', async () => {
    const member = await connected('in-git');
    await intervene('in-git-1', 'Revoke', member);
    await scene.system.apply([deviceManifest(member.device, 'office', { lifecycle: 'Revoked' })]);
    await untilClosed(member);
    await withdraw('in-git-1');
    await untilDevice(scene, member.ref, { type: 'Revoked', status: 'True' });
    await expectRefused(member);
  });

  it('a Revoke that ended leaves the old key revoked although Git says Active', async () => {
    const member = await connected('stays');
    await intervene('stays-1', 'Revoke', member);
    await untilClosed(member);
    await untilDevice(scene, member.ref, { type: 'Revoked', status: 'True' });
    await withdraw('stays-1');
    await untilDevice(scene, member.ref, { type: 'Stalled', status: 'True', reason: 'KeyRevoked' });
    await expectRefused(member);
  });
});

describe('quarantined', () => {
  it('by hand: telemetry and commands end, firmware and recovery stay, and Git cannot undo it', async () => {
    const member = await connected('hot');
    const commands = `cmd/office.${site}/${member.name}/#`;
    expect(await member.device.subscribe(commands)).toBe('granted');
    await intervene('hot-1', 'Quarantine', member);
    await refuses(member);
    await until(scene, INTERVENTIONS, { name: 'hot-1', namespace: site }, { type: 'Applied', status: 'True' });
    await scene.system.apply([deviceManifest(member.device, 'office', { lifecycle: 'Active' })]);
    await untilDevice(scene, member.ref, { type: 'Quarantined', status: 'True' });

    await scene.system
      .standIn()
      .request('POST', '/publish', { body: { topic: `cmd/office.${site}/${member.name}/x`, payload: 'x', qos: 1 } });
    if (!member.device.connected()) await member.connect();
    expect(await member.tell()).toBe('refused');
    expect(await member.device.subscribe(commands)).toBe('refused');
    expect(await member.device.subscribe('$SYS/#')).toBe('refused');
    expect(await member.device.publish(`recovery/${member.name}/state`, '{}')).toBe('accepted');
    expect(await member.device.publish(`ota/v1/d/${member.name}/hello`, '{}')).toBe('accepted');
    expect(member.device.received).toEqual([]);
  });

  it('deleting the Intervention releases it', async () => {
    const member = await connected('cooled');
    await intervene('cooled-1', 'Quarantine', member);
    await refuses(member);
    await withdraw('cooled-1');
    await untilDevice(scene, member.ref, READY);
    await accepts(member);
  });

  it('in Git, and released there', async () => {
    const member = await connected('suspect');
    await scene.system.apply([deviceManifest(member.device, 'office', { lifecycle: 'Quarantined' })]);
    await refuses(member);
    await untilDevice(scene, member.ref, { type: 'Quarantined', status: 'True' });
    await scene.system.apply([deviceManifest(member.device, 'office', { lifecycle: 'Active' })]);
    await untilDevice(scene, member.ref, READY);
    await accepts(member);
  });

  it('the stricter of two holds: a Revoke beats the Quarantine, and its end leaves the Quarantine', async () => {
    const member = await connected('twice');
    await intervene('twice-1', 'Quarantine', member);
    await refuses(member);
    await intervene('twice-2', 'Revoke', member);
    await untilClosed(member);
    await untilDevice(scene, member.ref, { type: 'Revoked', status: 'True' });
    await withdraw('twice-2');
    await untilDevice(scene, member.ref, { type: 'Ready', status: 'False', reason: 'Quarantined' });
    await expectRefused(member);
  });
});

describe('what is deleted does not come back', () => {
  it('a Device: its certificate is revoked in the ledger, its session ends', async () => {
    const member = await connected('retired');
    await scene.system.kubectl('delete', 'device', member.ref.name, '-n', site);
    await untilClosed(member);
    await waitFor('the ledger to say so', async () =>
      (await ledgerOf(member.certificatePem)).every(({ revoked }) => revoked?.reason === 'Retired') ? true : undefined,
    );
    await expectRefused(member);
  });

  it('a whole namespace, and the broker forgets everything: bans come back from the ledger', async () => {
    const [, doomed = ''] = scene.sites;
    const members = await scene.enrol(['d-1', 'd-2', 'd-3'], { namespace: doomed });
    await Promise.all(members.map((member) => member.connect()));
    await scene.system.kubectl('delete', 'namespace', doomed, '--timeout=90s');
    await Promise.all(members.map(untilClosed));
    // The policy may be gone a moment before the Devices: then a session ends first, and its owner may come back without rights until the ledger says more.
    await Promise.all(members.map(untilRefused));
    expect(await scene.api.list(DEVICES, { namespace: doomed })).toEqual([]);
    // Whom none of this concerned was not disturbed, from the first test of this file on (promise 4).
    expect(bystander.device.endedAt()).toBeUndefined();

    await scene.system.standIn().restart({ wipe: true });
    await waitFor('the bans to be back', async () => {
      const banned = new Set((await bans()).map(({ who }) => who));
      return members.every(({ certificatePem }) => banned.has(md5Of(certificatePem))) ? true : undefined;
    });
    await Promise.all(members.map(expectRefused));
    for (const member of members) expect(await ledgerOf(member.certificatePem)).toMatchObject([{ revoked: { reason: 'Retired' } }]);
    await accepts(bystander);
  });
});
