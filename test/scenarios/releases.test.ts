// A signed FirmwareRelease on the real API server: it becomes FirmwareWaves and Jobs, goes on by what drivers write and people ask for, and is refused with a code where its
// trust is not good. The test writes what a driver would; the operator is killed in between.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import type { FirmwareReleaseStatus } from '../../operator/api/firmware-release.ts';
import type { FirmwareWaveSpec, FirmwareWaveStatus } from '../../operator/api/firmware-wave.ts';
import type { Condition, ObjectMeta } from '../../operator/api/meta.ts';
import { API_VERSION, CONFIG_MAPS, DEVICES, FIRMWARE_RELEASES, FIRMWARE_WAVES, INTERVENTIONS, JOBS } from '../../operator/api/resources.ts';
import { candidateOf, envelopeText, isInStep, newEnvelope, type ReleaseFacts, withSignature } from '../../operator/firmware/firmware.ts';
import { DAY_MS, newKey, parsedRoot, rootBy, sha256 } from '../../operator/firmware/testing/trust.ts';
import { connect } from '../../operator/kube/client.ts';
import { kubeconfigConnection } from '../../operator/kube/config.ts';
import { noKubeMetrics } from '../../operator/kube/ports.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { OPERATOR_NAMESPACE } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { type Scene, startScene } from './scene.ts';

type Release = { metadata: ObjectMeta; status?: FirmwareReleaseStatus };
type Wave = { metadata: ObjectMeta; spec: FirmwareWaveSpec; status?: FirmwareWaveStatus };
type Job = {
  metadata: ObjectMeta;
  spec: { suspend?: boolean; backoffLimit: number; template: { spec: { containers: { args: string[] }[] } } };
};

const PATIENT_MS = 240_000;
const STEP_MS = 25_000;
const OPERATOR = 'system:serviceaccount:hedgerow-system:hedgerow';
const MALLORY = 'releases-mallory';
const DEVICE_COUNT = 10;
const AUTHOR = 'ci@example.org';
const DIGEST = 'ab'.repeat(32);
const rootKey = newKey();
const [first, second] = [newKey(), newKey('P-256')];
const PUBLICS = [first.public, second.public];
const root1 = rootBy([rootKey], {
  root: { add: [rootKey.public], threshold: 1 },
  targets: { add: PUBLICS, threshold: 2 },
  expiresAt: Date.now() + 30 * DAY_MS,
});

let scene: Scene;
let user: string;

beforeAll(async () => {
  scene = await startScene('releases', {
    probe: true,
    chartValues: firmwareValues(),
    operatorArgs: [
      ...['--leader-elect', 'false', '--firmware-root', sha256(root1), '--rollout-image', 'hedgerow.dev/hedgerow:test'],
      ...['--rollout-account', 'hedgerow-rollout', '--mqtt-issuer', 'Issuer/drivers', '--directive-issuer', 'Issuer/directives'],
      ...['--artifacts-url', 'https://127.0.0.1:9', '--rollout-metrics-port', '0'],
    ],
  });
  const me = (await scene.api.raw('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
  })) as { status: { userInfo: { username: string } } };
  user = me.status.userInfo.username;
  await scene.system.apply([
    policy('firmware-root', { '1.root.json': root1 }),
    ...Array.from({ length: DEVICE_COUNT }, (_, at) => device(at)),
  ]);
}, PATIENT_MS);

afterAll(async () => {
  await removeMallory();
  const waves = await releasesGone();
  await scene.cluster.kubectl(['delete', 'clusterrole,clusterrolebinding', 'hedgerow-rollout', '--ignore-not-found']);
  await scene.stop();
  expect(waves).toBe(0);
}, PATIENT_MS);

function firmwareValues(): Record<string, unknown> {
  return {
    broker: { url: 'https://127.0.0.1:18083', mqtt: { address: 'broker:8883', issuer: 'Issuer/hedgerow-system/devices' } },
    rollout: {
      ...{ enabled: true, mqttIssuer: 'Issuer/drivers', directiveIssuer: 'Issuer/directives' },
      ...{ roots: [sha256(root1)], trustPolicies: ['firmware-root', 'firmware-root-aside'], artifactsUrl: 'https://artifacts:8443' },
    },
  };
}

