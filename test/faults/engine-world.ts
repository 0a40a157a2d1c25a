// The world around the small operator: what people do to it, what it should look like, and a wait until it does.
import { crdOf } from '../../operator/api/crd.ts';
import { type Device, deviceKind } from '../../operator/api/device.ts';
import { DEVICES } from '../../operator/api/resources.ts';
import { connect, type KubeClient } from '../../operator/kube/client.ts';
import { type KubeConnection, kubeconfigConnection } from '../../operator/kube/config.ts';
import { isNotFound } from '../../operator/kube/errors.ts';
import { noKubeMetrics } from '../../operator/kube/ports.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { seededRandom, systemRandom } from '../../operator/runtime/random.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { runner } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { CONFIG_MAPS, type ConfigMap } from './engine-operator.ts';

const ACCOUNT = 'engine';

/** Everything the small operator does, and no more. */
const RULES = [
  { apiGroups: ['hedgerow.dev'], resources: ['devices'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['hedgerow.dev'], resources: ['devices/status'], verbs: ['patch'] },
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
];

/** For each Device: the serial in its ConfigMap, and the one in its status. */
type Shape = Record<string, { derived: string | undefined; status: string | undefined; generationSeen: boolean }>;

export class EngineWorld {
  readonly cluster: Cluster;
  readonly namespace: string;
  /** Serial numbers by name: what people want. */
  readonly wanted = new Map<string, string>();
  /** The administrator, straight to the API server. */
  readonly #admin: KubeClient & { close(): Promise<void> };
  readonly #random: () => number;
  #counter = 0;

  private constructor(cluster: Cluster, namespace: string, seed: number, admin: KubeClient & { close(): Promise<void> }) {
    this.cluster = cluster;
    this.namespace = namespace;
    this.#admin = admin;
    this.#random = seededRandom(seed);
  }

  static async create(cluster: Cluster, namespace: string, seed: number): Promise<EngineWorld> {
    const run = runner(cluster);
    const rbac = 'rbac.authorization.k8s.io';
    const name = `${ACCOUNT}-${namespace}`;
    await run.apply([crdOf(deviceKind)]);
    await run.kubectl('wait', '--for=condition=Established', 'crd/devices.hedgerow.dev', '--timeout=60s');
    await run.apply([
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: ACCOUNT, namespace } },
      { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: { name }, rules: RULES },
      {
        apiVersion: `${rbac}/v1`,
        kind: 'RoleBinding',
        metadata: { name, namespace },
        roleRef: { apiGroup: rbac, kind: 'ClusterRole', name },
        subjects: [{ kind: 'ServiceAccount', name: ACCOUNT, namespace }],
      },
    ]);
    const deps = { clock: systemClock, random: systemRandom, log: silentLog, metrics: noKubeMetrics };
    return new EngineWorld(cluster, namespace, seed, connect(await kubeconfigConnection(cluster.adminKubeconfig), deps));
  }

  async end(): Promise<void> {
    await this.#admin.close();
    await this.cluster.kubectl(['delete', 'clusterrole', `${ACCOUNT}-${this.namespace}`, '--ignore-not-found']);
    await this.cluster.kubectl(['delete', 'namespace', this.namespace, '--wait=false']);
  }

  /** As the operator's ServiceAccount; `server` puts something between it and the API server. */
  async connection(server?: string): Promise<KubeConnection> {
    const connection = await kubeconfigConnection(await this.cluster.kubeconfigFor({ serviceAccount: `${this.namespace}/${ACCOUNT}` }));
    return server === undefined ? connection : { ...connection, server };
  }

  async put(...names: string[]): Promise<void> {
    for (const name of names) {
      const serial = `S${++this.#counter}`;
      this.wanted.set(name, serial);
      const device = { metadata: { name, namespace: this.namespace }, spec: { segment: 'office', hardware: { serial } } };
      await this.#admin.apply(DEVICES, device, { fieldManager: 'somebody' });
    }
  }

  async remove(...names: string[]): Promise<void> {
    for (const name of names) {
      this.wanted.delete(name);
      await this.#admin.delete(DEVICES, { name, namespace: this.namespace });
    }
  }

  /** Some Devices change, one goes, one comes, one is made again under its name, and somebody spoils two ConfigMaps. */
  async stir(): Promise<void> {
    const names = [...this.wanted.keys()];
    const some = (): string => names[Math.floor(this.#random() * names.length)] ?? '';
    const [changed, gone, again] = [new Set([some(), some(), some()]), some(), some()];
    await this.put(...changed);
    await this.remove(...new Set([gone, again]));
    await this.put(again, `new-${this.#counter}`);
    await this.spoil(some(), some());
  }

  /** Somebody edits one derived ConfigMap and deletes another. */
  async spoil(edited: string, deleted: string): Promise<void> {
    const ref = (name: string) => ({ name: `of-${name}`, namespace: this.namespace });
    await this.#admin.mergePatch(CONFIG_MAPS, ref(edited), { data: { serial: 'wrong' } }).catch(unlessMissing);
    await this.#admin.delete(CONFIG_MAPS, ref(deleted));
  }

  expected(): Shape {
    return Object.fromEntries(
      [...this.wanted].map(([name, serial]) => [name, { derived: serial, status: `serial ${serial}`, generationSeen: true }]),
    );
  }

  async shape(): Promise<Shape> {
    const { namespace } = this;
    const devices = await this.#admin.list<Device>(DEVICES, { namespace });
    const derived = await this.#admin.list<ConfigMap>(CONFIG_MAPS, { namespace, labelSelector: 'engine-test=derived' });
    const shape: Shape = {};
    for (const { metadata, status } of devices) {
      const ready = status?.conditions?.find((condition) => condition.type === 'Ready');
      shape[metadata.name ?? ''] = {
        derived: undefined,
        status: ready?.message,
        generationSeen: status?.observedGeneration === metadata.generation,
      };
    }
    for (const { metadata, data } of derived) {
      const name = (metadata.name ?? '').replace('of-', '');
      shape[name] = { ...(shape[name] ?? { status: 'no Device', generationSeen: false }), derived: data?.serial };
    }
    return shape;
  }

  /** Until the world is as it should be. */
  async converged(): Promise<void> {
    let last: Shape = {};
    const off = (): string[] => {
      const wanted = this.expected();
      return [...new Set([...Object.keys(last), ...Object.keys(wanted)])].filter(
        (name) => JSON.stringify(last[name]) !== JSON.stringify(wanted[name]),
      );
    };
    await waitFor(
      'the world to be as it should be',
      async () => {
        last = await this.shape();
        return off().length === 0 ? true : undefined;
      },
      {
        timeoutMs: 120_000,
        everyMs: 250,
        describe: () =>
          `not yet: ${off()
            .map((name) => `${name} ${JSON.stringify(last[name])}`)
            .join('; ')}`,
      },
    );
  }
}

/** It was deleted, or not made yet: there is nothing to spoil. */
function unlessMissing(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
