// The segments and interventions rooms of the operator against the shared cluster, under an identity that has the rights of these rooms and no more.

import { crdOf } from '../../operator/api/crd.ts';
import { type Device, deviceKind } from '../../operator/api/device.ts';
import { KINDS } from '../../operator/api/kinds.ts';
import { DEVICES } from '../../operator/api/resources.ts';
import type { SegmentPolicy } from '../../operator/api/segment-policy.ts';
import { createInterventions, type Interventions } from '../../operator/interventions/interventions.ts';
import { connect, type KubeClient } from '../../operator/kube/client.ts';
import { kubeconfigConnection } from '../../operator/kube/config.ts';
import { type Key, keyOf } from '../../operator/kube/object.ts';
import { createReflector } from '../../operator/kube/reflector.ts';
import type { Projected } from '../../operator/kube/store.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import type { EventNote } from '../../operator/runtime/events.ts';
import { createLog } from '../../operator/runtime/log.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { createSegments, type Segments } from '../../operator/segments/segments.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { runner } from '../harness/system.ts';

export const ACCOUNT = 'segments-room';
const GROUP = 'hedgerow.dev';

/** What the two rooms may do: the chart's role must hold at least this. */
export const RULES = [
  { apiGroups: [GROUP], resources: ['devices', 'segmentpolicies', 'interventions'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: [GROUP], resources: ['segmentpolicies/status', 'interventions/status'], verbs: ['patch'] },
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
  // Where the administrator says so: clusterNetworkPolicy.enabled of the chart.
  { apiGroups: ['policy.networking.k8s.io'], resources: ['clusternetworkpolicies'], verbs: ['create', 'get', 'patch', 'delete'] },
  { apiGroups: [''], resources: ['namespaces', 'pods'], verbs: ['list', 'watch'] },
  { apiGroups: [''], resources: ['configmaps'], resourceNames: ['hedgerow-gateway'], verbs: ['list', 'watch', 'patch'] },
];

export type DeviceView = Projected & { namespace: string; name: string; segment: string; status: Device['status'] };

export type Rooms = {
  client: KubeClient;
  segments: Segments;
  interventions: Interventions;
  /** Devices in quarantine, by namespace; changed in place and followed by `segments.shutChanged`. */
  shut: Map<string, string[]>;
  /** Events that were recorded, oldest first. */
  events: (EventNote & { name: string })[];
  /** Keys that were reported as changed. */
  changedSegments: Key[];
  changedDevices: Key[];
  stop(): Promise<void>;
};

export async function installKinds(cluster: Cluster): Promise<void> {
  const run = runner(cluster);
  await run.apply(KINDS.map(crdOf));
  await run.kubectl(
    'wait',
    '--for=condition=Established',
    `crd/${deviceKind.resource.plural}.${GROUP}`,
    `crd/segmentpolicies.${GROUP}`,
    `crd/interventions.${GROUP}`,
    '--timeout=60s',
  );
  const metadata = { name: ACCOUNT };
  const rbac = 'rbac.authorization.k8s.io';
  await run.apply([
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { ...metadata, namespace: 'default' } },
    { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata, rules: RULES },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: ACCOUNT },
      subjects: [{ kind: 'ServiceAccount', name: ACCOUNT, namespace: 'default' }],
    },
  ]);
}

/** Starts both rooms and returns when their caches are filled and their controllers run. */
export async function startRooms(cluster: Cluster): Promise<Rooms> {
  const [clock, random, metrics] = [systemClock, systemRandom, createMetrics()];
  const log = createLog({ level: 'warn' });
  const connection = await kubeconfigConnection(await cluster.kubeconfigFor({ serviceAccount: `default/${ACCOUNT}` }));
  const client = connect(connection, { clock, random, log, metrics });
  const shared = { client, clock, random, log, metrics };
  const events: Rooms['events'] = [];
  const recorder = { event: (about: { name: string }, note: EventNote) => void events.push({ ...note, name: about.name }) };
  const devices = createReflector<Device, DeviceView>({ ...shared, type: DEVICES, project: viewOf });
  const shut = new Map<string, string[]>();
  const broker = { port: 8883, peers: [{ namespace: 'emqx' }] };
  const segments = createSegments({ ...shared, recorder, devices, shut: (namespace) => shut.get(namespace) ?? [], broker });
  const interventions = createInterventions({
    ...shared,
    recorder,
    devices,
    releases: { store: { synced: true, get: () => undefined }, subscribe: () => undefined },
  });
  const [changedSegments, changedDevices]: Key[][] = [[], []];
  segments.onChange((keys) => void changedSegments?.push(...keys));
  interventions.onChange((key) => void changedDevices?.push(key));

  const stop = new AbortController();
  const reflectors = [devices, ...segments.reflectors, ...interventions.reflectors];
  const running = reflectors.map((reflector) => reflector.run(stop.signal));
  await Promise.all(reflectors.map((reflector) => reflector.whenSynced(stop.signal)));
  running.push(...[...segments.controllers, ...interventions.controllers].map((controller) => controller.run(stop.signal)));
  return {
    client,
    segments,
    interventions,
    shut,
    events,
    changedSegments: changedSegments ?? [],
    changedDevices: changedDevices ?? [],
    async stop() {
      stop.abort(new Error('the test is over'));
      await Promise.allSettled(running);
      await client.close();
    },
  };
}

const viewOf = (device: Device): DeviceView => ({
  key: keyOf(device),
  uid: device.metadata.uid ?? '',
  resourceVersion: device.metadata.resourceVersion ?? '',
  namespace: device.metadata.namespace ?? '',
  name: device.metadata.name ?? '',
  segment: device.spec.segment,
  status: device.status,
});

export function segmentPolicy(name: string, namespace: string, spec: object): object {
  return { apiVersion: `${GROUP}/v1alpha1`, kind: 'SegmentPolicy', metadata: { name, namespace }, spec };
}

export const conditionOf = (policy: Pick<SegmentPolicy, 'status'>, type: string) =>
  policy.status?.conditions?.find((condition) => condition.type === type);
