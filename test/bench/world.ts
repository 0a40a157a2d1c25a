// The world of the benches `ready` and `enroll`: one cluster, the rounds of the floor in it, and how a round is timed and its writes are counted.
// The witness is the API server's audit log: the time runs until the answer to the last write, and every write is counted.
import { type Cluster, startCluster } from '../controlplane/cluster.ts';
import { tallyWrites } from '../harness/audit.ts';
import { type FleetDevice, makeFleet } from '../harness/fleet.ts';
import { segmentManifest } from '../harness/manifests.ts';
import { parallel } from '../harness/parallel.ts';
import { connectPlainly, type PlainApi } from '../harness/plain-api.ts';
import { OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, type System, startSystem } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { cpuSeconds, spent } from './cpu.ts';
import { runFloor } from './floor.ts';

/** Requests in flight, the same for all (operator/kube/transport.ts has as many connections). */
export const CONNECTIONS = 24;
export const SEGMENT = 'sensors';
export const OPERATOR_USER = `system:serviceaccount:${OPERATOR_NAMESPACE}:${OPERATOR_ACCOUNT}`;
export const WARM_UP = 100;

export type Say = (line: string) => void;
export type World = { cluster: Cluster; system: System; admin: PlainApi; script: PlainApi; say: Say };
export type Fleet = { namespace: string; warmUp: FleetDevice[]; measured: FleetDevice[] };
export type Round = { seconds: number; writes: Record<string, number> };

export async function fleetFor(namespace: string, count: number): Promise<Fleet> {
  const common = { namespace, segment: SEGMENT };
  return {
    namespace,
    warmUp: await makeFleet({ ...common, count: WARM_UP, prefix: 'warm-up' }),
    measured: await makeFleet({ ...common, count }),
  };
}

/** `operatorArgs` beside `--leader-elect false`. */
export async function startWorld(sites: string[], say: Say, operatorArgs: string[] = []): Promise<World> {
  const features = ['controller-manager', 'cert-manager'] as const;
  const cluster = await startCluster({ name: `bench-${process.pid}`, with: features, auditLog: true, freshData: true, say });
  // One replica: a held process cannot renew a Lease.
  const system = await startSystem({
    cluster,
    sites,
    startOperator: false,
    operatorArgs: ['--leader-elect', 'false', ...operatorArgs],
    say,
  });
  await system.apply(sites.map((site) => segmentManifest(SEGMENT, site)));
  const admin = await connectPlainly(cluster.adminKubeconfig, CONNECTIONS);
  // The floor has the operator's identity, so that the same roles and admission policies are evaluated for it.
  const identity = await cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${OPERATOR_ACCOUNT}` });
  return { cluster, system, admin, script: await connectPlainly(identity, CONNECTIONS), say };
}

export async function stopWorld({ cluster, system, admin, script }: World): Promise<void> {
  await Promise.all([admin.close(), script.close()]);
  await system.stop();
  await cluster.down();
}

export async function floorRound(world: World, { namespace, warmUp, measured }: Fleet): Promise<Round> {
  const run = (fleet: FleetDevice[]): Promise<void> => runFloor(world.script, fleet, { namespace, lanes: CONNECTIONS });
  await createDevices(world.admin, [...warmUp, ...measured]);
  await run(warmUp);
  const round = await measure(world, namespace, { script: process.pid }, () => run(measured));
  // The operator of the next round must not find Devices that it would have to serve.
  await world.system.kubectl('delete', 'namespace', namespace, '--wait=true', '--timeout=120s');
  return round;
}

/** The segment's rights stand in the broker's text before the first Device: what a site has long before its next delivery of devices. */
export async function atBroker(system: System, namespace: string): Promise<void> {
  await waitFor("the segment's rights at the broker", async () => {
    const { text } = await system.standIn().request('GET', '/authorization/sources/file');
    return text.includes(namespace) || undefined;
  });
}

/** `users`: whose writes count. */
export async function measure(
  world: World,
  name: string,
  pids: Record<string, number>,
  run: () => Promise<void>,
  users: readonly string[] = [OPERATOR_USER],
): Promise<Round> {
  const { cluster } = world;
  const processes = { ...Object.fromEntries(cluster.components.map((component) => [component, cluster.pid(component)])), ...pids };
  const before = cpuSeconds(processes);
  const startMs = Date.now();
  await run();
  const endMs = Date.now();
  const after = cpuSeconds(processes);
  const writes: Record<string, number> = {};
  let lastMs = startMs;
  for (const user of users) {
    const tally = await tallyWrites(cluster.auditLogFile, user, (event) => {
      const answeredMs = Date.parse(event.stageTimestamp);
      return answeredMs >= startMs && answeredMs <= endMs;
    });
    lastMs = Math.max(lastMs, tally.lastMs);
    for (const [what, count] of Object.entries(tally.writes)) writes[what] = (writes[what] ?? 0) + count;
  }
  const seconds = (lastMs - startMs) / 1000;
  world.say(`${name}: ${seconds.toFixed(2)} s; CPU: ${spent(before, after)}; writes: ${JSON.stringify(writes)}`);
  return { seconds, writes };
}

export async function createDevices(admin: PlainApi, fleet: readonly FleetDevice[]): Promise<void> {
  await parallel(fleet, CONNECTIONS, async ({ namespace, manifest }) => {
    await admin.send('POST', `/apis/hedgerow.dev/v1alpha1/namespaces/${namespace}/devices`, manifest);
  });
}

type DeviceList = { items: { metadata: { name: string }; status?: { conditions?: { type: string; status: string }[] } }[] };

/** A figure of Devices that are not Ready would be a lie. */
export async function insistAllReady(admin: PlainApi, namespace: string, count: number): Promise<void> {
  const { items } = await admin.send<DeviceList>('GET', `/apis/hedgerow.dev/v1alpha1/namespaces/${namespace}/devices`);
  const ready = items.filter(({ status }) => status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'));
  if (ready.length !== count) throw new Error(`${ready.length} of ${count} Devices are Ready`);
}