const device = (at: number): object => ({
  ...{ apiVersion: API_VERSION, kind: 'Device', metadata: { name: `cam-${at}`, namespace: scene.site } },
  spec: { segment: 'office', hardware: { model: 'cam-2' }, identity: { enrollment: 'EST', est: { bootstrap: 'Token' } } },
});

const policy = (name: string, files: Record<string, Buffer>): object => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: scene.site } },
  data: Object.fromEntries(Object.entries(files).map(([file, bytes]) => [file, bytes.toString()])),
});

const facts = (component: string): ReleaseFacts => ({
  ...{ component, version: '2.4.0', securityCounter: 0 },
  artifacts: [{ name: 'full', format: 'raw', size: 1000, hardware: { models: ['cam-2'] }, sha256: DIGEST }],
});

function signed(component: string, keys = [first, second]): string {
  const made = newEnvelope(facts(component));
  if (!made.ok) throw new Error(made.problem.code);
  return envelopeText(keys.reduce((envelope, key) => withSignature(envelope, key), made.value));
}

function release(name: string, more: Record<string, unknown> = {}): object {
  const component = typeof more.component === 'string' ? more.component : name;
  return {
    ...{ apiVersion: API_VERSION, kind: 'FirmwareRelease', metadata: { name, namespace: scene.site } },
    spec: {
      ...{ version: '2.4.0', component, securityCounter: 0, selector: {}, author: AUTHOR },
      artifacts: [
        {
          ...{ name: 'full', format: 'raw', size: 1000, hardware: { models: ['cam-2'] }, digest: `sha256:${DIGEST}` },
          oci: `registry.example.com/fw/cam@sha256:${DIGEST}`,
        },
      ],
      trust: { policyRef: { name: 'firmware-root' }, envelope: signed(component) },
      rollout: {
        waves: [
          { name: 'canary', size: '3' },
          { name: 'broad', approval: 'Required' },
        ],
      },
      ...more,
    },
  };
}

const get = (name: string): Promise<Release | undefined> => scene.api.get<Release>(FIRMWARE_RELEASES, { name, namespace: scene.site });
const condition = (object: Release | undefined, type: string): Condition | undefined =>
  object?.status?.conditions?.find((one) => one.type === type);

async function until(name: string, what: string, holds: (status: FirmwareReleaseStatus) => boolean): Promise<Release> {
  let last: Release | undefined;
  return waitFor(
    `${name}: ${what}`,
    async () => {
      last = await get(name);
      return last?.status !== undefined && holds(last.status) ? last : undefined;
    },
    { timeoutMs: STEP_MS, describe: () => JSON.stringify(last?.status) },
  );
}

/** As its author, who is not who answers for it later. */
async function publish(object: object): Promise<void> {
  const as = ['--as', AUTHOR, '--as-group', 'system:masters'];
  const { code, stderr } = await scene.cluster.kubectl([...as, 'apply', '--server-side', '-f', '-'], JSON.stringify(object));
  expect([code, stderr.replace(/^.*serverside-applied.*$/gm, '')]).toEqual([0, '']);
}

async function waveOf(name: string, step: number): Promise<Wave> {
  return waitFor(
    `the wave ${step} of ${name}`,
    async () => {
      const all = await scene.api.list<Wave>(FIRMWARE_WAVES, { namespace: scene.site });
      return all.find(({ spec }) => spec.release.name === name && spec.step === step);
    },
    { timeoutMs: STEP_MS },
  );
}

const jobOf = (wave: Wave): Promise<Job> =>
  waitFor(
    `the Job of ${wave.metadata.name}`,
    async () => {
      const own = await scene.api.list<Job>(JOBS, {
        namespace: OPERATOR_NAMESPACE,
        labelSelector: `hedgerow.dev/wave-uid=${wave.metadata.uid}`,
      });
      return own.length === 1 ? own[0] : undefined;
    },
    { timeoutMs: STEP_MS },
  );

