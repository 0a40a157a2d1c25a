// One system with a site of its own, and devices that are enrolled in it: what the scenario files share. One scene a file, started in beforeAll.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Device } from '../../operator/api/device.ts';
import type { Condition, ResourceType } from '../../operator/api/meta.ts';
import { API_VERSION, DEVICES, SEGMENT_POLICIES } from '../../operator/api/resources.ts';
import { connect, type KubeClient } from '../../operator/kube/client.ts';
import { kubeconfigConnection } from '../../operator/kube/config.ts';
import type { KubeObject, ObjectRef } from '../../operator/kube/object.ts';
import { noKubeMetrics } from '../../operator/kube/ports.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { parallel } from '../harness/parallel.ts';
import { type ClusterAccess, type System, type SystemOptions, startSystem } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { type BrokerAddress, createDevice, type SimulatedDevice } from '../simulator/device.ts';

export type Scene = {
  readonly cluster: Cluster;
  readonly system: System;
  /** Namespaces with an issuer for devices; the first is `site`. */
  readonly sites: readonly string[];
  readonly site: string;
  /** Files of this scene alone: the broker's folder and the operator's log. */
  readonly dir: string;
  readonly broker: BrokerAddress;
  /** The API server as its administrator. */
  readonly api: KubeClient;
  /** Makes Devices from requests of new keys and waits until each is Ready. */
  enrol(names: readonly string[], options?: EnrolOptions): Promise<Member[]>;
  stop(): Promise<void>;
};

export type EnrolOptions = { segment?: string; namespace?: string; until?: Wanted; marker?: string };

/** A device of the fleet: its Device in the API server, and the thing itself with its key and certificate. */
export type Member = {
  readonly ref: ObjectRef & { namespace: string };
  /** `<device>.<namespace>` */
  readonly name: string;
  readonly device: SimulatedDevice;
  certificatePem: string;
  connect(): Promise<void>;
  /** One reading on its own telemetry topic. */
  tell(payload?: string): Promise<'accepted' | 'refused'>;
};

export type Wanted = { type: string; status: Condition['status']; reason?: string };

const READY: Wanted = { type: 'Ready', status: 'True' };
let made = 0;

export async function startScene(
  name: string,
  options: { siteCount?: number } & Partial<Omit<SystemOptions, 'sites' | 'cluster'>> = {},
): Promise<Scene> {
  const cluster = await sharedCluster();
  const tag = `${name}-${process.pid}-${++made}`;
  const sites = Array.from({ length: options.siteCount ?? 1 }, (_, at) => (at === 0 ? tag : `${tag}-${at + 1}`));
  const dir = join(cluster.dir, tag);
  mkdirSync(dir, { recursive: true });
  const system = await startSystem({ ...options, cluster: within(cluster, dir), sites });
  const api = connect(await kubeconfigConnection(cluster.adminKubeconfig), {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    metrics: noKubeMetrics,
  });
  const broker = { host: '127.0.0.1', port: system.standIn().mqttPort, caPem: system.brokerCaPem };
  const members: Member[] = [];
  const scene: Scene = {
    ...{ cluster, system, sites, site: tag, dir, broker, api },
    async enrol(names, enrolOptions = {}) {
      const found = await Promise.all(names.map((one) => newMember(scene, one, members.length, enrolOptions)));
      members.push(...found);
      await system.apply(found.map((member) => deviceManifest(member.device, enrolOptions.segment)));
      await parallel(found, 4, async (member) => {
        const object = await until<Device>(scene, DEVICES, member.ref, enrolOptions.until ?? READY);
        member.certificatePem = object.status?.certificate ?? '';
      });
      return found;
    },
    async stop() {
      await Promise.all(members.map(({ device }) => device.close()));
      await system.stop();
      await api.close();
      await cluster.kubectl(['delete', 'namespace', ...sites, '--wait=false', '--ignore-not-found']);
    },
  };
  return scene;
}

/** The shared cluster with a folder of its own, so that scenes do not find each other's broker. */
function within(cluster: Cluster, dir: string): ClusterAccess {
  return {
    dir,
    kubectl: (args, stdin) => cluster.kubectl(args, stdin),
    helmTemplate: (chart, values, namespace) => cluster.helmTemplate(chart, values, namespace),
    kubeconfigFor: (identity) => cluster.kubeconfigFor(identity),
  };
}

async function newMember(scene: Scene, name: string, seed: number, options: EnrolOptions): Promise<Member> {
  const namespace = options.namespace ?? scene.site;
  const segment = options.segment ?? 'office';
  const device = await createDevice({ device: name, segment, namespace }, seed, options.marker);
  const member: Member = {
    ref: { name, namespace },
    name: `${name}.${namespace}`,
    device,
    certificatePem: '',
    connect: () => device.connect(scene.broker, member.certificatePem),
    tell: (payload = '{}') => device.publish(telemetry(member), payload),
  };
  return member;
}

export const telemetry = ({ device }: Pick<Member, 'device'>): string =>
  `dt/${device.who.segment}.${device.who.namespace}/${device.name}/temperature`;

export function deviceManifest(device: Pick<SimulatedDevice, 'who' | 'key'>, segment = 'office', spec: object = {}): object {
  const { device: name, namespace } = device.who;
  return {
    apiVersion: API_VERSION,
    kind: 'Device',
    metadata: { name, namespace },
    spec: { segment, hardware: { serial: `SN-${name}` }, identity: { enrollment: 'CSR', csr: device.key.csrPem }, ...spec },
  };
}

/** A segment whose devices publish telemetry and hear commands; `spec` adds to it. */
export function segment(name: string, namespace: string, spec: object = {}): object {
  return {
    apiVersion: API_VERSION,
    kind: 'SegmentPolicy',
    metadata: { name, namespace },
    spec: {
      function: 'office-sensor',
      trust: 2,
      topics: {
        publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }],
        subscribe: [{ topic: 'cmd/{segment}/{device}/#' }],
      },
      ...spec,
    },
  };
}

type WithConditions = KubeObject & { status?: { conditions?: Condition[]; observedGeneration?: number } };

export const conditionOf = (object: WithConditions | undefined, type: string): Condition | undefined =>
  object?.status?.conditions?.find((condition) => condition.type === type);

/** Waits until the object says so about its present generation. */
export async function until<T extends WithConditions>(
  scene: Pick<Scene, 'api'>,
  type: ResourceType,
  ref: ObjectRef,
  wanted: Wanted,
  timeoutMs = 40_000,
): Promise<T> {
  let last: T | undefined;
  return waitFor(
    `${type.kind} ${ref.name} to say ${wanted.type}=${wanted.status}${wanted.reason === undefined ? '' : `/${wanted.reason}`}`,
    async () => {
      last = await scene.api.get<T>(type, ref);
      const condition = conditionOf(last, wanted.type);
      if (condition?.status !== wanted.status || (wanted.reason !== undefined && condition.reason !== wanted.reason)) return undefined;
      return last?.status?.observedGeneration === last?.metadata.generation ? last : undefined;
    },
    { timeoutMs, describe: () => JSON.stringify(last?.status?.conditions ?? 'no status') },
  );
}

export const untilDevice = (scene: Scene, ref: ObjectRef, wanted: Wanted, timeoutMs?: number): Promise<Device> =>
  until<Device>(scene, DEVICES, ref, wanted, timeoutMs);

export const untilSegment = (scene: Scene, name: string, wanted: Wanted = READY): Promise<KubeObject> =>
  until(scene, SEGMENT_POLICIES, { name, namespace: scene.site }, wanted);
