// Keys and certificates that change: asked for by hand, given up because they are in other hands, used after their time, copied. On the whole system with real sockets.
import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { CertificateLedger } from '../../operator/api/certificate-ledger.ts';
import type { Device } from '../../operator/api/device.ts';
import type { Intervention } from '../../operator/api/intervention.ts';
import { API_VERSION, CERTIFICATE_LEDGERS, DEVICES, INTERVENTIONS } from '../../operator/api/resources.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { connectOptions, createDevice, open } from '../simulator/device.ts';
import { connectWith } from '../simulator/hostile.ts';
import { conditionOf, deviceManifest, type Member, type Scene, segment, startScene, until, untilDevice } from './scene.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

let scene: Scene;
let site: string;

beforeAll(async () => {
  scene = await startScene('rotation');
  ({ site } = scene);
  await scene.system.apply([segment('office', site)]);
});
afterAll(() => scene?.stop());

type Revoked = { reason: string; by: string };

async function rotate(name: string, device: string, compromised = false): Promise<void> {
  const metadata = { name, namespace: site };
  const target = { kind: 'Device', name: device };
  const spec = { target, action: 'Rotate', requestedBy: 'admin', reason: 'ticket 4711', ...(compromised ? { compromised } : {}) };
  await scene.system.apply([{ apiVersion: API_VERSION, kind: 'Intervention', metadata, spec }]);
}
const untilApplied = (name: string, reason: string): Promise<Intervention> =>
  until<Intervention>(scene, INTERVENTIONS, { name, namespace: site }, { type: 'Applied', status: 'True', reason }, 90_000);
const stepsOf = (intervention: Intervention | undefined): (string | undefined)[] =>
  (intervention?.status?.steps ?? []).map(({ step }) => step);

const sha256Of = (pem: string): string => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
const md5Of = (pem: string): string => createHash('md5').update(new X509Certificate(pem).raw).digest('hex');
const leafOf = (pem: string): string => new X509Certificate(pem).toString();

/** What the ledger, as the API server holds it, says of this certificate. */
async function revocationOf(certificatePem: string): Promise<Revoked | 'none'> {
  const id = sha256Of(certificatePem).slice(0, 32);
  const pages = await scene.api.list<CertificateLedger>(CERTIFICATE_LEDGERS, { namespace: scene.system.namespace });
  const text = pages.flatMap(({ spec }) => spec.entries?.[id] ?? [])[0];
  if (text === undefined) throw new Error('the ledger does not have it');
  return (JSON.parse(text) as { revoked?: Revoked }).revoked ?? 'none';
}
async function certificatesOf(name: string): Promise<{ revoked?: Revoked }[]> {
  const pages = await scene.api.list<CertificateLedger>(CERTIFICATE_LEDGERS, { namespace: scene.system.namespace });
  const entries = pages.flatMap(({ spec }) => Object.values(spec.entries ?? {}));
  return entries
    .map((text) => JSON.parse(text) as { device: string; revoked?: Revoked })
    .filter(({ device }) => device === `${name}.${site}`);
}
async function bans(): Promise<string[]> {
  const { body } = await scene.system.standIn().request('GET', '/banned?limit=10000');
  return (body as { data: { as: string; who: string }[] }).data.map(({ as, who }) => `${as} ${who}`);
}
const deviceOf = async (name: string): Promise<Device> => {
  const found = await scene.api.get<Device>(DEVICES, { name, namespace: site });
  if (found === undefined) throw new Error(`there is no Device ${name}`);
  return found;
};
const eventsOf = async (name: string, reason: string): Promise<number> => {
  const selector = `--field-selector=regarding.name=${name},reason=${reason}`;
  const { items } = await scene.system.get<{ items: unknown[] }>('events.events.k8s.io', '-n', site, selector);
  return items.length;
};

/** The device with a second certificate for its key, both valid, and the newer in use. */
async function withTwo(name: string, identity: object = {}): Promise<{ member: Member; older: string; newer: string }> {
  const device = await createDevice({ device: name, segment: 'office', namespace: site }, 0);
  const spec = { identity: { enrollment: 'CSR', csr: device.key.csrPem, ...identity } };
  await scene.system.apply([deviceManifest(device, 'office', spec)]);
  const ref = { name, namespace: site };
  const older = (await untilDevice(scene, ref, { type: 'Ready', status: 'True' }, 90_000)).status?.certificate ?? '';
  await rotate(`${name}-routine`, name);
  await untilApplied(`${name}-routine`, 'Rotated');
  const newer = await waitFor('the new certificate', async () => {
    const shown = (await deviceOf(name)).status?.certificate ?? '';
    return leafOf(shown) === leafOf(older) ? undefined : shown;
  });
  const member: Member = {
    ...{ ref, name: `${name}.${site}`, device, certificatePem: newer },
    connect: () => device.connect(scene.broker, newer),
    tell: () => device.publish(`dt/office.${site}/${name}.${site}/temperature`, '{}'),
  };
  return { member, older, newer };
}

