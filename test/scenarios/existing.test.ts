// A device that comes with a certificate which Hedgerow did not ask for, at the broker of a whole system: by its subject, and out when it is revoked.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Rdn } from '../broker/testing/subject-der.ts';
import { waitFor } from '../harness/wait.ts';
import { createDevice, type SimulatedDevice } from '../simulator/device.ts';
import { connectWith } from '../simulator/hostile.ts';
import { type Scene, segment, startScene, untilDevice } from './scene.ts';
import { type Forged, siteCa } from './site-ca.ts';

let scene: Scene;
let site: string;
let sign: (subject: readonly Rdn[]) => Promise<Forged>;
let known: Forged;
let device: SimulatedDevice;

beforeAll(async () => {
  // As the guide says: what the broker trusts is its administrator's, who lets in more than what the ledger knows.
  scene = await startScene('existing', { operatorArgs: ['--broker-cas', 'leave'] });
  ({ site } = scene);
  await scene.system.apply([segment('office', site)]);
  // A CA that the broker trusts, and that the ledger knows nothing of what it signed for others.
  sign = await siteCa(scene, site);
  const name: Rdn[] = [
    [{ type: 'O', value: 'hedgerow' }],
    [{ type: 'OU', value: `office.${site}` }],
    [{ type: 'CN', value: `old-1.${site}` }],
  ];
  known = await sign(name);
  device = await createDevice({ device: 'old-1', segment: 'office', namespace: site }, 0);
});
afterAll(async () => {
  await device?.close();
  await scene?.stop();
});

const manifest = (name: string, certificate: string, more: object = {}) => ({
  ...{ apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', metadata: { name, namespace: site } },
  spec: { segment: 'office', identity: { enrollment: 'Existing', existing: { certificate } }, ...more },
});
const connect = (): Promise<void> => device.connect(scene.broker, known.certificatePem, { key: known.privateKeyPem });
const telling = (wanted: 'accepted' | 'refused'): Promise<true> =>
  waitFor(`its telemetry to be ${wanted}`, async () => {
    if (!device.connected()) await connect();
    return (await device.publish(`dt/office.${site}/old-1.${site}/t`, '{}')) === wanted ? true : undefined;
  });

describe('a certificate that another made', () => {
  it('with exactly our subject, of a CA that the broker trusts, lets the device in with the rights of its segment', async () => {
    await scene.system.apply([manifest('old-1', known.certificatePem)]);
    const { status } = await untilDevice(scene, { name: 'old-1', namespace: site }, { type: 'Ready', status: 'True' });
    expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'Certified', status: 'True', reason: 'Existing' }));
    expect(status?.identity?.issuer).toMatch(/^External\/\//);
    await telling('accepted');
  });

  it('with another subject is good for enrolling, and the broker refuses it', async () => {
    const sensor = await sign([[{ type: 'CN', value: 'sensor 4711' }]]);
    await scene.system.apply([manifest('old-2', sensor.certificatePem)]);
    await untilDevice(scene, { name: 'old-2', namespace: site }, { type: 'Certified', status: 'True', reason: 'Existing' });
    expect(await connectWith(scene.broker, sensor, sensor.certificatePem, { clientId: `old-2.${site}` })).toMatchObject({ refused: true });
  });

  it('with the name of another device of ours is not taken', async () => {
    await scene.system.apply([manifest('old-3', known.certificatePem)]);
    await untilDevice(scene, { name: 'old-3', namespace: site }, { type: 'Stalled', status: 'True', reason: 'ExistingNamesAnother' });
  });

  it('is banned when the device is revoked: its socket is closed and CONNECT refused', async () => {
    expect(device.connected()).toBe(true);
    await scene.system.apply([manifest('old-1', known.certificatePem, { lifecycle: 'Revoked' })]);
    await waitFor('its socket to close', () => (device.endedAt() === undefined ? undefined : true));
    const { status } = await untilDevice(scene, { name: 'old-1', namespace: site }, { type: 'Revoked', status: 'True' });
    const certified = status?.conditions?.find(({ type }) => type === 'Certified');
    expect(certified?.message).toContain('is on no CRL of ours');
    expect(await connectWith(scene.broker, known, known.certificatePem, { clientId: `old-1.${site}` })).toMatchObject({ refused: true });
  });
});
