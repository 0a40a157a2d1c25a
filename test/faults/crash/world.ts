// One system on a cluster of its own, whose operator, API server and broker may be killed: whoever dies is started again at once, as a kubelet would.
import { type Cluster, startCluster } from '../../controlplane/cluster.ts';
import { connectPlainly, type PlainApi } from '../../harness/plain-api.ts';
import { type System, startSystem } from '../../harness/system.ts';
import { pause, waitFor } from '../../harness/wait.ts';
import type { BrokerAddress } from '../../simulator/device.ts';
import type { Victim } from './schedule.ts';

export type CrashWorld = {
  readonly cluster: Cluster;
  readonly system: System;
  readonly site: string;
  /** The administrator; requests fail while the API server is down. */
  readonly admin: PlainApi;
  readonly broker: BrokerAddress;
  /** SIGKILL to all of them at the same time; resolves when all are up again. */
  kill(victims: readonly Victim[]): Promise<void>;
  stop(): Promise<void>;
};

const SITE = 'site';

export async function startCrashWorld(options: { name: string; operatorArgs?: string[] }): Promise<CrashWorld> {
  const cluster = await startCluster({
    name: `${options.name}-${process.pid}`,
    with: ['controller-manager', 'cert-manager'],
    auditLog: true,
    freshData: true,
  });
  try {
    const system = await startSystem({
      cluster,
      sites: [SITE],
      startOperator: false,
      ...(options.operatorArgs === undefined ? {} : { operatorArgs: options.operatorArgs }),
    });
    const supervised = supervise(system);
    await supervised.running();
    return await assemble(cluster, system, supervised);
  } catch (error) {
    await cluster.down();
    throw error;
  }
}

async function assemble(cluster: Cluster, system: System, supervised: Supervised): Promise<CrashWorld> {
  const admin = await connectPlainly(cluster.adminKubeconfig, 8);
  const killers: Record<Victim, () => Promise<void>> = {
    operator: () => supervised.kill(),
    'kube-apiserver': () => cluster.kill('kube-apiserver'),
    broker: () => system.standIn().kill(),
  };
  const healers: Record<Victim, () => Promise<unknown>> = {
    operator: () => supervised.running(),
    'kube-apiserver': () => cluster.start('kube-apiserver'),
    broker: () => system.standIn().restart(),
  };
  return {
    cluster,
    system,
    site: SITE,
    admin,
    broker: { host: '127.0.0.1', port: system.standIn().mqttPort, caPem: system.brokerCaPem },
    async kill(victims) {
      await Promise.all(victims.map((victim) => killers[victim]()));
      await Promise.all(victims.map((victim) => healers[victim]()));
    },
    async stop() {
      await supervised.stop();
      await Promise.all([admin.close(), system.stop()]);
      await cluster.down();
    },
  };
}

type Supervised = {
  /** Resolves when an operator runs and is ready. */
  running(): Promise<unknown>;
  kill(): Promise<void>;
  stop(): Promise<void>;
};

/** Starts the operator whenever there is none, also when it ends by itself (a lost Lease). */
function supervise(system: System): Supervised {
  let up = false;
  let stopping = false;
  let trouble: unknown;
  const life = (async () => {
    while (!stopping) {
      try {
        const operator = await system.startOperator();
        up = true;
        await operator.exited;
      } catch (error) {
        trouble = error;
        await pause(200);
      }
      up = false;
    }
  })();
  const running = () =>
    waitFor('an operator that is ready', () => up || undefined, { timeoutMs: 120_000, everyMs: 20, describe: () => String(trouble) });
  return {
    running,
    async kill() {
      await running();
      up = false;
      await system.operator().kill();
    },
    async stop() {
      stopping = true;
      if (up) await system.operator().stop();
      await life;
    },
  };
}
