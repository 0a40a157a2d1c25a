// `npm run bench -- revoke` by counts that are the same on every machine: twenty of a hundred revoked at once, and nobody else notices.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_VERSION, INTERVENTIONS } from '../../operator/api/resources.ts';
import { type Crowd, gather } from '../bench/sockets/crowd.ts';
import { parallel } from '../harness/parallel.ts';
import { waitFor } from '../harness/wait.ts';
import { type Member, type Scene, segment, startScene, until } from '../scenarios/scene.ts';
import { connectWith } from '../simulator/hostile.ts';

const CLIENTS = 100;
const REVOKED = 20;

let scene: Scene;
let crowd: Crowd;
let revoked: Member[];

beforeAll(async () => {
  scene = await startScene('revoke-scale');
  await scene.system.apply([segment('office', scene.site)]);
  const members = await scene.enrol(Array.from({ length: CLIENTS }, (_, at) => `device-${at}`));
  const clients = members.map(({ name, device, certificatePem }) => ({
    clientId: name,
    keyPem: device.key.privateKeyPem,
    certPem: certificatePem,
  }));
  crowd = await gather(clients, scene.broker, () => undefined);
  revoked = members.slice(0, REVOKED);
}, 400_000);

afterAll(async () => {
  await crowd?.stop();
  await scene?.stop();
});

describe(`${REVOKED} of ${CLIENTS} connected clients, revoked at once`, () => {
  it('are let in before', () => {
    expect(crowd.failures()).toEqual([]);
    expect([crowd.connected(), crowd.closed()]).toEqual([CLIENTS, []]);
  });

  it('lose their connections, and nobody else does', async () => {
    await scene.system.apply(
      revoked.map(({ ref }) => ({
        apiVersion: API_VERSION,
        kind: 'Intervention',
        metadata: { name: `${ref.name}-revoke`, namespace: ref.namespace },
        spec: { target: { kind: 'Device', name: ref.name }, action: 'Revoke', requestedBy: 'admin', reason: 'stolen' },
      })),
    );
    await waitFor('their sockets to close', () => (crowd.closed().length >= REVOKED ? true : undefined), {
      ...{ timeoutMs: 60_000, describe: () => `${crowd.closed().length} are closed` },
    });
    for (const { ref } of revoked)
      await until(scene, INTERVENTIONS, { ...ref, name: `${ref.name}-revoke` }, { type: 'Applied', status: 'True' });
    expect(crowd.closed().toSorted()).toEqual(revoked.map(({ name }) => name).toSorted());
  });

  it('and are not let in again', async () => {
    const answers: boolean[] = [];
    await parallel(revoked, 4, async ({ device, certificatePem }) => {
      answers.push((await connectWith(scene.broker, device.key, certificatePem)).refused);
    });
    expect(answers).toEqual(Array.from({ length: REVOKED }, () => true));
    expect(crowd.connected()).toBe(CLIENTS - REVOKED);
  });
});
