// The smart office in Git, kept by Argo CD with prune and selfHeal, as docs/guides/argo-cd.md has it: both are at rest when nothing happens, and what a person does by hand stays.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import { DEVICES, INTERVENTIONS } from '../../operator/api/resources.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { ARGOCD_NAMESPACE, ARGOCD_USER, type ArgoCd, startArgoCd } from '../harness/argocd.ts';
import { auditEvents } from '../harness/audit.ts';
import { objectsIn, parseObjects, ROOT, SAMPLE_DIR } from '../harness/manifests.ts';
import { OPERATOR_ACCOUNT, OPERATOR_NAMESPACE } from '../harness/system.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { createDevice, type SimulatedDevice } from '../simulator/device.ts';
import { connectWith } from '../simulator/hostile.ts';
import { type Application, applicationOf, makeRepository, type Repository } from './gitops.ts';
import { hedgerowCli } from './plugin.ts';
import { type Scene, startScene, untilDevice } from './scene.ts';

const OPERATOR_USER = `system:serviceaccount:${OPERATOR_NAMESPACE}:${OPERATOR_ACCOUNT}`;
const PAGE = parseObjectsOf(readFileSync(join(ROOT, 'docs', 'guides', 'argo-cd.md'), 'utf8'));
const APPLICATION = 'berlin';
const QUIET_MS = 120_000;
const SYNCS = 20;
/** In turn: as kubectl apply does it (the default), as a field manager, as a whole. */
const WAYS = [[], ['ServerSideApply=true'], ['Replace=true']];
const RESYNC_SECONDS = 10;

let scene: Scene;
let site: string;
let argocd: ArgoCd;
let repository: Repository;
let application: Application;
let manifests: KubeObject[];
const fleet = new Map<string, SimulatedDevice>();
let revision: string;

beforeAll(async () => {
  // Argo CD's own role lets it approve certificate requests too, as the page says.
  scene = await startScene('argocd', { operatorArgs: ['--accept-approver', ARGOCD_USER] });
  ({ site } = scene);
  repository = await makeRepository(join(scene.dir, 'repository'));
  const sample = await sampleOf(site);
  await scene.system.apply(sample.filter(({ kind }) => kind === 'Namespace'));
  manifests = sample.filter(({ kind }) => kind !== 'Namespace');
  for (const manifest of manifests) repository.write(manifest);
  revision = await repository.commit('the smart office');
  argocd = await startArgoCd({
    ...{ cluster: scene.cluster, dir: scene.dir, namespaces: [site], resyncSeconds: RESYNC_SECONDS },
    settings: (PAGE.find(({ kind }) => kind === 'ConfigMap') as { data?: Record<string, string> }).data ?? {},
  });
  await scene.system.apply(PAGE.filter(({ apiVersion }) => apiVersion?.startsWith('argoproj.io/')).map(inThisPlace));
  application = applicationOf(scene.system, APPLICATION);
}, 900_000);

afterAll(async () => {
  await argocd?.stop();
  await Promise.all([...fleet.values()].map((device) => device.close()));
  await scene?.cluster.kubectl(['delete', 'namespace', ARGOCD_NAMESPACE, '--wait=false', '--ignore-not-found']);
  await scene?.stop();
});

function parseObjectsOf(page: string): KubeObject[] {
  return [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) => parseObjects(block));
}

/** The sample in a namespace of this scene, with requests of keys that are here. */
async function sampleOf(namespace: string): Promise<KubeObject[]> {
  const text = JSON.stringify(objectsIn(SAMPLE_DIR)).replaceAll('berlin', namespace);
  const objects = JSON.parse(text) as KubeObject[];
  for (const object of objects.filter(({ kind }) => kind === 'Device') as Device[]) {
    if (object.spec.identity.enrollment === 'Managed') continue;
    const name = object.metadata.name ?? '';
    const device = await createDevice({ device: name, segment: object.spec.segment, namespace }, fleet.size);
    fleet.set(name, device);
    object.spec.identity.csr = device.key.csrPem;
    // Argo CD heals what Git names, and nothing else.
    object.spec.lifecycle = 'Active';
  }
  return objects;
}

/** Page text with the addresses of this machine. */
function inThisPlace(object: KubeObject): KubeObject {
  const text = JSON.stringify(object)
    .replaceAll('https://git.example.org/sites.git', repository.url)
    .replaceAll('https://kubernetes.default.svc', scene.cluster.server)
    .replaceAll('"namespace":"berlin"', `"namespace":"${site}"`)
    .replaceAll('"path":"berlin"', '"path":"."');
  return JSON.parse(text) as KubeObject;
}

