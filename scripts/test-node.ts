// `npm run test:node`: two real nodes on this machine, the operator as a pod, NetworkPolicies enforced between pods. Ends with `N passed, N failed`.
// Everything runs in network namespaces and one folder; the machine is left as it was, also after a failure or Ctrl-C.
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { attachCluster } from '../test/controlplane/cluster.ts';
import { withLock } from '../test/controlplane/lock.ts';
import { program } from '../test/controlplane/programs.ts';
import { makeCgroups } from '../test/node/cgroups.ts';
import { cleanUp } from '../test/node/cleanup.ts';
import { dyingWithParent, inside } from '../test/node/host.ts';
import { IMAGES } from '../test/node/images.ts';
import { CENTRE, CLUSTER_NAME, LAB_DIR, PODTOOL, RESULT_FILE } from '../test/node/layout.ts';
import { makeNetwork } from '../test/node/network.ts';
import type { Counts } from '../test/node/runner.ts';
import { saveSysctls } from '../test/node/sysctls.ts';
import { whyNot } from '../test/node/whether.ts';
import { ensureDebianPackages } from './bootstrap/debian.ts';
import { buildImage } from './image/image.ts';
import { buildPodtoolImage } from './image/podtool.ts';

const MAIN = fileURLToPath(new URL('../test/node/main.ts', import.meta.url));
const PACKAGES = [
  { package: 'containerd', command: 'containerd' },
  { package: 'runc', command: 'runc' },
  { package: 'containernetworking-plugins', command: '/usr/lib/cni/bridge' },
  { package: 'iptables', command: 'iptables' },
  { package: 'ipset', command: 'ipset' },
  { package: 'conntrack', command: 'conntrack' },
  { package: 'iproute2', command: 'ip' },
  { package: 'procps', command: 'sysctl' },
];

const say = (line: string): void => console.error(line);

const reason = whyNot();
if (reason === undefined) {
  // Names and addresses are fixed, so two runs at a time would destroy each other.
  const lock = { waiting: () => say('another node test is running on this machine; waiting for it') };
  process.exitCode = await withLock('/run/hedgerow-node-test.lock', lock, runAll);
} else {
  console.log(`skipped: ${reason}`);
  console.log('0 passed, 0 failed, 1 skipped');
}

async function runAll(): Promise<number> {
  const startedAt = performance.now();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  const counts = await steps([
    {
      failure: 'preparing and running the nodes',
      run: async () => {
        await prepare();
        return stop.signal.aborted ? { passed: 0, failed: 1 } : runInside(stop.signal);
      },
    },
    {
      failure: 'nothing is left on the machine',
      run: async () => {
        await cleanAll();
        console.log('ok      nothing is left on the machine: processes, mounts, network namespaces, cgroups, sysctls');
        return { passed: 1, failed: 0 };
      },
    },
  ]);
  console.log(`\nnode test: ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  return counts.failed === 0 ? 0 : 1;
}

/** Every part is tried, whatever became of the one before. */
async function steps(parts: readonly { failure: string; run(): Promise<Counts> }[]): Promise<Counts> {
  const total: Counts = { passed: 0, failed: 0 };
  for (const { failure, run } of parts) {
    try {
      const { passed, failed } = await run();
      total.passed += passed;
      total.failed += failed;
    } catch (error) {
      total.failed += 1;
      console.log(`FAILED  ${failure}\n        ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return total;
}

async function prepare(): Promise<void> {
  await ensureDebianPackages(PACKAGES, say);
  for (const name of ['cp', 'addons', 'helm', 'netpol'] as const) await program(name, say);
  // What an earlier run left that was killed.
  await cleanAll();
  mkdirSync(LAB_DIR, { recursive: true, mode: 0o755 });
  say('building the image');
  await buildImage(IMAGES.hedgerow);
  const podtool = await program('podtool', say);
  copyFileSync(podtool.bin, PODTOOL);
  await buildPodtoolImage({ ...IMAGES.podtool, program: PODTOOL });
  saveSysctls();
  await makeNetwork();
  makeCgroups();
}

/** The tests themselves, as a process inside the centre's network namespace: so the control plane, the broker and the test see the pods, and the host's network none of it. */
async function runInside(stop: AbortSignal): Promise<Counts> {
  const [first = '', ...rest] = [...inside(CENTRE), ...dyingWithParent(), process.execPath, MAIN];
  const child = spawn(first, rest, { stdio: 'inherit' });
  // It ends its own parts in order; whatever it leaves is removed afterwards.
  stop.addEventListener('abort', () => child.kill('SIGTERM'));
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => resolve());
  });
  if (!existsSync(RESULT_FILE)) throw new Error('the test ended without a result');
  return JSON.parse(readFileSync(RESULT_FILE, 'utf8')) as Counts;
}

async function cleanAll(): Promise<void> {
  await (await attachCluster(CLUSTER_NAME))?.down();
  await cleanUp();
}
