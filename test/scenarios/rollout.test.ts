// A rollout from end to end: a signed release, the operator, real Jobs whose pods run `operator rollout`, the artifacts server, and reference devices with flash on disk.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { auditEvents } from '../harness/audit.ts';
import { CAMERA_CLASS, CAMERA_MODEL, type Camera, COMPONENT, makeCamera } from '../harness/firmware/cameras.ts';
import { makeImage } from '../harness/firmware/image.ts';
import { type Prepared, prepareRollouts, type Rollouts, startRollouts } from '../harness/firmware/rollouts.ts';
import type { SignedRelease } from '../harness/firmware/trust-files.ts';
import { whyNoNodeAgent } from '../harness/node-agent.ts';
import { parallel } from '../harness/parallel.ts';
import { OPERATOR_NAMESPACE, type System, startSystem } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { directoryFlash } from '../simulator/firmware/flash.ts';
import { segment } from './scene.ts';

const SITE = `rollout-${process.pid}`;
const DEVICES = 12;
const CANARY = 4;
/** A whole rollout with three kills: the Job controller alone waits 10 s before it makes another pod. */
const LONG_MS = 170_000;

type Release = {
  status?: {
    phase?: string;
    counts?: Record<string, number>;
    waves?: { name: string; phase?: string; counts?: Record<string, number> }[];
    conditions?: { type: string; status: string; message: string }[];
  };
};
type Pod = { metadata: { name: string }; status: { phase: string } };

let cluster: Cluster;
let dir: string;
let prepared: Prepared;
let system: System;
let rollouts: Rollouts;
let cameras: Camera[];

const sign = (name: string, version: string, securityCounter: number): Promise<SignedRelease> =>
  prepared.trust.sign({
    ...{ name, component: COMPONENT, version, securityCounter, image: makeImage({ version, bytes: 150_000 }) },
    ...{ classId: CAMERA_CLASS, models: [CAMERA_MODEL] },
  });

beforeAll(async () => {
  if (whyNoNodeAgent() !== undefined) return;
  cluster = await sharedCluster();
  dir = join(cluster.dir, SITE);
  mkdirSync(dir, { recursive: true });
  const { kubectl, helmTemplate, kubeconfigFor } = cluster;
  prepared = await prepareRollouts(dir, [SITE]);
  system = await startSystem({ cluster: { dir, kubectl, helmTemplate, kubeconfigFor }, ...prepared.system });
  rollouts = await startRollouts({ dir, system, prepared, kubeconfigFor, cluster });
  cameras = await enrolled(await sign('cam-1.0.0', '1.0.0', 1));
  await system.apply([rollouts.policy(SITE)]);
});
afterAll(async () => {
  await Promise.all((cameras ?? []).map((camera) => camera.stop()));
  await cluster?.kubectl(['delete', 'firmwarereleases', '--all', '-n', SITE, '--wait=true', '--timeout=30s']);
  await rollouts?.stop();
  await system?.stop();
  await cluster?.kubectl(['delete', 'namespace', SITE, '--wait=false']);
  // Other files have issuers of these names, and rights without rollouts.
  const left = ['rollout-devices', 'rollout-directives'].flatMap((name) => [`issuer/${name}`, `certificate/${name}`, `secret/${name}`]);
  await cluster?.kubectl(['delete', '-n', OPERATOR_NAMESPACE, '--ignore-not-found', ...left]);
  await cluster?.kubectl(['delete', 'clusterrole,clusterrolebinding', 'hedgerow-rollout', '--ignore-not-found']);
});

async function enrolled(factory: SignedRelease): Promise<Camera[]> {
  const deps = {
    ...{ namespace: SITE, segment: 'cameras', factory, firstRoot: prepared.trust.firstRoot() },
    ...{ directiveCaPem: rollouts.directiveCaPem, artifactsCaPem: prepared.artifacts.tls.caPem },
    address: () => ({ host: '127.0.0.1', port: system.standIn().mqttPort, caPem: system.brokerCaPem }),
    flash: (name: string) => directoryFlash(join(dir, 'flash', name)),
  };
  const wish = (at: number) => ({ name: `cam-${at}`, stage: at < CANARY ? 'canary' : 'broad', board: 'A' });
  const made = await Promise.all(Array.from({ length: DEVICES }, (_, at) => makeCamera(wish(at), at, deps)));
  await system.apply([segment('cameras', SITE), ...made.map(({ manifest }) => manifest)]);
  await system.kubectl('wait', '--for=condition=Ready', 'device', '--all', '-n', SITE, '--timeout=120s');
  const { items } = await system.get<{ items: Device[] }>('devices', '-n', SITE);
  const certificates = new Map(items.map(({ metadata, status }) => [metadata.name ?? '', status?.certificate ?? '']));
  await parallel(made, 4, (camera) => camera.start(certificates.get(camera.name) ?? ''));
  return made;
}