/** As its driver would: each device of the step at an end, and the wave done. */
async function drive(name: string, wave: Wave): Promise<number> {
  const found = await scene.api.get<Release & { spec: Parameters<typeof isInStep>[0]['spec'] }>(FIRMWARE_RELEASES, {
    name,
    namespace: scene.site,
  });
  const uid = found?.metadata.uid ?? '';
  let confirmed = 0;
  for (const one of await scene.api.list<Device>(DEVICES, { namespace: scene.site })) {
    const record = one.status?.firmware?.[name];
    if (found === undefined || !isInStep({ uid, spec: found.spec }, wave.spec, candidateOf(one), record ?? {})) continue;
    confirmed += 1;
    const ended = {
      version: '2.4.0',
      digest: `sha256:${DIGEST}`,
      securityCounter: 0,
      releaseUid: uid,
      step: wave.spec.step,
      result: 'Confirmed',
    };
    const ref = { name: one.metadata.name ?? '', namespace: scene.site };
    await scene.api.mergePatch(DEVICES, ref, { status: { firmware: { [name]: ended } } }, { subresource: 'status' });
  }
  const shards = [
    { index: 0, phase: 'Done', counts: { matched: confirmed, reached: confirmed, offered: confirmed, confirmed, unproven: confirmed } },
  ];
  const ref = { name: wave.metadata.name ?? '', namespace: scene.site };
  const as = ['--as', OPERATOR, '--as-group', 'system:masters'];
  const patch = JSON.stringify({ status: { shards } });
  const args = ['patch', 'firmwarewave', ref.name, '-n', ref.namespace, '--subresource=status', '--type=merge', '-p', patch];
  expect((await scene.cluster.kubectl([...as, ...args])).stderr).toBe('');
  return confirmed;
}

async function intervene(name: string, action: string, more: object = {}): Promise<string> {
  const intervention = {
    metadata: { name: `${name}-${action.toLowerCase()}`, namespace: scene.site },
    spec: { target: { kind: 'FirmwareRelease', name }, action, requestedBy: user, reason: 'a test', ...more },
  };
  await scene.api.create(INTERVENTIONS, intervention);
  return intervention.metadata.name;
}

const applied = (intervention: string, reason: string): Promise<unknown> =>
  waitFor(
    `${intervention} to be ${reason}`,
    async () => {
      const found = await scene.api.get<Release>(INTERVENTIONS, { name: intervention, namespace: scene.site });
      return condition(found, 'Applied')?.reason === reason ? true : undefined;
    },
    { timeoutMs: STEP_MS },
  );

const removeMallory = (): Promise<unknown> =>
  scene.cluster.kubectl(['delete', 'clusterrole,clusterrolebinding', MALLORY, '--ignore-not-found']);

async function releasesGone(): Promise<number> {
  for (const { metadata } of await scene.api.list<Release>(FIRMWARE_RELEASES, { namespace: scene.site }))
    await scene.api.delete(FIRMWARE_RELEASES, { name: metadata.name ?? '', namespace: scene.site });
  await waitFor(
    'nothing to be left of the releases',
    async () => {
      const jobs = await scene.api.list<Job>(JOBS, { namespace: OPERATOR_NAMESPACE, labelSelector: 'hedgerow.dev/wave-uid' });
      const waves = await scene.api.list(FIRMWARE_WAVES, { namespace: scene.site });
      const catalogs = await scene.api.list(CONFIG_MAPS, { namespace: OPERATOR_NAMESPACE, labelSelector: 'hedgerow.dev/catalog=true' });
      return waves.length + catalogs.length + jobs.filter((job) => job.metadata.deletionTimestamp === undefined).length === 0
        ? true
        : undefined;
    },
    { timeoutMs: STEP_MS },
  );
  return (await scene.api.list(FIRMWARE_WAVES, { namespace: scene.site })).length;
}

