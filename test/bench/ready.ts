// How fast a fleet becomes Ready, beside the floor: rounds of both in turn, in one cluster, with keys made beforehand. Each round has a namespace, an issuer and a fleet of its own.
// The Devices exist before the starting shot in both: the floor does not need to be told, the operator is held by SIGSTOP while they are created.
// Both have served a few devices before, as they and everything around them have when they run for longer than a bench.
// The witness of both is the API server's audit log: the time runs until the answer to the last write, and every write is counted.
import { type AuditTail, tailAudit } from '../harness/audit-tail.ts';
import { waitFor } from '../harness/wait.ts';
import type { Bench, Figure } from './figure.ts';
import {
  atBroker,
  createDevices,
  type Fleet,
  fleetFor,
  floorRound,
  insistAllReady,
  measure,
  OPERATOR_USER,
  type Round,
  SEGMENT,
  startWorld,
  stopWorld,
  WARM_UP,
  type World,
} from './world.ts';

const FLEET = 500;
const ROUNDS = 2;
const ROUND_LIMIT_MS = 180_000;

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

/** Deleting its request is the last thing that is done for a Device. */
async function reaches(deletions: AuditTail, count: number): Promise<void> {
  await waitFor(`${count} requests to be made, used and deleted`, () => deletions.count() >= count || undefined, {
    timeoutMs: ROUND_LIMIT_MS,
    everyMs: 100,
    describe: () => `${deletions.count()} were deleted`,
  });
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