describe('a routine Rotate', () => {
  it('brings a new certificate at once; the old one stays good, and its use after the grace is reported until the new one is used', async () => {
    const { member, older, newer } = await withTwo('routine', { duration: '300s' });
    const { device } = member;
    expect(await revocationOf(older)).toBe('none');
    await device.connect(scene.broker, older);
    // 30 s, a tenth of its lifetime, and the next look at who is connected.
    await untilDevice(scene, member.ref, { type: 'SupersededCertificateUsed', status: 'True' }, 120_000);
    expect(device.connected()).toBe(true);
    expect((await bans()).filter((ban) => ban.includes(md5Of(older)))).toEqual([]);
    await waitFor('the Event', async () => ((await eventsOf('routine', 'SupersededCertificateUsed')) > 0 ? true : undefined));
    await device.close();
    await device.connect(scene.broker, (await deviceOf('routine')).status?.certificate ?? newer);
    await waitFor(
      'the report to be taken back',
      async () => (conditionOf(await deviceOf('routine'), 'SupersededCertificateUsed') === undefined ? true : undefined),
      { timeoutMs: 90_000 },
    );
    await device.close();
  });

  it('acts once, also when the operator is killed in between', async () => {
    const [member] = await scene.enrol(['killed']);
    await rotate('killed-routine', 'killed');
    await scene.system.operator().kill();
    await scene.system.startOperator();
    await untilApplied('killed-routine', 'Rotated');
    const count = (await certificatesOf('killed')).length;
    expect(count).toBe(2);
    await scene.system.operator().kill();
    await scene.system.startOperator();
    await scene.system.kubectl('annotate', 'device', 'killed', '-n', site, 'look=again');
    await pause(5_000);
    expect((await certificatesOf('killed')).length).toBe(count);
    expect((await certificatesOf('killed')).filter(({ revoked }) => revoked !== undefined)).toEqual([]);
    await member?.device.close();
  });
});

describe('a Rotate because the key is in other hands', () => {
  it('throws the old certificate out, lets the new key in, and touches it no more', async () => {
    const [member] = (await scene.enrol(['stolen'])) as [Member];
    const { device, certificatePem } = member;
    await member.connect();
    await rotate('stolen-1', 'stolen', true);
    await waitFor('the socket to close', () => (device.endedAt() === undefined ? undefined : true), { everyMs: 20 });
    expect(await connectWith(scene.broker, device.key, certificatePem)).toMatchObject({ refused: true });
    await untilApplied('stolen-1', 'KeyGivenUp');
    expect(await revocationOf(certificatePem)).toMatchObject({ reason: 'Compromised', by: 'Intervention stolen-1 of admin' });
    await untilDevice(scene, member.ref, { type: 'Stalled', status: 'True', reason: 'KeyRevoked' });
    // The identity itself is not banned: only this certificate.
    expect(await bans()).not.toContain(`clientid ${member.name}`);
    const renewed = await createDevice(device.who, 0);
    await scene.system.apply([deviceManifest(renewed)]);
    const ready = await untilDevice(scene, member.ref, { type: 'Ready', status: 'True' });
    await renewed.connect(scene.broker, ready.status?.certificate ?? '');
    expect(await renewed.publish(`dt/office.${site}/${member.name}/temperature`, '{}')).toBe('accepted');
    const done = await waitFor('the last step', async () => {
      const found = await scene.api.get<Intervention>(INTERVENTIONS, { name: 'stolen-1', namespace: site });
      return stepsOf(found).includes('Certificate') ? found : undefined;
    });
    expect(stepsOf(done).sort()).toEqual(['Applied', 'Broker', 'Certificate', 'Ledger']);
    await scene.system.standIn().kill();
    await scene.system.operator().kill();
    await scene.system.standIn().restart({ wipe: true });
    await scene.system.startOperator();
    await waitFor('the ban to be back', async () => ((await bans()).includes(`username ${md5Of(certificatePem)}`) ? true : undefined));
    expect(await connectWith(scene.broker, device.key, certificatePem)).toMatchObject({ refused: true });
    await waitFor('the new key to connect', async () => {
      await renewed.connect(scene.broker, ready.status?.certificate ?? '');
      return true;
    });
    expect(await revocationOf(ready.status?.certificate ?? '')).toBe('none');
    await renewed.close();
  });

  it('ends the same when the operator is killed at once', async () => {
    const [member] = (await scene.enrol(['stolen-2'])) as [Member];
    await member.connect();
    await scene.system.operator().kill();
    await rotate('stolen-2', 'stolen-2', true);
    const operator = await scene.system.startOperator();
    await waitFor('the ledger to say so', async () => ((await revocationOf(member.certificatePem)) === 'none' ? undefined : true), {
      everyMs: 20,
    });
    await operator.kill();
    await scene.system.startOperator();
    await untilApplied('stolen-2', 'KeyGivenUp');
    await waitFor('the socket to close', () => (member.device.endedAt() === undefined ? undefined : true));
    expect(await connectWith(scene.broker, member.device.key, member.certificatePem)).toMatchObject({ refused: true });
  });

  it('gives a Managed device a new key by cert-manager', async () => {
    const ref = { name: 'gateway', namespace: site };
    const spec = { segment: 'office', identity: { enrollment: 'Managed', secretName: 'gateway-tls' } };
    await scene.system.apply([{ apiVersion: API_VERSION, kind: 'Device', metadata: ref, spec }]);
    await untilDevice(scene, ref, { type: 'Ready', status: 'True' }, 90_000);
    const inSecret = async (): Promise<string> =>
      Buffer.from(
        await scene.system.kubectl('get', 'secret', 'gateway-tls', '-n', site, '-o', 'jsonpath={.data.tls\\.crt}'),
        'base64',
      ).toString();
    const before = await inSecret();
    await rotate('gateway-1', 'gateway', true);
    await untilApplied('gateway-1', 'KeyGivenUp');
    const after = await waitFor(
      'another key',
      async () => {
        const now = await inSecret();
        const same = new X509Certificate(now).publicKey.equals(new X509Certificate(before).publicKey);
        return same || (await revocationOf(now)) !== 'none' ? undefined : now;
      },
      { timeoutMs: 90_000 },
    );
    expect(await revocationOf(before)).toMatchObject({ reason: 'Compromised' });
    await untilDevice(scene, ref, { type: 'Ready', status: 'True' }, 90_000);
    await pause(3_000);
    expect(leafOf(await inSecret())).toBe(leafOf(after));
  });
});

