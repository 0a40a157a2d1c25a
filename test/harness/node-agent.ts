// Starts the node agent (test/nodeagent) as a process of its own, with the rights of a node and of the scheduler.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cluster } from '../controlplane/cluster.ts';
import { type Handle, isAlive, kill, lastLines, launch, stop } from '../controlplane/process.ts';
import type { Images } from '../nodeagent/pod.ts';
import { runner } from './system.ts';
import { waitFor } from './wait.ts';

export type NodeAgentOptions = {
  cluster: Pick<Cluster, 'kubectl' | 'kubeconfigFor' | 'server'>;
  /** Of its pods: state, volumes with tokens, logs. */
  dir: string;
  /** The only namespace whose pods it runs. */
  namespace: string;
  images: Images;
};

export type NodeAgent = {
  readonly node: string;
  pid(): number;
  logOf(pod: string): string;
  /** The process of a running pod. */
  pidOf(pod: string): Promise<number>;
  /** kill -9 of the agent alone: pods go on. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends the pods' processes, and takes the Node away. */
  stop(): Promise<void>;
};

const MAIN = fileURLToPath(new URL('../nodeagent/main.ts', import.meta.url));
const GRACE_MS = 5_000;

/** undefined when pods can run as processes here, else why not, in one sentence. */
export function whyNoNodeAgent(): string | undefined {
  const words = ['--mount', ...(process.getuid?.() === 0 ? [] : ['--map-root-user']), 'true'];
  if (process.platform === 'linux' && spawnSync('unshare', words, { stdio: 'ignore' }).status === 0) return undefined;
  return `a pod's process needs a mount namespace of its own, and ${process.platform === 'linux' ? 'this user may not make one' : `${process.platform} has none`}`;
}

/** Returns when the Node is Ready. */
export async function startNodeAgent(options: NodeAgentOptions): Promise<NodeAgent> {
  const { cluster, dir, namespace } = options;
  const node = `processes-${process.pid}-${namespace}`.slice(0, 63);
  const run = runner(cluster);
  const identities = {
    node: await cluster.kubeconfigFor({ user: `system:node:${node}`, groups: ['system:nodes'] }),
    scheduler: await cluster.kubeconfigFor({ user: 'system:kube-scheduler' }),
  };
  const logFile = join(dir, 'agent.log');
  let handle: Handle | undefined;
  const running = (): Handle => {
    if (handle === undefined || !isAlive(handle)) throw new Error(`the node agent does not run: ${lastLines(logFile, 5)}`);
    return handle;
  };
  const agent: NodeAgent = {
    node,
    pid: () => running().pid,
    logOf: (pod) => lastLines(join(dir, 'logs', `${pod}.log`), 200),
    pidOf: (pod) =>
      waitFor(`${pod} to run`, async () => {
        const id = await run.kubectl('get', 'pod', pod, '-n', namespace, '-o', 'jsonpath={.status.containerStatuses[0].containerID}');
        return Number(/^process:\/\/(\d+)$/.exec(id)?.[1] ?? Number.NaN) || undefined;
      }),
    kill: () => kill(running()),
    async start() {
      const words = [
        ...['--node-kubeconfig', identities.node, '--scheduler-kubeconfig', identities.scheduler, '--node', node, '--namespace', namespace],
        ...['--server', cluster.server, '--images', JSON.stringify(options.images), '--dir', dir, '--owner', String(process.pid)],
      ];
      handle = await launch({ command: [process.execPath, MAIN, ...words], logFile, dieWithParent: false });
      await waitFor(
        `node ${node} to be Ready`,
        async () => {
          running();
          return (await run.kubectl('wait', '--for=condition=Ready', `node/${node}`, '--timeout=2s')) || undefined;
        },
        { timeoutMs: 60_000, describe: () => lastLines(logFile, 5) },
      );
    },
    async stop() {
      if (handle !== undefined && isAlive(handle)) await stop(handle, GRACE_MS);
      await cluster.kubectl(['delete', 'node', node, '--ignore-not-found']);
    },
  };
  await agent.start();
  return agent;
}
