// Leaves the machine as it was, whatever state the run was in: after success, failure, Ctrl-C, and at the start of the next run after kill -9.
import { readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cgroupLeftovers, cgroupProcesses, removeCgroups } from './cgroups.ts';
import { run } from './host.ts';
import { LAB_DIR } from './layout.ts';
import { networkLeftovers, removeNetwork } from './network.ts';
import { restoreSysctls } from './sysctls.ts';

/** Ends what runs (only processes that name our folder or live in our cgroups), unmounts, deletes. Throws with a list of what is still there. */
export async function cleanUp(): Promise<void> {
  const sockets = shimSockets();
  // kubelets and containerd first: they would start again what is killed. Then containers and shims.
  await end(() => labProcesses().filter(({ command }) => !isShim(command)));
  await end(() => [...cgroupProcesses().map((pid) => ({ pid, command: '' })), ...labProcesses()]);
  // Twice: a mount may lie on another that came later.
  for (const _ of [1, 2]) for (const mount of mounts().reverse()) await run('umount', '-l', mount).catch(() => undefined);
  await removeNetwork();
  removeCgroups();
  const sysctls = restoreSysctls();
  for (const socket of sockets) rmSync(socket, { force: true });
  removeContainerLogLinks();
  removeEmptyFolders();
  if (mounts().length === 0) rmSync(LAB_DIR, { recursive: true, force: true });
  const left = [
    ...labProcesses().map(({ pid, command }) => `process ${pid} (${command.slice(0, 80)})`),
    ...mounts().map((mount) => `mount ${mount}`),
    ...networkLeftovers().map((name) => `network namespace ${name}`),
    ...cgroupLeftovers().map((dir) => `cgroup ${dir}`),
    ...sysctls.map((name) => `changed sysctl ${name}`),
  ];
  if (left.length > 0) throw new Error(`still there after cleaning up: ${left.join(', ')}`);
}

type Process = { pid: number; command: string };

/** What a node consists of; an editor or a pager that shows one of our files is left alone. */
const PROGRAMS = new Set(['cp', 'netpol', 'containerd', 'containerd-shim-runc-v2', 'runc', 'ctr', 'podtool']);

/** By program and by our folder in its arguments. */
function labProcesses(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), command: commandOf(name) }))
    .filter(({ command }) => PROGRAMS.has(basename(command.split(' ')[0] ?? '')) && command.includes(`${LAB_DIR}/`));
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

const isShim = (command: string): boolean => command.includes('containerd-shim');

/** SIGKILL until none is left, 5 s at most. */
async function end(find: () => Process[]): Promise<void> {
  for (let round = 0; round < 100; round++) {
    const running = find();
    if (running.length === 0) return;
    for (const { pid } of running) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Ended meanwhile.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Octal escapes of proc(5) do not occur: our paths have no blanks. */
function mounts(): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${LAB_DIR}/`));
}

/** containerd's shims listen in /run/containerd/s whatever the state folder is; each notes its address in its bundle. */
function shimSockets(): string[] {
  const found: string[] = [];
  const tasks = 'state/io.containerd.runtime.v2.task/k8s.io';
  for (const node of list(LAB_DIR)) {
    for (const id of list(join(LAB_DIR, node, tasks))) {
      const address = text(join(LAB_DIR, node, tasks, id, 'address')).trim();
      if (address.startsWith('unix:///run/containerd/s/')) found.push(address.slice('unix://'.length));
    }
  }
  return found;
}

/** The kubelet links every container's log there, for log collectors, whatever its own folder is. */
function removeContainerLogLinks(): void {
  const dir = '/var/log/containers';
  for (const name of list(dir)) {
    const path = join(dir, name);
    try {
      if (readlinkSync(path).startsWith(`${LAB_DIR}/`)) rmSync(path);
    } catch {
      // No link, so none of ours.
    }
  }
}

/** Made by kubelet, libcni and containerd whatever their settings say. A machine that has nodes of its own has something in them. */
function removeEmptyFolders(): void {
  for (const dir of [
    '/var/log/containers',
    '/var/lib/kubelet/device-plugins',
    '/var/lib/kubelet',
    '/var/lib/cni/results',
    '/var/lib/cni',
    '/run/containerd/s',
    '/run/containerd',
  ]) {
    try {
      rmdirSync(dir);
    } catch {
      // In use, or not there.
    }
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