const get = (name: string): Promise<Release> => system.get<Release>('firmwarerelease', name, '-n', SITE);
async function until<T>(name: string, what: string, look: (release: Release) => T | undefined): Promise<T> {
  let last: Release | undefined;
  return waitFor(
    `${name} ${what}`,
    async () => {
      last = await get(name);
      return look(last);
    },
    { timeoutMs: LONG_MS, everyMs: 200, describe: () => `${JSON.stringify(last?.status)}` },
  );
}
const runningPod = (): Promise<string> =>
  waitFor(
    'a pod of a rollout to run',
    async () => {
      const { items } = await system.get<{ items: Pod[] }>(
        'pods',
        '-n',
        OPERATOR_NAMESPACE,
        '-l',
        'app.kubernetes.io/name=hedgerow-rollout',
      );
      return items.find(({ status }) => status.phase === 'Running')?.metadata.name;
    },
    { timeoutMs: 60_000, everyMs: 100 },
  );

describe.skipIf(whyNoNodeAgent() !== undefined)('a rollout', () => {
  it('reaches every device in two waves, once each, while driver, operator and broker are killed on the way', {
    timeout: LONG_MS,
  }, async () => {
    const signed = await sign('cam-1.1.0', '1.1.0', 2);
    const waves = [
      { name: 'canary', selector: { matchLabels: { stage: 'canary' } }, soak: '1s' },
      { name: 'broad', soak: '0s' },
    ];
    const { status } = JSON.parse(await system.kubectl('auth', 'whoami', '-o', 'json')) as { status: { userInfo: { username: string } } };
    const author = status.userInfo.username;
    const pace = { perMinute: 120, maxInFlight: 2 };
    await system.apply([rollouts.release(signed, { name: 'cam-1.1.0', site: SITE, author, rollout: { waves, pace } })]);
    const node = rollouts.node;
    if (node === undefined) throw new Error('there is no node');
    process.kill(await node.pidOf(await runningPod()), 'SIGKILL');
    await until('cam-1.1.0', 'to have canaries', ({ status }) => ((status?.counts?.confirmed ?? 0) >= CANARY ? true : undefined));
    await system.operator().kill();
    await system.startOperator();
    await runningPod();
    await system.standIn().kill();
    await system.standIn().restart();
    const done = await until('cam-1.1.0', 'to be Completed', (release) => (release.status?.phase === 'Completed' ? release : undefined));
    expect(done.status?.counts).toMatchObject({ matched: DEVICES, confirmed: DEVICES });
    expect(
      Object.entries(done.status?.counts ?? {}).filter(([name, n]) => /failed|rolledBack|timedOut|lost|unproven/.test(name) && n > 0),
    ).toEqual([]);
    // One restart each: nobody was updated twice, whoever drove.
    expect(cameras.map((camera) => [camera.device().booted()?.digest, camera.device().booted()?.boot])).toEqual(
      cameras.map(() => [signed.digest, 2]),
    );
    const { items } = await system.get<{ items: Device[] }>('devices', '-n', SITE);
    expect(items.map(({ status }) => status?.firmware?.[COMPONENT])).toEqual(
      items.map(() => expect.objectContaining({ version: '1.1.0', digest: signed.digest, result: 'Confirmed', proof: 'Proven' })),
    );
  });

  it('has cost each Device at most two writes', async () => {
    const writes = new Map<string, number>();
    for await (const { verb, objectRef, user } of auditEvents(cluster.auditLogFile)) {
      if (verb !== 'patch' || objectRef?.resource !== 'devices' || objectRef.namespace !== SITE) continue;
      if (user.username.endsWith(':hedgerow-rollout')) writes.set(objectRef.name ?? '', (writes.get(objectRef.name ?? '') ?? 0) + 1);
    }
    expect(writes.size).toBe(DEVICES);
    expect(Math.max(...writes.values())).toBeLessThanOrEqual(2);
  });
});
