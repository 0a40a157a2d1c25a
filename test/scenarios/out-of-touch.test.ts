// A device that is not at the broker for longer than its offlineBudget: said once, kept over kills, taken back once.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import { DEVICES } from '../../operator/api/resources.ts';
import { OPERATOR_NAMESPACE } from '../harness/system.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { conditionOf, type Member, type Scene, segment, startScene, untilDevice } from './scene.ts';

const OUT = { type: 'OutOfTouch', status: 'True' } as const;
const BUDGET = '20s';
/** The operator looks each quarter of a minute, slower on a busy machine. */
const PATIENT_MS = 120_000;
const SOME_LOOKS_MS = 25_000;

let scene: Scene;
let near: Member;
let far: Member;
let never: Member;
let free: Member;

beforeAll(async () => {
  scene = await startScene('touch');
  await scene.system.apply([segment('office', scene.site)]);
  [near, far, never, free] = (await scene.enrol(['near', 'far', 'never', 'free'])) as [Member, Member, Member, Member];
  await Promise.all([near, far, free].map((member) => member.connect()));
  for (const { ref } of [near, far, never]) await patch(ref.name, { offlineBudget: BUDGET });
  for (const { device } of [far, free]) await device.close();
});
afterAll(async () => {
  if (scene === undefined) return;
  await scene.cluster.kubectl(['delete', 'configmaps', '-n', OPERATOR_NAMESPACE, '--ignore-not-found', ...pages()]);
  await scene.stop();
});

const pages = (): string[] => Array.from({ length: 8 }, (_, at) => `hedgerow-out-of-touch-${at}`);
const patch = (name: string, spec: object): Promise<string> =>
  scene.system.kubectl('patch', 'device', name, '-n', scene.site, '--type=merge', '-p', JSON.stringify({ spec }));
const deviceOf = async ({ ref }: Member): Promise<Device> => (await scene.api.get<Device>(DEVICES, ref)) ?? expect.fail(ref.name);
const says = async (member: Member): Promise<boolean> => conditionOf(await deviceOf(member), 'OutOfTouch') !== undefined;
const untilInTouch = (member: Member): Promise<boolean> =>
  waitFor(`${member.ref.name} to be in touch`, async () => ((await says(member)) ? undefined : true), { timeoutMs: PATIENT_MS });

describe('a device that stays away', () => {
  it('is OutOfTouch after its budget, with an Event, whether it left or never came; it is Ready all the same', async () => {
    for (const member of [far, never]) {
      const device = await untilDevice(scene, member.ref, OUT, PATIENT_MS);
      expect(conditionOf(device, 'OutOfTouch')?.message).toContain('offlineBudget');
      expect(conditionOf(device, 'Ready')?.status).toBe('True');
    }
    expect([await says(near), await says(free)]).toEqual([false, false]);
    await waitFor('the Event', async () => {
      const { items } = await scene.system.get<{ items: { reason: string; regarding?: { name?: string } }[] }>(
        'events.events.k8s.io',
        ...['-n', scene.site],
      );
      return items.some(({ reason, regarding }) => reason === 'OutOfTouch' && regarding?.name === 'far') ? true : undefined;
    });
  });

  it('costs no write while nothing changes', async () => {
    const versions = async () =>
      (await Promise.all([near, far, never, free].map(deviceOf))).map(({ metadata }) => metadata.resourceVersion);
    const before = await versions();
    await pause(SOME_LOOKS_MS);
    expect(await versions()).toEqual(before);
  });

  it('is remembered in the pages that the role of the operator names', async () => {
    const page = await waitFor(
      'the first page',
      async () => {
        const { code, stdout } = await scene.cluster.kubectl([
          'get',
          'configmap',
          'hedgerow-out-of-touch-0',
          '-n',
          OPERATOR_NAMESPACE,
          '-o',
          'json',
        ]);
        return code === 0 ? (JSON.parse(stdout) as { data: Record<string, string> }) : undefined;
      },
      { timeoutMs: PATIENT_MS },
    );
    expect(Date.parse(page.data.watchedUntil ?? '')).not.toBeNaN();
  });

  it('stays what it is when the operator is killed and the broker loses all it knew, and so does one that comes back at once', async () => {
    await scene.system.operator().kill();
    await scene.system.standIn().kill();
    await scene.system.standIn().restart({ wipe: true });
    await scene.system.startOperator();
    await waitFor(
      'the device to be let in again',
      async () =>
        near.connect().then(
          () => true as const,
          () => undefined,
        ),
      { timeoutMs: PATIENT_MS },
    );
    const since = conditionOf(await deviceOf(far), 'OutOfTouch')?.lastTransitionTime;
    await pause(SOME_LOOKS_MS);
    expect([await says(near), await says(free)]).toEqual([false, false]);
    expect(conditionOf(await deviceOf(far), 'OutOfTouch')?.lastTransitionTime).toBe(since);
  });

  it('is in touch again as soon as it is seen, and not asked any more once it is revoked', async () => {
    await far.connect();
    await untilInTouch(far);
    await patch('never', { lifecycle: 'Revoked' });
    await untilInTouch(never);
  });
});
