// The engine's assumptions about the API server, asked of the real one: preconditions, field ownership, events.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crdOf } from '../../operator/api/crd.ts';
import { deviceKind } from '../../operator/api/device.ts';
import { DEVICES, NETWORK_POLICIES } from '../../operator/api/resources.ts';
import { connect, type KubeClient } from '../../operator/kube/client.ts';
import { kubeconfigConnection } from '../../operator/kube/config.ts';
import { isConflict } from '../../operator/kube/errors.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { ensureApplied, isApplied } from '../../operator/runtime/apply.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { createRecorder } from '../../operator/runtime/events.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { seededRandom } from '../../operator/runtime/random.ts';
import { writeStatus } from '../../operator/runtime/status.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { runner } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';

const MANAGER = { fieldManager: 'engine-test' };

let cluster: Cluster;
let namespace: string;
let client: KubeClient & { close(): Promise<void> };

beforeAll(async () => {
  cluster = await sharedCluster();
  const run = runner(cluster);
  await run.apply([crdOf(deviceKind)]);
  await run.kubectl('wait', '--for=condition=Established', 'crd/devices.hedgerow.dev', '--timeout=60s');
  namespace = await ownNamespace(cluster, 'engine-objects');
  const deps = { clock: systemClock, random: seededRandom(1), log: silentLog, metrics: createMetrics() };
  client = connect(await kubeconfigConnection(cluster.adminKubeconfig), deps);
});
afterAll(async () => {
  await client?.close();
  await cluster?.kubectl(['delete', 'namespace', namespace, '--wait=false']);
});

type DeviceObject = KubeObject & { spec: object; status?: { observedGeneration?: number; conditions?: object[] } };
const newDevice = (name: string): Promise<DeviceObject> =>
  client.create<DeviceObject>(DEVICES, { metadata: { name, namespace }, spec: { segment: 'office' } });
const read = (name: string): Promise<DeviceObject | undefined> => client.get<DeviceObject>(DEVICES, { name, namespace });
const target = (device: DeviceObject) => ({
  ref: { name: device.metadata.name ?? '', namespace },
  uid: device.metadata.uid ?? '',
  status: device.status,
  resourceVersion: device.metadata.resourceVersion ?? '',
});
const ready = [{ type: 'Ready', status: 'True', reason: 'R', message: 'm', lastTransitionTime: '2026-01-01T00:00:00Z' }];

describe('a status', () => {
  it('is written for the object that was looked at, and not for one that was made again under its name', async () => {
    const first = await newDevice('twin');
    await client.delete(DEVICES, { name: 'twin', namespace });
    await newDevice('twin');
    const write = writeStatus(client, DEVICES, target(first), { observedGeneration: 1, conditions: ready });
    await expect(write).rejects.toSatisfy(isConflict);
    expect((await read('twin'))?.status).toBeUndefined();
  });

  it('is not written over what somebody changed meanwhile', async () => {
    const seen = await newDevice('raced');
    await client.mergePatch(DEVICES, { name: 'raced', namespace }, { spec: { lifecycle: 'Revoked' } });
    const write = writeStatus(client, DEVICES, target(seen), { observedGeneration: 1, conditions: ready });
    await expect(write).rejects.toSatisfy(isConflict);
  });

  it('knows no uid: what its precondition must not rest on', async () => {
    await newDevice('uid');
    const patch = { metadata: { uid: 'another' }, status: { observedGeneration: 1 } };
    await client.mergePatch(DEVICES, { name: 'uid', namespace }, patch, { subresource: 'status' });
    expect((await read('uid'))?.status).toEqual({ observedGeneration: 1 });
  });

  it('of an object that is gone is gone', async () => {
    const device = await newDevice('away');
    await client.delete(DEVICES, { name: 'away', namespace });
    expect(await writeStatus(client, DEVICES, target(device), { observedGeneration: 1, conditions: ready })).toBe('gone');
  });

  it('costs nothing when it stands there already, and loses what is not said any more', async () => {
    const device = await newDevice('plain');
    const status = { observedGeneration: 1, conditions: ready };
    expect(await writeStatus(client, DEVICES, target(device), { ...status, certificate: 'x' })).toBe('written');
    const written = (await read('plain')) as DeviceObject;
    expect(await writeStatus(client, DEVICES, target(written), { ...status, certificate: 'x' })).toBe('unchanged');
    expect(await writeStatus(client, DEVICES, target(written), status)).toBe('written');
    expect((await read('plain'))?.status).toEqual(status);
    // The spec is another half of the object: a status that changes is no new generation.
    expect((await read('plain'))?.metadata.generation).toBe(1);
  });
});