describe('two certificates of one device that push each other off', () => {
  it('end with the older refused for good and the newer connected', async () => {
    const { member, older, newer } = await withTwo('copied');
    const fighting = { reconnectPeriod: 500 };
    const thief = await open({ ...connectOptions(scene.broker, member.device.key, older), ...fighting });
    thief.on('error', () => undefined);
    const genuine = await open({ ...connectOptions(scene.broker, member.device.key, newer), ...fighting });
    genuine.on('error', () => undefined);
    try {
      await untilDevice(scene, member.ref, { type: 'CertificateCopied', status: 'True' }, 150_000);
      expect(await revocationOf(older)).toMatchObject({ reason: 'Compromised' });
      expect(await revocationOf(newer)).toBe('none');
      await waitFor('the ban', async () => ((await bans()).includes(`username ${md5Of(older)}`) ? true : undefined));
      await scene.system.operator().kill();
      await scene.system.standIn().kill();
      await scene.system.standIn().restart({ wipe: true });
      await scene.system.startOperator();
      await waitFor('the ban to be back', async () => ((await bans()).includes(`username ${md5Of(older)}`) ? true : undefined));
      expect(await bans()).not.toContain(`clientid ${member.name}`);
      await waitFor('the genuine device to be back', () => (genuine.connected ? true : undefined));
      expect(await connectWith(scene.broker, member.device.key, older, { clientId: 'x' })).toMatchObject({ refused: true });
      await pause(2_000);
      expect(genuine.connected).toBe(true);
      expect(conditionOf(await deviceOf('copied'), 'CertificateCopied')?.status).toBe('True');
    } finally {
      await Promise.all([thief.endAsync(true), genuine.endAsync(true)]);
    }
  });
});

describe('a record of the flapping detector on the id of a device', () => {
  it('is replaced by a ban of the certificate that is not the newest, and the device may connect', async () => {
    const { member, older, newer } = await withTwo('flapping');
    const plant = async (): Promise<void> => {
      const until = new Date(Date.now() + 300_000).toISOString();
      const body = { as: 'clientid', who: member.name, by: 'flapping detector', reason: 'flapping is detected', until };
      expect((await scene.system.standIn().request('POST', '/banned', { body })).status).toBe(200);
    };
    // As the detector does it: again and again. The older goes once the operator has seen the device with the newest.
    const isBanned = async (): Promise<boolean> => (await bans()).includes(`username ${md5Of(older)}`);
    for (let attempt = 0; attempt < 5 && !(await isBanned()); attempt++) {
      await waitFor('the device to connect', async () => {
        await member.connect();
        return true;
      });
      await pause(25_000);
      await plant();
      expect(await connectWith(scene.broker, member.device.key, newer)).toMatchObject({ refused: true });
      await waitFor('the record to go', async () => ((await bans()).includes(`clientid ${member.name}`) ? undefined : true), {
        timeoutMs: 60_000,
      });
      await pause(2_000);
    }
    await waitFor('the ban of the older', async () => ((await isBanned()) ? true : undefined));
    expect(await revocationOf(older)).toMatchObject({ reason: 'Superseded' });
    expect(await connectWith(scene.broker, member.device.key, older)).toMatchObject({ refused: true });
    expect(await connectWith(scene.broker, member.device.key, newer)).toMatchObject({ refused: false });
    await waitFor('the Event', async () => ((await eventsOf('flapping', 'FlappingRecordRemoved')) > 0 ? true : undefined));
    // Only the certificate went, not its key: it renews like any other.
    await rotate('flapping-again', 'flapping');
    await untilApplied('flapping-again', 'Rotated');
    await member.device.close();
  });
});
