// The world around the small operator: what people do to it, what it should look like, and a wait until it does.
import { crdOf } from '../../operator/api/crd.ts';
import type { Device } from '../../operator/api/device.ts';
import { deviceKind } from '../../operator/api/device.ts';
import { type KubeConnection, kubeconfigConnection } from '../../operator/kube/config.ts';
import { seededRandom } from '../../operator/runtime/random.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { runner } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import type { ConfigMap } from './engine-operator.ts';

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
  readonly #run: ReturnType<typeof runner>;
  readonly #random: () => number;
  #counter = 0;

  private constructor(cluster: Cluster, namespace: string, seed: number) {
    this.cluster = cluster;
    this.namespace = namespace;
    this.#run = runner(cluster);
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
      { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: { name, labels: { 'engine-test': 'role' } }, rules: RULES },
      {
        apiVersion: `${rbac}/v1`,
        kind: 'RoleBinding',
        metadata: { name, namespace },
        roleRef: { apiGroup: rbac, kind: 'ClusterRole', name },
        subjects: [{ kind: 'ServiceAccount', name: ACCOUNT, namespace }],
      },
    ]);
    return new EngineWorld(cluster, namespace, seed);
  }

  /** As the operator's ServiceAccount; `server` puts something between it and the API server. */
  async connection(server?: string): Promise<KubeConnection> {
    const connection = await kubeconfigConnection(await this.cluster.kubeconfigFor({ serviceAccount: `${this.namespace}/${ACCOUNT}` }));
    return server === undefined ? connection : { ...connection, server };
  }

  async put(...names: string[]): Promise<void> {
    const objects = names.map((name) => {
      const serial = `S${++this.#counter}`;
      this.wanted.set(name, serial);
      return {
        apiVersion: 'hedgerow.dev/v1alpha1',
        kind: 'Device',
        metadata: { name, namespace: this.namespace },
        spec: { segment: 'office', hardware: { serial } },
      };
    });
    await this.#run.apply(objects);
  }

  async remove(...names: string[]): Promise<void> {
    for (const name of names) this.wanted.delete(name);
    await this.#run.kubectl('delete', 'device', ...names, '-n', this.namespace, '--wait=false');
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
    const { kubectl } = this.cluster;
    await kubectl(['patch', 'configmap', `of-${edited}`, '-n', this.namespace, '--type=merge', '-p', '{"data":{"serial":"wrong"}}']);
    await kubectl(['delete', 'configmap', `of-${deleted}`, '-n', this.namespace, '--ignore-not-found']);
  }

  expected(): Shape {
    return Object.fromEntries(
      [...this.wanted].map(([name, serial]) => [name, { derived: serial, status: `serial ${serial}`, generationSeen: true }]),
    );
  }

  async shape(): Promise<Shape> {
    const devices = await this.#run.get<{ items: Device[] }>('devices', '-n', this.namespace);
    const derived = await this.#run.get<{ items: ConfigMap[] }>('configmaps', '-n', this.namespace, '-l', 'engine-test=derived');
    const shape: Shape = {};
    for (const { metadata, status } of devices.items) {
      const ready = status?.conditions?.find((condition) => condition.type === 'Ready');
      shape[metadata.name ?? ''] = {
        derived: undefined,
        status: ready?.message,
        generationSeen: status?.observedGeneration === metadata.generation,
      };
    }
    for (const { metadata, data } of derived.items) {
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