describe('a signed release', () => {
  it(
    'becomes a wave with a Job, waits for an approval, goes on, is paused, and is stopped by an Abort; the death of the operator changes nothing',
    async () => {
      await publish(release('app'));
      const canary = await waveOf('app', 0);
      expect(canary.spec).toMatchObject({ wave: 'canary', action: 'Install', component: 'app', shards: 1, suspend: false });
      const job = await jobOf(canary);
      expect(job.spec.template.spec.containers[0]?.args).toContain(`--wave=${scene.site}/${canary.metadata.name}`);
      const rolling = await until('app', 'it rolls out', ({ phase }) => phase === 'RollingOut');
      expect(rolling.status?.artifact?.signers).toHaveLength(2);
      const catalog = await scene.api.get<{ metadata: ObjectMeta; data: Record<string, string> }>(CONFIG_MAPS, {
        ...{ name: canary.spec.catalog, namespace: OPERATOR_NAMESPACE },
      });
      expect(JSON.parse(catalog?.data['release.json'] ?? '{}')).toMatchObject({ name: 'app', manifestDigest: canary.spec.manifestDigest });

      expect(await drive('app', canary)).toBe(3);
      const waiting = await until('app', 'it waits for an approval', ({ phase }) => phase === 'Waiting');
      expect(condition(waiting, 'Approved')).toMatchObject({ status: 'False', reason: 'ApprovalNeeded' });

      const before = [await get('app'), await waveOf('app', 0)].map((one) => one?.metadata.resourceVersion);
      await scene.system.operator().kill();
      await scene.system.startOperator();
      const { manifestDigest = '' } = waiting.status?.artifact ?? {};
      await until('app', 'it still waits', ({ phase }) => phase === 'Waiting');
      expect([await get('app'), await waveOf('app', 0)].map((one) => one?.metadata.resourceVersion)).toEqual(before);

      const old = await intervene('app', 'Approve', { approve: { wave: 'broad', digest: `sha256:${'0'.repeat(64)}`, generation: 1 } });
      await applied(old, 'ApprovalOfOther');
      expect((await get('app'))?.status?.phase).toBe('Waiting');
      await scene.api.delete(INTERVENTIONS, { name: old, namespace: scene.site });
      const approval = await intervene('app', 'Approve', { approve: { wave: 'broad', digest: manifestDigest, generation: 1 } });
      const broad = await waveOf('app', 1);
      expect(broad.spec).toMatchObject({ wave: 'broad', cohort: { rankBelow: 1_000_000 } });
      await applied(approval, 'Approved');

      const paused = await intervene('app', 'Pause');
      await applied(paused, 'Paused');
      await waitFor('the Job to be suspended', async () => ((await jobOf(broad)).spec.suspend === true ? true : undefined), {
        timeoutMs: PATIENT_MS,
      });
      await scene.api.delete(INTERVENTIONS, { name: paused, namespace: scene.site });
      await waitFor('the Job to go on', async () => ((await jobOf(broad)).spec.suspend !== true ? true : undefined), {
        timeoutMs: PATIENT_MS,
      });

      const installs = await jobOf(broad);
      await intervene('app', 'Abort');
      await until('app', 'it is stopped', ({ phase }) => phase === 'Aborting');
      const stops = await waitFor('another Job', async () => {
        const now = await jobOf(broad);
        return now.metadata.name === installs.metadata.name ? undefined : now;
      });
      expect((await waveOf('app', 1)).spec.action).toBe('Stop');
      // The canary is settled: nobody there could still take the image.
      expect((await waveOf('app', 0)).spec.action).toBe('Install');
      expect(stops.spec.suspend).toBe(false);
    },
    PATIENT_MS,
  );

  it(
    'takes the place of another one with conflict: Supersede, which has ended then and keeps what its devices have',
    async () => {
      await publish(release('gate'));
      expect(await drive('gate', await waveOf('gate', 0))).toBe(3);
      await until('gate', 'it waits for an approval', ({ phase }) => phase === 'Waiting');
      await publish(release('gate-2', { component: 'gate', conflict: 'Supersede', priority: 600 }));
      const old = await until('gate', 'another takes its place', ({ phase }) => phase === 'Superseded');
      expect(condition(old, 'Superseded')?.message).toContain(`${scene.site}/gate-2`);
      expect(old.status?.counts?.confirmed).toBe(3);
      expect((await waveOf('gate-2', 0)).spec).toMatchObject({ wave: 'canary', action: 'Install' });
      expect((await waveOf('gate', 0)).spec.action).toBe('Install');
    },
    PATIENT_MS,
  );

  it('is gone with all that was made for it when it is deleted', async () => expect(await releasesGone()).toBe(0), PATIENT_MS);
});