describe('server-side apply', () => {
  const policy = (name: string): KubeObject & { spec: Record<string, unknown> } => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace, labels: { 'app.kubernetes.io/managed-by': 'engine-test' } },
    spec: {
      podSelector: { matchLabels: { app: 'x' }, matchExpressions: [{ key: 'tier', operator: 'In', values: ['a', 'b'] }] },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [{ namespaceSelector: {} }], ports: [{ port: 8883 }, { protocol: 'UDP', port: 53 }] }],
      egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }] }, {}],
    },
  });
  const service = (): KubeObject & { spec: object } => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'svc', namespace },
    // Associative lists, with a key that the server fills in.
    spec: {
      selector: { app: 'x' },
      ports: [
        { name: 'a', port: 80 },
        { name: 'b', port: 81, protocol: 'UDP' },
      ],
    },
  });
  const SERVICES = { group: '', version: 'v1', plural: 'services', kind: 'Service', namespaced: true };
  const live = <T extends KubeObject>(type: typeof SERVICES, name: string): Promise<T | undefined> =>
    client.get<T>(type, { name, namespace });

  it.each([
    ['a NetworkPolicy', NETWORK_POLICIES, () => policy('quiet')],
    ['a Service, whose ports the server completes', SERVICES, service],
  ])('of %s that is as declared is not sent again', async (_name, type, make) => {
    const name = make().metadata.name ?? '';
    expect(await ensureApplied(client, type, make(), await live(type, name), MANAGER)).toBe('changed');
    const before = await live(type, name);
    expect(await ensureApplied(client, type, make(), before, MANAGER)).toBe('unchanged');
    expect((await live(type, name))?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
  });

  it('finds every change of what we declared, and leaves alone what others added', async () => {
    await ensureApplied(client, NETWORK_POLICIES, policy('drift'), undefined, MANAGER);
    const edit = (patch: object) => client.mergePatch(NETWORK_POLICIES, { name: 'drift', namespace }, patch, { fieldManager: 'somebody' });
    await edit({ metadata: { labels: { theirs: 'x' } } });
    expect(isApplied(policy('drift'), (await live(NETWORK_POLICIES, 'drift')) as KubeObject, MANAGER.fieldManager)).toBe(true);
    for (const patch of [
      { metadata: { labels: { 'app.kubernetes.io/managed-by': 'other' } } },
      { spec: { ingress: [{}] } },
      { spec: { policyTypes: ['Ingress'] } },
      { spec: { podSelector: { matchLabels: { app: 'y' } } } },
      { spec: { egress: null } },
    ]) {
      await edit(patch);
      expect(
        await ensureApplied(client, NETWORK_POLICIES, policy('drift'), await live(NETWORK_POLICIES, 'drift'), MANAGER),
        JSON.stringify(patch),
      ).toBe('changed');
      const after = (await live<ReturnType<typeof policy>>(NETWORK_POLICIES, 'drift')) as ReturnType<typeof policy>;
      expect(isApplied(policy('drift'), after, MANAGER.fieldManager)).toBe(true);
      expect(after.metadata.labels?.theirs).toBe('x');
    }
  });

  it('gives up what is not declared any more', async () => {
    await ensureApplied(client, NETWORK_POLICIES, policy('less'), undefined, MANAGER);
    const { egress: _egress, ...less } = policy('less').spec;
    const wanted = { ...policy('less'), spec: less };
    expect(await ensureApplied(client, NETWORK_POLICIES, wanted, await live(NETWORK_POLICIES, 'less'), MANAGER)).toBe('changed');
    expect((await live<ReturnType<typeof policy>>(NETWORK_POLICIES, 'less'))?.spec).not.toHaveProperty('egress');
    expect(await ensureApplied(client, NETWORK_POLICIES, wanted, await live(NETWORK_POLICIES, 'less'), MANAGER)).toBe('unchanged');
  });
});

describe('events', () => {
  it('are taken by events.k8s.io/v1, and kubectl shows them at their object', async () => {
    const device = await newDevice('noted');
    const recorder = createRecorder({
      client,
      controller: 'hedgerow.dev/operator',
      instance: 'engine-test',
      clock: systemClock,
      log: silentLog,
      metrics: createMetrics(),
    });
    const stop = new AbortController();
    const running = recorder.run(stop.signal);
    const regarding = { apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', name: 'noted', namespace, uid: device.metadata.uid ?? '' };
    recorder.event(regarding, { type: 'Warning', reason: 'CsrMissing', message: 'HR-ID-001: no request', action: 'Issue' });
    const seen = await waitFor('the event', async () => {
      const { stdout } = await cluster.kubectl(['events', '-n', namespace, '--for', 'device.hedgerow.dev/noted', '--no-headers']);
      return stdout.includes('CsrMissing') ? stdout : undefined;
    });
    expect(seen).toContain('HR-ID-001: no request');
    stop.abort(new Error('the test is over'));
    await running;
  });
});
