// The smallest operator that uses every part of the engine: for each Device a ConfigMap `of-<name>` with its serial number (server-side apply), and a status that says so.
// Its end state follows from the Devices alone, so whatever was done to it on the way, the world must come out the same.
import type { Device } from '../../operator/api/device.ts';
import type { Condition } from '../../operator/api/meta.ts';
import { DEVICES } from '../../operator/api/resources.ts';
import { connect, type KubeClient } from '../../operator/kube/client.ts';
import type { KubeConnection } from '../../operator/kube/config.ts';
import { type Key, type KubeObject, keyOf, refOf } from '../../operator/kube/object.ts';
import { createReflector } from '../../operator/kube/reflector.ts';
import type { Projected } from '../../operator/kube/store.ts';
import { ensureApplied } from '../../operator/runtime/apply.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { setCondition } from '../../operator/runtime/conditions.ts';
import { createController, type ReconcileContext } from '../../operator/runtime/controller.ts';
import { createElection } from '../../operator/runtime/election.ts';
import { createExpectations } from '../../operator/runtime/expectations.ts';
import { createHealthServer } from '../../operator/runtime/health.ts';
import { createLog } from '../../operator/runtime/log.ts';
import { createManager } from '../../operator/runtime/manager.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { done, type Outcome } from '../../operator/runtime/outcome.ts';
import { seededRandom } from '../../operator/runtime/random.ts';
import { writeStatus } from '../../operator/runtime/status.ts';

export const CONFIG_MAPS = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true };
const LABELS = { 'engine-test': 'derived' };
const MANAGER = 'engine-test';

type View = Projected & { generation: number; serial: string; status: Device['status'] };
type Derived = Projected & { object: ConfigMap };
export type ConfigMap = KubeObject & { data?: Record<string, string> };

export type EngineOptions = {
  connection: KubeConnection;
  namespace: string;
  /** With one, this operator leads by the Lease `engine` of the namespace. */
  identity?: string;
  /** Called in the middle of a reconcile, after the ConfigMap and before the status. */
  midway?: (key: Key, ctx: ReconcileContext) => Promise<void>;
};

export type Engine = {
  /** Exit code of the manager. */
  ended: Promise<number>;
  /** Whether the operator sees all that it watches. */
  readonly synced: boolean;
  /** A counter of its metrics, by the beginning of the line. */
  metric(start: string): Promise<number>;
  stop(): Promise<number>;
};

export function startEngine(o: EngineOptions): Engine {
  const [clock, random, metrics, log] = [systemClock, seededRandom(11), createMetrics(), createLog({ level: 'silent' })];
  const client = connect(o.connection, { clock, random, log, metrics });
  const shared = { client, clock, random, log, metrics, namespace: o.namespace };
  const devices = createReflector<Device, View>({ ...shared, type: DEVICES, project: viewOf });
  const derived = createReflector<ConfigMap, Derived>({
    ...shared,
    type: CONFIG_MAPS,
    labelSelector: 'engine-test=derived',
    project: (object) => ({ ...identityOf(object), object }),
  });
  const expectations = createExpectations();

  async function reconcile(key: Key, ctx: ReconcileContext): Promise<Outcome> {
    const { namespace = '', name } = refOf(key);
    const device = devices.store.get(key);
    const actual = derived.store.get(`${namespace}/of-${name}`);
    if (expectations.stale(key, device)) return done;
    if (device === undefined) {
      if (actual !== undefined) await client.delete(CONFIG_MAPS, refOf(actual.key), { uid: actual.uid }, ctx.signal);
      return done;
    }
    const desired: ConfigMap = { metadata: { name: `of-${name}`, namespace, labels: LABELS }, data: { serial: device.serial } };
    await ensureApplied(client, CONFIG_MAPS, desired, actual?.object, { fieldManager: MANAGER, signal: ctx.signal, metrics });
    await o.midway?.(key, ctx);
    await summarise(client, key, device, ctx.signal);
    return done;
  }

  async function summarise(to: KubeClient, key: Key, device: View, signal: AbortSignal): Promise<void> {
    const verdict = { type: 'Ready', status: 'True' as const, reason: 'Derived', message: `serial ${device.serial}` };
    const conditions = setCondition((device.status?.conditions ?? []) as Condition[], verdict, new Date(clock.now()).toISOString());
    const target = { ref: refOf(key), uid: device.uid, status: device.status, resourceVersion: device.resourceVersion };
    await writeStatus(to, DEVICES, target, { observedGeneration: device.generation, conditions }, { expectations, signal });
  }

  const controller = createController({ name: 'engine', concurrency: 4, reconcile, clock, log, metrics });
  devices.subscribe(({ key }) => controller.queue.add(key));
  derived.subscribe(({ key }) => controller.queue.add(key.replace('/of-', '/')));
  const health = createHealthServer({ host: '127.0.0.1', port: 0, registry: metrics.registry, log });
  const election = {
    client,
    namespace: o.namespace,
    name: 'engine',
    clock,
    random,
    log,
    metrics,
    // A third of what a real process takes, so that no test waits for half a minute.
    leaseMs: 5_000,
    renewDeadlineMs: 3_000,
    retryMs: 500,
  };
  const manager = createManager({
    health,
    clock,
    log,
    ...(o.identity === undefined ? {} : { election: createElection({ ...election, identity: o.identity }) }),
  });
  manager.cache(devices);
  manager.cache(derived);
  manager.controller(controller);
  const stop = new AbortController();
  const ended = manager.run(stop.signal).finally(() => client.close());
  return {
    ended,
    get synced() {
      return devices.store.synced && derived.store.synced;
    },
    async metric(start) {
      const line = (await metrics.registry.metrics()).split('\n').find((candidate) => candidate.startsWith(`${start} `));
      return Number(line?.split(' ').at(-1) ?? 0);
    },
    async stop() {
      stop.abort(new Error('the test is over'));
      return await ended;
    },
  };
}

const identityOf = (object: KubeObject): Projected => ({
  key: keyOf(object),
  uid: object.metadata.uid ?? '',
  resourceVersion: object.metadata.resourceVersion ?? '',
});

const viewOf = (device: Device): View => ({
  ...identityOf(device),
  generation: device.metadata.generation ?? 0,
  serial: device.spec.hardware?.serial ?? 'none',
  status: device.status,
});