describe('a release, while somebody else may approve for the issuer of directive keys', () => {
  it(
    'does not begin, is suspended where it has begun, and goes on when nobody may any more',
    async () => {
      await scene.system.apply(mallory());
      await publish(release('open'));
      const stalled = await until('open', 'it is stalled', ({ conditions = [] }) => conditions.some(({ type }) => type === 'Stalled'));
      expect(condition(stalled, 'Stalled')).toMatchObject({ status: 'True', reason: 'ApproverOpen' });
      expect(condition(stalled, 'Ready')?.message).toMatch(
        /^HR-FW-211: mallory may approve requests to Issuer\/hedgerow-system\/directives/,
      );
      expect(await scene.api.list(FIRMWARE_WAVES, { namespace: scene.site })).toEqual([]);

      await removeMallory();
      const canary = await waveOf('open', 0);
      expect((await jobOf(canary)).spec.suspend).toBe(false);

      await scene.system.apply(mallory());
      await until('open', 'it is paused', ({ phase }) => phase === 'Paused');
      const suspended = async (is: boolean): Promise<true | undefined> => ((await jobOf(canary)).spec.suspend === is ? true : undefined);
      await waitFor('the Job to be suspended', () => suspended(true), { timeoutMs: STEP_MS });
      expect((await waveOf('open', 0)).spec.suspend).toBe(true);

      await removeMallory();
      await waitFor('the Job to go on', () => suspended(false), { timeoutMs: STEP_MS });
      const rolling = await until('open', 'it rolls out', ({ phase }) => phase === 'RollingOut');
      expect(condition(rolling, 'Stalled')).toBeUndefined();
      expect(await releasesGone()).toBe(0);
    },
    PATIENT_MS,
  );

  function mallory(): object[] {
    const group = 'rbac.authorization.k8s.io';
    const resourceNames = [`issuers.cert-manager.io/${OPERATOR_NAMESPACE}.directives`];
    const metadata = { name: MALLORY };
    return [
      {
        ...{ apiVersion: `${group}/v1`, kind: 'ClusterRole', metadata },
        rules: [{ apiGroups: ['cert-manager.io'], resources: ['signers'], resourceNames, verbs: ['approve'] }],
      },
      {
        ...{ apiVersion: `${group}/v1`, kind: 'ClusterRoleBinding', metadata },
        roleRef: { apiGroup: group, kind: 'ClusterRole', name: MALLORY },
        subjects: [{ apiGroup: group, kind: 'User', name: 'mallory' }],
      },
    ];
  }
});

