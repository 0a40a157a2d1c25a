// How fast devices without a manifest become Ready: each shows its factory certificate over TLS of its own, is registered just in time, and gets its certificate.
// Beside it the floor of `ready`, measured in the same run: the requests nobody can do without for a Device that is there. Rounds of both in turn; keys, factory
// certificates and requests are made before. The devices are a process of their own, as the EST server is.
import { type ChildProcess, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createMaker, type Maker } from '../../operator/identity/testing/maker.ts';
import { EST_ACCOUNT, EST_ARGS, type EstSystem, prepareEst } from '../harness/est-system.ts';
import { type BoxedDevice, letIn, makeFactoryFleet } from '../harness/factory-fleet.ts';
import { OPERATOR_NAMESPACE } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import type { Bench, Figure } from './figure.ts';
import {
  atBroker,
  CONNECTIONS,
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

const FLEET = 1_000;
const ROUNDS = 2;
const ROUND_LIMIT_MS = 300_000;
const EST_USER = `system:serviceaccount:${OPERATOR_NAMESPACE}:${EST_ACCOUNT}`;
const CLIENT = fileURLToPath(new URL('enrol-client.ts', import.meta.url));

type Boxed = { namespace: string; fleet: BoxedDevice[] };

export const enrollBench: Bench = {
  name: 'enroll',
  about: `${FLEET} devices without a manifest enrol by EST just in time and become Ready, beside the floor of \`ready\``,
  async *run({ n = FLEET, rounds: count = ROUNDS, progress }) {
    progress(`making ${2 * count * (WARM_UP + n)} keys and ${count * (WARM_UP + n)} factory certificates`);
    const maker = await createMaker();
    const rounds: { floor: Fleet; boxed: Boxed }[] = [];
    for (let round = 1; round <= count; round += 1) {
      const namespace = `enroll-${round}`;
      const fleet = await makeFactoryFleet({ maker, namespace, segment: SEGMENT, count: WARM_UP + n });
      rounds.push({ floor: await fleetFor(`floor-${round}`, n), boxed: { namespace, fleet } });
    }
    const sites = rounds.flatMap(({ floor, boxed }) => [floor.namespace, boxed.namespace]);
    const world = await startWorld(sites, progress, EST_ARGS);
    const { cluster, system } = world;
    const est = await prepareEst({ cluster, system, sites, dir: cluster.dir });
    try {
      const floor: Round[] = [];
      const enrolled: Round[] = [];
      for (const round of rounds) {
        floor.push(await floorRound(world, round.floor));
        enrolled.push(await enrolRound(world, est, maker, round.boxed));
      }
      yield* figures(n, floor, enrolled);
    } finally {
      await est.stop();
      await stopWorld(world);
    }
  },
};

async function enrolRound(world: World, est: EstSystem, maker: Maker, { namespace, fleet }: Boxed): Promise<Round> {
  const { cluster, system } = world;
  const serials = fleet.map(({ serial }) => serial);
  await system.apply(letIn({ maker, namespace, segment: SEGMENT, serials, maximum: fleet.length }));
  const operator = await system.startOperator();
  await system.kubectl('wait', '--for=condition=Ready', `segmentpolicy/${SEGMENT}`, '-n', namespace, '--timeout=60s');
  await atBroker(system, namespace);
  const server = await est.start();
  const fleetFile = join(cluster.dir, `${namespace}.json`);
  writeFileSync(fleetFile, JSON.stringify(fleet), { mode: 0o600 });
  const devices = await startDevices({ fleetFile, server: { port: server.port, caPem: server.caPem }, lanes: CONNECTIONS });
  const ready = watchReady(world, namespace);
  try {
    await devices.enrol(0, WARM_UP);
    await ready.reaches(WARM_UP);
    const pids = { operator: operator.pid, est: server.pid, devices: devices.pid, broker: system.standIn().pid };
    const run = async (): Promise<void> => {
      await devices.enrol(WARM_UP, fleet.length);
      await ready.reaches(fleet.length);
    };
    return await measure(world, namespace, pids, run, [OPERATOR_USER, EST_USER]);
  } finally {
    ready.stop();
    devices.stop();
    await server.stop();
    await operator.stop();
    await insistAllReady(world.admin, namespace, fleet.length);
  }
}

type Devices = { pid: number; enrol(from: number, to: number): Promise<void>; stop(): void };

async function startDevices(order: object): Promise<Devices> {
  const child = fork(CLIENT, [JSON.stringify(order)]);
  await messageOf(child);
  return {
    pid: child.pid ?? -1,
    async enrol(from, to) {
      child.send({ from, to });
      const enrolled = await messageOf(child);
      if (enrolled !== to - from) throw new Error(`${enrolled} of ${to - from} devices have a certificate`);
    },
    stop: () => void child.disconnect(),
  };
}

function messageOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null): void => reject(new Error(`the process of the devices ended with ${code}`));
    child.once('exit', gone);
    child.once('message', (message) => {
      child.off('exit', gone);
      resolve(message);
    });
  });
}

type Seen = {
  type: string;
  object: { metadata: { name: string; resourceVersion: string }; status?: { conditions?: { type: string; status: string }[] } };
};

/** How many Devices were seen Ready: one watch, which costs the API server less than lists would. */
function watchReady({ admin }: World, namespace: string) {
  const seen = new Set<string>();
  const stop = new AbortController();
  let problem: unknown;
  let resourceVersion = '';
  const follow = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const path = `/apis/hedgerow.dev/v1alpha1/namespaces/${namespace}/devices?watch=true&resourceVersion=${resourceVersion}`;
      for await (const line of admin.watch(path, stop.signal)) {
        const { type, object } = JSON.parse(line) as Seen;
        if (type === 'ERROR') throw new Error(`the watch of Devices ended: ${line}`);
        resourceVersion = object.metadata.resourceVersion;
        if (object.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True'))
          seen.add(object.metadata.name);
      }
    }
  };
  follow().catch((error: unknown) => {
    problem = error;
  });
  return {
    stop: () => stop.abort(),
    reaches: async (count: number): Promise<void> => {
      const enough = (): true | undefined => {
        if (problem !== undefined) throw problem;
        return seen.size >= count || undefined;
      };
      await waitFor(`${count} Devices to be Ready`, enough, {
        timeoutMs: ROUND_LIMIT_MS,
        everyMs: 100,
        describe: () => `${seen.size} are`,
      });
    },
  };
}

function* figures(n: number, floor: readonly Round[], enrolled: readonly Round[]): Iterable<Figure> {
  const devices = n * enrolled.length;
  const seconds = (rounds: readonly Round[]): number => rounds.reduce((sum, round) => sum + round.seconds, 0);
  const writes = (rounds: readonly Round[]): number => rounds.flatMap((round) => Object.values(round.writes)).reduce((a, b) => a + b, 0);
  const reference = 'floor: the requests nobody can do without for a Device that is there, by a plain script';
  yield {
    figure: 'devices-per-second',
    value: devices / seconds(enrolled),
    unit: 'devices/s',
    n,
    reference,
    referenceValue: devices / seconds(floor),
  };
  yield {
    figure: 'api-writes-per-device',
    value: writes(enrolled) / devices,
    unit: 'writes',
    n,
    reference,
    referenceValue: writes(floor) / devices,
  };
}
