// How fast a fleet becomes Ready, beside the floor: rounds of both in turn, in one cluster, with keys made beforehand. Each round has a namespace, an issuer and a fleet of its own.
// The Devices exist before the starting shot in both: the floor does not need to be told, the operator is held by SIGSTOP while they are created.
// Both have served a few devices before, as they and everything around them have when they run for longer than a bench.
// The witness of both is the API server's audit log: the time runs until the answer to the last write, and every write is counted.
import { type Cluster, startCluster } from '../controlplane/cluster.ts';
import { tallyWrites } from '../harness/audit.ts';
import { type AuditTail, tailAudit } from '../harness/audit-tail.ts';
import { type FleetDevice, makeFleet } from '../harness/fleet.ts';
import { segmentManifest } from '../harness/manifests.ts';
import { parallel } from '../harness/parallel.ts';
import { connectPlainly, type PlainApi } from '../harness/plain-api.ts';
import { OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, type System, startSystem } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { cpuSeconds, spent } from './cpu.ts';
import type { Bench, Figure } from './figure.ts';
import { runFloor } from './floor.ts';

const FLEET = 500;
const WARM_UP = 100;
const ROUNDS = 2;
/** Requests in flight, the same for both (operator/kube/transport.ts has as many connections). */
const CONNECTIONS = 24;
const SEGMENT = 'sensors';
const OPERATOR_USER = `system:serviceaccount:${OPERATOR_NAMESPACE}:${OPERATOR_ACCOUNT}`;
const ROUND_LIMIT_MS = 180_000;

type Say = (line: string) => void;
type World = { cluster: Cluster; system: System; admin: PlainApi; script: PlainApi; say: Say };
type Fleet = { namespace: string; warmUp: FleetDevice[]; measured: FleetDevice[] };
type Round = { seconds: number; writes: Record<string, number> };

export const readyBench: Bench = {
  name: 'ready',
  about: `${FLEET} Devices with CSRs become Ready, beside the requests nobody can do without`,
  async *run({ n = FLEET, progress }) {
    progress(`making ${2 * ROUNDS * (WARM_UP + n)} keys`);
    const rounds: { floor: Fleet; operator: Fleet }[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      rounds.push({ floor: await fleetFor(`floor-${round}`, n), operator: await fleetFor(`ready-${round}`, n) });
    }
    const sites = rounds.flatMap(({ floor, operator }) => [floor.namespace, operator.namespace]);
    const world = await startWorld(sites, progress);
    try {
      const floor: Round[] = [];
      const operator: Round[] = [];
      for (const round of rounds) {
        floor.push(await floorRound(world, round.floor));
        operator.push(await operatorRound(world, round.operator));
      }
      yield* figures(n, floor, operator);
    } finally {
      await stopWorld(world);
    }
  },
};

async function fleetFor(namespace: string, count: number): Promise<Fleet> {
  const common = { namespace, segment: SEGMENT };
  return {
    namespace,
    warmUp: await makeFleet({ ...common, count: WARM_UP, prefix: 'warm-up' }),
    measured: await makeFleet({ ...common, count }),
  };
}

