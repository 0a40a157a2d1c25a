// How far a revocation has come, as its Device says it: ledger, broker, rights, list; whatever is killed in between, and where there is no list.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import { DEVICES } from '../../operator/api/resources.ts';
import type { OperatorProcess } from '../harness/operator-process.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { createDevice } from '../simulator/device.ts';
import { type CrlScene, startCrlScene } from './crl-server.ts';
import { conditionOf, deviceManifest, type Member, segment, untilDevice } from './scene.ts';

/** Its key is out of the CRL server's reach; the CA is not among those that the operator believes. */
const CLOSED = 'closed';
const PATIENT_MS = 90_000;
/** Before the ledger, about when ledger and ban are written, and after everything. */
const MOMENTS_MS = [0, 250, 3_000];
const REVOKED = { type: 'Revoked', status: 'True' } as const;

let scene: CrlScene;
let server: OperatorProcess;
let members: Member[];

beforeAll(async () => {
  scene = await startCrlScene('listed');
  await pointTo([scene.listUrl]);
  await scene.system.apply([segment('office', scene.site), ...closedIssuer()]);
  server = await scene.startCrl();
  members = await scene.enrol(['good', 'first', 'second', ...MOMENTS_MS.map((ms) => `after-${ms}`), 'apart']);
});
afterAll(async () => {
  await server?.stop();
  await scene?.stop();
});

const pointTo = (crlDistributionPoints: readonly string[]): Promise<void> =>
  scene.system.apply([
    {
      ...{ apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata: { name: 'hedgerow-devices', namespace: scene.site } },
      spec: { ca: { secretName: 'hedgerow-devices-ca', crlDistributionPoints } },
    },
  ]);

function closedIssuer(): object[] {
  const of = (kind: string, spec: object): object => ({
    ...{ apiVersion: 'cert-manager.io/v1', kind, metadata: { name: CLOSED, namespace: scene.site }, spec },
  });
  const ca = { isCA: true, commonName: `closed ${scene.site}`, secretName: CLOSED, privateKey: { algorithm: 'ECDSA', size: 256 } };
  return [
    of('Certificate', { ...ca, usages: ['cert sign', 'crl sign'], issuerRef: { name: 'hedgerow-root', kind: 'ClusterIssuer' } }),
    of('Issuer', { ca: { secretName: CLOSED, crlDistributionPoints: [scene.listUrl.replace('hedgerow-devices', CLOSED)] } }),
  ];
}

const member = (name: string): Member => members.find(({ ref }) => ref.name === name) ?? expect.fail(name);
const deviceOf = async (name: string): Promise<Device> => (await scene.api.get<Device>(DEVICES, member(name).ref)) ?? expect.fail(name);
const stepsOf = (device: Device): string[] => (device.status?.identity?.revocationSteps ?? []).map(({ step }) => step);
const revoke = (name: string): Promise<string> =>
  scene.system.kubectl('patch', 'device', name, '-n', scene.site, '--type=merge', '-p', '{"spec":{"lifecycle":"Revoked"}}');
const untilSteps = (name: string, wanted: readonly string[]): Promise<Device> =>
  waitFor(
    `${name} to show ${wanted.join()}`,
    async () => {
      const device = await deviceOf(name);
      return stepsOf(device).join() === wanted.join() ? device : undefined;
    },
    { timeoutMs: PATIENT_MS },
  );
const isListed = async (name: string): Promise<boolean> => stepsOf(await deviceOf(name)).includes('Crl');

