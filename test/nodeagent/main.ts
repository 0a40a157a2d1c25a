// The node agent of the tests: scheduler and kubelet for the pods of one namespace, where no container can run. Only the start of the container is replaced.
// Real are the API server, its admission and the Job controller, and what a kubelet does for a pod: the Node and its Lease, a token by TokenRequest that is bound
// to the pod, ConfigMaps and Secrets at the paths that the pod names, environment, arguments, SIGTERM, the grace period and SIGKILL, exit codes. It acts with the
// rights of a node and of the scheduler, no more. Not there: an image's files, isolation (users, seccomp, read-only root, network), limits of CPU and memory,
// probes, logs by the API. Volumes are written once: a token does not outlive its hour. A pod that needs what is not there fails and says so (docs/adr/0033).
import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { pidExists } from '../controlplane/process.ts';
import { connectPlainly } from '../harness/plain-api.ts';
import { pause } from '../harness/wait.ts';
import { createAgent } from './agent.ts';
import { RENEW_EVERY_MS, registerNode, renewLease } from './node.ts';
import type { Images } from './pod.ts';

const LOOK_EVERY_MS = 150;

const { values: flags } = parseArgs({
  options: {
    'node-kubeconfig': { type: 'string' },
    'scheduler-kubeconfig': { type: 'string' },
    node: { type: 'string' },
    namespace: { type: 'string' },
    server: { type: 'string' },
    images: { type: 'string' },
    dir: { type: 'string' },
    owner: { type: 'string' },
  },
});

function flag(name: keyof typeof flags): string {
  const value = flags[name];
  if (value === undefined) throw new Error(`--${name} is missing`);
  return value;
}

const node = flag('node');
const owner = Number(flag('owner'));
const dir = flag('dir');
mkdirSync(dir, { recursive: true, mode: 0o700 });
const asNode = await connectPlainly(flag('node-kubeconfig'), 8);
const asScheduler = await connectPlainly(flag('scheduler-kubeconfig'), 2);
const agent = createAgent({
  ...{ node, namespace: flag('namespace'), dir, owner, server: new URL(flag('server')) },
  images: JSON.parse(flag('images')) as Images,
  asNode: asNode.send,
  asScheduler: asScheduler.send,
  say: (line) => console.log(`${new Date().toISOString()} ${line}`),
});

/** What it does not get done now it tries at the next look. */
async function attempt(what: string, work: () => Promise<void>): Promise<void> {
  await work().catch((error: unknown) => console.log(`${new Date().toISOString()} ${what}: ${error}`));
}

process.once('SIGTERM', () => {
  agent.killAll();
  process.exit(0);
});

await registerNode(asNode.send, node);
let renewAt = 0;
for (;;) {
  if (!pidExists(owner)) {
    agent.killAll();
    process.exit(0);
  }
  if (performance.now() >= renewAt) {
    renewAt = performance.now() + RENEW_EVERY_MS;
    await attempt('the Lease', () => renewLease(asNode.send, node));
  }
  await attempt('binding pods', agent.bind);
  await attempt('looking after pods', agent.look);
  await pause(LOOK_EVERY_MS);
}