async function startWorld(sites: string[], say: Say): Promise<World> {
  const features = ['controller-manager', 'cert-manager'] as const;
  const cluster = await startCluster({ name: `bench-${process.pid}`, with: features, auditLog: true, freshData: true, say });
  // One replica: a held process cannot renew a Lease.
  const system = await startSystem({ cluster, sites, startOperator: false, operatorArgs: ['--leader-elect', 'false'], say });
  await system.apply(sites.map((site) => segmentManifest(SEGMENT, site)));
  const admin = await connectPlainly(cluster.adminKubeconfig, CONNECTIONS);
  // The floor has the operator's identity, so that the same roles and admission policies are evaluated for it.
  const identity = await cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${OPERATOR_ACCOUNT}` });
  return { cluster, system, admin, script: await connectPlainly(identity, CONNECTIONS), say };
}

async function stopWorld({ cluster, system, admin, script }: World): Promise<void> {
  await Promise.all([admin.close(), script.close()]);
  await system.stop();
  await cluster.down();
}

async function floorRound(world: World, { namespace, warmUp, measured }: Fleet): Promise<Round> {
  const run = (fleet: FleetDevice[]): Promise<void> => runFloor(world.script, fleet, { namespace, lanes: CONNECTIONS });
  await createDevices(world.admin, [...warmUp, ...measured]);
  await run(warmUp);
  const round = await measure(world, namespace, { script: process.pid }, () => run(measured));
  // The operator of the next round must not find Devices that it would have to serve.
  await world.system.kubectl('delete', 'namespace', namespace, '--wait=true', '--timeout=120s');
  return round;
}

async function operatorRound(world: World, { namespace, warmUp, measured }: Fleet): Promise<Round> {
  const operator = await world.system.startOperator();
  await world.system.kubectl('wait', '--for=condition=Ready', `segmentpolicy/${SEGMENT}`, '-n', namespace, '--timeout=60s');
  await atBroker(world.system, namespace);
  const deletions = tailAudit(world.cluster.auditLogFile, OPERATOR_USER, [
    '"verb":"delete"',
    `/namespaces/${namespace}/certificaterequests/`,
  ]);
  await createDevices(world.admin, warmUp);
  await reaches(deletions, warmUp.length);
  process.kill(operator.pid, 'SIGSTOP');
  await createDevices(world.admin, measured);
  const pids = { operator: operator.pid, broker: world.system.standIn().pid };
  const round = await measure(world, namespace, pids, async () => {
    process.kill(operator.pid, 'SIGCONT');
    await reaches(deletions, warmUp.length + measured.length);
  });
  deletions.close();
  await operator.stop();
  await insistAllReady(world.admin, namespace, warmUp.length + measured.length);
  return round;
}

/** The segment's rights stand in the broker's text before the first Device: what a site has long before its next delivery of devices. */
async function atBroker(system: System, namespace: string): Promise<void> {
  await waitFor("the segment's rights at the broker", async () => {
    const { text } = await system.standIn().request('GET', '/authorization/sources/file');
    return text.includes(namespace) || undefined;
  });
}

/** Deleting its request is the last thing that is done for a Device. */
async function reaches(deletions: AuditTail, count: number): Promise<void> {
  await waitFor(`${count} requests to be made, used and deleted`, () => deletions.count() >= count || undefined, {
    timeoutMs: ROUND_LIMIT_MS,
    everyMs: 100,
    describe: () => `${deletions.count()} were deleted`,
  });
}

async function measure(world: World, name: string, pids: Record<string, number>, run: () => Promise<void>): Promise<Round> {
  const { cluster } = world;
  const processes = { ...Object.fromEntries(cluster.components.map((component) => [component, cluster.pid(component)])), ...pids };
  const before = cpuSeconds(processes);
  const startMs = Date.now();
  await run();
  const endMs = Date.now();
  const after = cpuSeconds(processes);
  const { writes, lastMs } = await tallyWrites(cluster.auditLogFile, OPERATOR_USER, (event) => {
    const answeredMs = Date.parse(event.stageTimestamp);
    return answeredMs >= startMs && answeredMs <= endMs;
  });
  const seconds = (lastMs - startMs) / 1000;
  world.say(`${name}: ${seconds.toFixed(2)} s; CPU: ${spent(before, after)}; writes: ${JSON.stringify(writes)}`);
  return { seconds, writes };
}

async function createDevices(admin: PlainApi, fleet: readonly FleetDevice[]): Promise<void> {
  await parallel(fleet, CONNECTIONS, async ({ namespace, manifest }) => {
    await admin.send('POST', `/apis/hedgerow.dev/v1alpha1/namespaces/${namespace}/devices`, manifest);
  });
}

type DeviceList = { items: { metadata: { name: string }; status?: { conditions?: { type: string; status: string }[] } }[] };

/** A figure of Devices that are not Ready would be a lie. */
async function insistAllReady(admin: PlainApi, namespace: string, count: number): Promise<void> {
  const { items } = await admin.send<DeviceList>('GET', `/apis/hedgerow.dev/v1alpha1/namespaces/${namespace}/devices`);
  const ready = items.filter(({ status }) => status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'));
  if (ready.length !== count) throw new Error(`${ready.length} of ${count} Devices are Ready`);
}

function* figures(n: number, floor: readonly Round[], operator: readonly Round[]): Iterable<Figure> {
  const devices = n * ROUNDS;
  const seconds = (rounds: readonly Round[]): number => rounds.reduce((sum, round) => sum + round.seconds, 0);
  const writes = (rounds: readonly Round[]): number => rounds.flatMap((round) => Object.values(round.writes)).reduce((a, b) => a + b, 0);
  yield {
    figure: 'devices-per-second',
    value: devices / seconds(operator),
    unit: 'devices/s',
    n,
    reference: 'floor: the requests nobody can do without, by a plain script',
    referenceValue: devices / seconds(floor),
  };
  yield {
    figure: 'api-writes-per-device',
    value: writes(operator) / devices,
    unit: 'writes',
    n,
    reference: 'floor: the requests nobody can do without, by a plain script',
    referenceValue: writes(floor) / devices,
  };
}