const device = (name: string): SimulatedDevice => {
  const found = fleet.get(name);
  if (found === undefined) throw new Error(`the sample has no device ${name}`);
  return found;
};
const ref = (name: string) => ({ name, namespace: site });
const manifestOf = (name: string): Device => {
  const found = manifests.find(({ kind, metadata }) => kind === 'Device' && metadata.name === name);
  if (found === undefined) throw new Error(`the sample has no Device ${name}`);
  return found as Device;
};
const certificateOf = async (name: string): Promise<string> => (await scene.api.get<Device>(DEVICES, ref(name)))?.status?.certificate ?? '';
const telemetry = (name: string): string => `dt/${device(name).who.segment}.${site}/${name}.${site}/temperature`;
const untilClosed = (name: string): Promise<true> =>
  waitFor(`the socket of ${name} to close`, () => (device(name).endedAt() === undefined ? undefined : true));
const byHand = async (...args: string[]): Promise<void> => {
  const { code, stderr } = await hedgerowCli([...args, '-n', site, '--kubeconfig', scene.cluster.adminKubeconfig, '--timeout', '90s']);
  expect([code, stderr]).toEqual([0, '']);
};

/** A commit, and Argo CD made aware of it at once. */
async function push(message: string): Promise<void> {
  revision = await repository.commit(message);
  await application.refresh();
}

/** Writes to what is not Argo CD's own, by who and what. Leases are not: to renew them is what they are for. */
async function writesBetween(fromMs: number, toMs: number): Promise<{ foreign: Record<string, number>; own: number }> {
  const foreign: Record<string, number> = {};
  let own = 0;
  for await (const { verb, user, objectRef, stageTimestamp } of auditEvents(scene.cluster.auditLogFile)) {
    const at = Date.parse(stageTimestamp);
    if (at < fromMs || at > toMs || !['create', 'update', 'patch', 'delete', 'deletecollection'].includes(verb)) continue;
    const concerned = user.username === OPERATOR_USER || user.username === ARGOCD_USER || objectRef?.namespace === site;
    if (!concerned || objectRef?.resource === 'leases') continue;
    if (user.username === ARGOCD_USER && objectRef?.namespace === ARGOCD_NAMESPACE) own += 1;
    else {
      const name = `${user.username} ${verb} ${objectRef?.resource}/${objectRef?.subresource ?? ''}`;
      foreign[name] = (foreign[name] ?? 0) + 1;
    }
  }
  return { foreign, own };
}

describe('a site in Git', () => {
  it('becomes Synced and Healthy, every object of it', async () => {
    const { resources = [] } = await application.until(revision, 'Healthy');
    expect(resources.map(({ kind, name, status, health }) => [kind, name, status, health?.status]).sort()).toEqual(
      manifests.map(({ kind, metadata }) => [kind, metadata.name, 'Synced', 'Healthy']).sort(),
    );
    for (const [name, simulated] of fleet) await simulated.connect(scene.broker, await certificateOf(name));
  });

  it(
    'is at rest: for two minutes nobody writes anything of it',
    async () => {
      // Events of the last steps may still be under way.
      await waitFor(
        'the last write',
        async () => {
          const { foreign } = await writesBetween(Date.now() - 10_000, Date.now());
          return Object.keys(foreign).length === 0 ? true : undefined;
        },
        { timeoutMs: 60_000, everyMs: 2_000 },
      );
      const fromMs = Date.now();
      await pause(QUIET_MS);
      const { foreign, own } = await writesBetween(fromMs, Date.now());
      console.log(
        `argocd: ${QUIET_MS / 1000} s, ${manifests.length} objects, compared every ${RESYNC_SECONDS} s: ${JSON.stringify(foreign)} writes to them, ${own} of Argo CD to its own Application`,
      );
      expect(foreign).toEqual({});
      await application.until(revision, 'Healthy');
    },
    QUIET_MS + 180_000,
  );

  it('is healed when somebody edits it by hand', async () => {
    await scene.system.kubectl('patch', 'device', 'air-3', '-n', site, '--type=merge', '-p', '{"spec":{"lifecycle":"Quarantined"}}');
    await waitFor(
      'Argo CD to put it back',
      async () => {
        const { spec } = (await scene.api.get<Device>(DEVICES, ref('air-3'))) ?? {};
        return spec?.lifecycle === 'Active' ? true : undefined;
      },
      { timeoutMs: 60_000 },
    );
    await untilDevice(scene, ref('air-3'), { type: 'Ready', status: 'True' });
  });

  it('tells that a manifest is wrong', async () => {
    const good = manifestOf('air-3');
    const imposter = await createDevice({ device: 'somebody-else', segment: good.spec.segment, namespace: site }, 0);
    const newcomer: Device = {
      ...good,
      metadata: { ...good.metadata, name: 'air-4' },
      spec: { ...good.spec, hardware: { serial: 'AIR4' }, identity: { ...good.spec.identity, csr: imposter.key.csrPem } },
    };
    repository.write(newcomer);
    await push('a request that is not for this device');
    const { resources = [] } = await application.until(revision, 'Degraded');
    const wrong = resources.find(({ name }) => name === 'air-4');
    expect(wrong?.health).toMatchObject({ status: 'Degraded', message: expect.stringMatching(/HR-ID-\d{3}/) });
    repository.remove(newcomer);
    await push('without it');
    await application.until(revision, 'Healthy');
    expect(await scene.api.get(DEVICES, ref('air-4'))).toBeUndefined();
  });
});