describe("the operator's account", () => {
  it('changes and deletes no ConfigMap of its namespace but its own, though RBAC cannot tell them apart', async () => {
    const place = ['-n', OPERATOR_NAMESPACE];
    await scene.cluster.kubectl(['create', 'configmap', 'server-anchors', ...place, '--from-literal=current.pem=x']);
    const kubeconfig = await scene.cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/hedgerow` });
    const deps = { clock: systemClock, random: systemRandom, log: silentLog, metrics: noKubeMetrics };
    const api = connect(await kubeconfigConnection(kubeconfig), deps);
    const at = (name: string) => ({ name, namespace: OPERATOR_NAMESPACE });
    await expect(api.mergePatch(CONFIG_MAPS, at('server-anchors'), { data: { 'current.pem': 'y' } })).rejects.toThrow('HR-API-030');
    await expect(api.delete(CONFIG_MAPS, at('server-anchors'))).rejects.toThrow('HR-API-030');
    await expect(api.delete(CONFIG_MAPS, at('hedgerow-firmware-roots'))).rejects.toThrow('HR-API-030');
    expect(await api.delete(CONFIG_MAPS, at('hedgerow-release-none'))).toBe(false);
    await api.close();
    await scene.cluster.kubectl(['delete', 'configmap', 'server-anchors', ...place]);
  });
});

describe('a release that is not to be trusted', () => {
  it.each<[says: string, name: string, spec: () => Record<string, unknown>, condition: string, reason: string]>([
    [
      'a manifest that says something else than was signed',
      'differs',
      () => ({ version: '2.4.1' }),
      'ArtifactVerified',
      'StatementDiffers',
    ],
    [
      'too few signatures',
      'few',
      () => ({ trust: { policyRef: { name: 'firmware-root' }, envelope: signed('few', [first]) } }),
      'ArtifactVerified',
      'TooFewSignatures',
    ],
    [
      'an envelope that was tampered with',
      'tampered',
      () => {
        const envelope = JSON.parse(signed('tampered')) as { payload: string };
        const payload = Buffer.from(Buffer.from(envelope.payload, 'base64').toString().replace('2.4.0', '2.4.1')).toString('base64');
        return { trust: { policyRef: { name: 'firmware-root' }, envelope: JSON.stringify({ ...envelope, payload }) } };
      },
      'ArtifactVerified',
      'TooFewSignatures',
    ],
    [
      'a trust policy that is not there',
      'nowhere',
      () => ({ trust: { policyRef: { name: 'firmware-root-aside' }, envelope: signed('nowhere') } }),
      'TrustFresh',
      'TrustPolicyNotFound',
    ],
    [
      'one that the operator may not read',
      'unnamed',
      () => ({ trust: { policyRef: { name: 'kube-root-ca.crt' }, envelope: signed('unnamed') } }),
      'TrustFresh',
      'TrustPolicyNotFound',
    ],
  ])(
    'is stalled: %s',
    async (_, name, spec, type, reason) => {
      await publish(release(name, spec()));
      const stalled = await until(name, `it is stalled, ${reason}`, ({ conditions = [] }) =>
        conditions.some((one) => one.type === 'Stalled'),
      );
      expect(condition(stalled, type)).toMatchObject({ status: 'False', reason });
      expect(condition(stalled, 'Ready')?.message).toMatch(/^HR-FW-\d{3}/);
      expect(
        (await scene.api.list<Wave>(FIRMWARE_WAVES, { namespace: scene.site })).filter((wave) => wave.spec.release.name === name),
      ).toEqual([]);
    },
    PATIENT_MS,
  );

  it(
    'is stalled by an expired root, and by roots that were taken back after a newer one was seen',
    async () => {
      const expired = rootBy([rootKey], { before: parsedRoot(root1), expiresAt: Date.now() - DAY_MS });
      await scene.system.apply([policy('firmware-root-aside', { '1.root.json': root1, '2.root.json': expired })]);
      const aside = { trust: { policyRef: { name: 'firmware-root-aside' }, envelope: signed('expired') } };
      await publish(release('expired', aside));
      const stalled = await until('expired', 'its root has expired', ({ conditions = [] }) =>
        conditions.some((one) => one.type === 'Stalled'),
      );
      expect(condition(stalled, 'TrustFresh')).toMatchObject({ status: 'False', reason: 'RootExpired' });
      // The other policy never had the newer root: what was seen anywhere is remembered.
      await publish(release('back'));
      const back = await until('back', 'its root is older', ({ conditions = [] }) => conditions.some((one) => one.type === 'Stalled'));
      expect(condition(back, 'TrustFresh')).toMatchObject({ status: 'False', reason: 'RootRolledBack' });
    },
    PATIENT_MS,
  );
});
