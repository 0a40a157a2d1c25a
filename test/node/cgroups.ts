// A cgroup per node, made before its kubelet starts: two kubelets must not both own /kubepods.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODES } from './layout.ts';

type Hierarchy = { mount: string; version: 1 | 2; controllers: string[] };

export function makeCgroups(): void {
  const all = hierarchies();
  if (all.length === 0) throw new Error('no cgroup hierarchy is mounted under /sys/fs/cgroup: the kubelet needs one');
  for (const hierarchy of all) for (const node of NODES) make(hierarchy, node.cgroup);
}

/** Every process in a cgroup of ours: containers, whoever their parent is by now. */
export function cgroupProcesses(): number[] {
  return ours().flatMap((dir) => tree(dir).flatMap(pidsIn));
}

/** Children first; a cgroup with processes in it stays. */
export function removeCgroups(): void {
  for (const dir of ours()) {
    for (const child of tree(dir).reverse()) {
      try {
        rmdirSync(child);
      } catch {
        // Still busy, or gone by itself: cgroupLeftovers() tells.
      }
    }
  }
}

export function cgroupLeftovers(): string[] {
  return ours();
}

function make(hierarchy: Hierarchy, name: string): void {
  const dir = join(hierarchy.mount, name);
  if (hierarchy.version === 2) delegate(hierarchy.mount);
  mkdirSync(dir, { recursive: true });
  if (hierarchy.version === 2) delegate(dir);
  // A cpuset of v1 starts empty and takes no process until both are filled (kernel: admin-guide/cgroup-v1/cpusets).
  if (hierarchy.controllers.includes('cpuset') && hierarchy.version === 1) {
    for (const file of ['cpuset.cpus', 'cpuset.mems']) writeFileSync(join(dir, file), readFileSync(join(hierarchy.mount, file)));
  }
}

/** v2: children have only the controllers that their parent passes on. */
function delegate(dir: string): void {
  const controllers = readFileSync(join(dir, 'cgroup.controllers'), 'utf8').trim().split(' ');
  writeFileSync(join(dir, 'cgroup.subtree_control'), controllers.map((controller) => `+${controller}`).join(' '));
}

/** v1 where anything of it is mounted (a v2 mount beside it carries no controllers then), else v2. */
function hierarchies(): Hierarchy[] {
  const found = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .flatMap(([, mount = '', type, options = '']): Hierarchy[] => {
      if (type === 'cgroup') return [{ mount, version: 1, controllers: options.split(',') }];
      return type === 'cgroup2' ? [{ mount, version: 2, controllers: [] }] : [];
    });
  const v1 = found.filter(({ version }) => version === 1);
  return v1.length > 0 ? v1 : found;
}

function ours(): string[] {
  return hierarchies()
    .flatMap(({ mount }) => NODES.map((node) => join(mount, node.cgroup)))
    .filter((dir) => existsSync(dir));
}

function tree(dir: string): string[] {
  const children = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [dir, ...children.flatMap((entry) => tree(join(dir, entry.name)))];
}

function pidsIn(dir: string): number[] {
  try {
    return readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