describe('what a person does by hand', () => {
  const REVOKED = 'thermo-17';
  const QUARANTINED = 'air-3';
  let certificatePem: string;
  let before: (string | undefined)[];

  /** The world as the person wanted it: at the broker, in the status, and by the same Interventions. */
  async function holds(): Promise<void> {
    expect(await connectWith(scene.broker, device(REVOKED).key, certificatePem)).toMatchObject({ refused: true });
    if (!device(QUARANTINED).connected()) await device(QUARANTINED).connect(scene.broker, await certificateOf(QUARANTINED));
    expect(await device(QUARANTINED).publish(telemetry(QUARANTINED), '{}')).toBe('refused');
    expect(await device(QUARANTINED).publish(`recovery/${QUARANTINED}.${site}/state`, '{}')).toBe('accepted');
    await untilDevice(scene, ref(REVOKED), { type: 'Revoked', status: 'True' });
    await untilDevice(scene, ref(QUARANTINED), { type: 'Quarantined', status: 'True' });
    expect(await uids()).toEqual(before);
  }
  const uids = async (): Promise<(string | undefined)[]> =>
    (await scene.api.list<KubeObject>(INTERVENTIONS, { namespace: site })).map(({ metadata }) => metadata.uid).sort();

  it('revokes and quarantines, and Argo CD shows both as Suspended', async () => {
    certificatePem = await certificateOf(REVOKED);
    await byHand('revoke', REVOKED, '--reason', 'stolen');
    await byHand('quarantine', QUARANTINED, '--reason', 'beaconing');
    await untilClosed(REVOKED);
    before = await uids();
    expect(before).toHaveLength(2);
    const { resources = [] } = await application.until(revision, 'Suspended');
    expect(
      resources
        .filter(({ health }) => health?.status === 'Suspended')
        .map(({ name }) => name)
        .sort(),
    ).toEqual([QUARANTINED, REVOKED]);
    await holds();
  });

  it(`survives ${SYNCS} syncs, by apply, by server-side apply and by replace`, async () => {
    const startedAt = performance.now();
    for (let round = 0; round < SYNCS; round += 1) {
      await application.refresh();
      await application.sync(WAYS[round % WAYS.length] ?? []);
      expect(await connectWith(scene.broker, device(REVOKED).key, certificatePem)).toMatchObject({ refused: true });
    }
    console.log(`argocd: ${SYNCS} syncs in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    await holds();
    await application.until(revision, 'Suspended');
  }, 600_000);

  it('survives a commit about something else, and one about the very Device', async () => {
    const other = manifestOf('occupancy-9');
    repository.write({ ...other, metadata: { ...other.metadata, labels: { ...other.metadata.labels, floor: '9' } } });
    await push('moved upstairs');
    await application.until(revision, 'Suspended');
    await holds();

    const again = manifestOf(REVOKED);
    const metadata = { ...again.metadata, labels: { ...again.metadata.labels, note: 'of-git' } };
    repository.write({ ...again, metadata, spec: { ...again.spec, lifecycle: 'Active' } } as Device);
    const kept = manifestOf(QUARANTINED);
    repository.write({ ...kept, spec: { ...kept.spec, lifecycle: 'Active' } } as Device);
    await push('Git says Active');
    await application.until(revision, 'Suspended');
    expect((await scene.api.get<Device>(DEVICES, ref(REVOKED)))?.metadata.labels).toMatchObject({ note: 'of-git' });
    await holds();
  });

  it('is taken back by a person: the quarantined one has its rights again', async () => {
    await byHand('release', QUARANTINED);
    await waitFor('its telemetry to be accepted', async () => {
      if (!device(QUARANTINED).connected()) await device(QUARANTINED).connect(scene.broker, await certificateOf(QUARANTINED));
      return (await device(QUARANTINED).publish(telemetry(QUARANTINED), '{}')) === 'accepted' ? true : undefined;
    });
    const { resources = [] } = await application.until(revision, 'Suspended');
    expect(resources.filter(({ health }) => health?.status !== 'Healthy').map(({ name }) => name)).toEqual([REVOKED]);
  });
});

describe('a Device that leaves Git', () => {
  it('is pruned, which retires it: its session ends and its certificate is shut out for good', async () => {
    const name = 'air-3';
    const certificatePem = await certificateOf(name);
    expect(device(name).connected()).toBe(true);
    repository.remove(manifestOf(name));
    await push('scrapped');
    await untilClosed(name);
    await waitFor('it to be refused', async () =>
      (await connectWith(scene.broker, device(name).key, certificatePem)).refused ? true : undefined,
    );
    await application.until(revision, 'Suspended');
    expect(await scene.api.get(DEVICES, ref(name))).toBeUndefined();
  });

  it('and none of this disturbed anybody else', () => {
    const others = [...fleet].filter(([name]) => name !== 'air-3' && name !== 'thermo-17');
    expect(others.length).toBeGreaterThan(2);
    expect(others.filter(([, one]) => one.endedAt() !== undefined).map(([name]) => name)).toEqual([]);
  });
});