describe('a revocation, where lists are made', () => {
  it('is complete when ledger, broker and list show it, and its Device names each with its time', async () => {
    await revoke('first');
    const device = await untilDevice(scene, member('first').ref, REVOKED, PATIENT_MS);
    expect(stepsOf(device)).toEqual(['Ledger', 'Broker', 'Rights', 'Crl']);
    expect(conditionOf(device, 'Reconciling')).toBeUndefined();
    expect(conditionOf(device, 'CRLUnavailable')).toBeUndefined();
    expect(conditionOf(await deviceOf('good'), 'CRLUnavailable')).toBeUndefined();
  });

  it('waits for the list of a CRL server that was killed, and says so; the ban does not wait', async () => {
    await server.kill();
    await revoke('second');
    const device = await untilSteps('second', ['Ledger', 'Broker', 'Rights']);
    expect(conditionOf(device, 'Revoked')).toMatchObject({
      status: 'Unknown',
      reason: 'Revoking',
      message: expect.stringContaining('CRL'),
    });
    server = await scene.startCrl();
    await untilDevice(scene, member('second').ref, REVOKED, PATIENT_MS);
    await untilSteps('second', ['Ledger', 'Broker', 'Rights', 'Crl']);
  });

  it.each(MOMENTS_MS)(
    'comes to its end although operator, CRL server and broker are killed %i ms after it, and what was there comes back',
    async (afterMs) => {
      const name = `after-${afterMs}`;
      await revoke(name);
      await pause(afterMs);
      await Promise.all([scene.system.operator().kill(), server.kill(), scene.system.standIn().kill()]);
      await scene.system.standIn().restart({ wipe: true });
      server = await scene.startCrl();
      await scene.system.startOperator();
      const all = ['Ledger', 'Broker', 'Rights', 'Crl'];
      expect(conditionOf(await untilSteps(name, all), 'Revoked')).toMatchObject({ status: 'True' });
      const revoked = ['first', 'second', ...MOMENTS_MS.filter((ms) => ms <= afterMs).map((ms) => `after-${ms}`)];
      for (const one of revoked) await untilSteps(one, all);
      await waitFor(
        'their bans',
        async () => {
          const { body } = await scene.system.standIn().request('GET', '/banned?limit=1000');
          const banned = new Set((body as { data: { who: string }[] }).data.map(({ who }) => who));
          return revoked.every((one) => banned.has(member(one).name)) || undefined;
        },
        { timeoutMs: PATIENT_MS },
      );
      // What the status says now was seen by the operator that knows nothing of before.
      for (const one of revoked) await untilSteps(one, all);
      expect(await isListed('good')).toBe(false);
    },
  );
});

describe('where no list can be made', () => {
  it('a Device says CRLUnavailable with the code of the CRL server, and is Ready all the same', async () => {
    const ref = { name: 'alone', namespace: scene.site };
    await scene.system.apply([await aloneDevice()]);
    const device = await untilDevice(scene, ref, { type: 'CRLUnavailable', status: 'True', reason: 'SecretForbidden' }, PATIENT_MS);
    expect(conditionOf(device, 'CRLUnavailable')?.message).toContain('HR-CRL-003');
    expect(conditionOf(device, 'Ready')).toMatchObject({ status: 'True' });
    await scene.system.kubectl('patch', 'device', 'alone', '-n', scene.site, '--type=merge', '-p', '{"spec":{"lifecycle":"Revoked"}}');
    const revoked = await untilDevice(scene, ref, REVOKED, PATIENT_MS);
    expect(stepsOf(revoked)).toEqual(['Ledger', 'Broker', 'Rights']);
    expect(conditionOf(revoked, 'Revoked')?.message).toContain('no CRL names its certificate');
  });

  it('an issuer that loses its distribution point is seen on all of its Devices, and no more once it has one again', async () => {
    await pointTo([]);
    const lost = { type: 'CRLUnavailable', status: 'True', reason: 'NoDistributionPoint' } as const;
    for (const name of ['good', 'apart']) await untilDevice(scene, member(name).ref, lost, PATIENT_MS);
    await pointTo([scene.listUrl]);
    for (const name of ['good', 'apart'])
      await waitFor(
        `${name} to say nothing of lists`,
        async () => (conditionOf(await deviceOf(name), 'CRLUnavailable') === undefined ? true : undefined),
        { timeoutMs: PATIENT_MS },
      );
  });
});

async function aloneDevice(): Promise<object> {
  const device = await createDevice({ device: 'alone', segment: 'office', namespace: scene.site }, 77);
  const manifest = deviceManifest(device) as { spec: { identity: object } };
  return { ...manifest, spec: { ...manifest.spec, identity: { ...manifest.spec.identity, issuerRef: { name: CLOSED } } } };
}
