// What the steps share: the cluster, the broker, addresses of pods. Filled by the first steps; asking too early is a mistake in the test.
import type { Cluster } from '../controlplane/cluster.ts';
import type { BrokerAccess } from './operator.ts';
import type { PodName } from './pods.ts';

export type Lab = {
  cluster(): Cluster;
  setCluster(cluster: Cluster): void;
  broker(): BrokerAccess;
  setBroker(broker: BrokerAccess): void;
  /** Address of a pod, by `namespace/name`. */
  readonly ips: Map<PodName, string>;
  /** Called in reverse order by `down`. */
  onDown(end: () => Promise<void>): void;
  down(): Promise<void>;
  /** The state of the world after a failure. */
  tell(print: (line: string) => void): Promise<void>;
};

export function createLab(): Lab {
  let cluster: Cluster | undefined;
  let broker: BrokerAccess | undefined;
  const ends: (() => Promise<void>)[] = [];
  return {
    cluster: () => {
      if (cluster === undefined) throw new Error('there is no cluster yet');
      return cluster;
    },
    setCluster: (started) => {
      cluster = started;
      ends.unshift(() => started.down());
    },
    broker: () => {
      if (broker === undefined) throw new Error('there is no broker yet');
      return broker;
    },
    setBroker: (started) => {
      broker = started;
    },
    ips: new Map(),
    onDown: (end) => void ends.unshift(end),
    down: async () => {
      for (const end of ends.splice(0)) await end().catch((error: unknown) => console.error(error));
    },
    tell: async (print) => {
      if (cluster === undefined) return;
      for (const args of [
        ['get', 'nodes,pods,devices,segmentpolicies,networkpolicies', '-A', '-o', 'wide'],
        ['get', 'events', '-A', '--sort-by=.lastTimestamp'],
      ]) {
        const { stdout, stderr } = await cluster.kubectl(args);
        print(`\n$ kubectl ${args.join(' ')}\n${stdout.split('\n').slice(-60).join('\n')}${stderr}`);
      }
    },
  };
}
