// The kubelet sets these for the whole machine (pkg/kubelet/cm: setupKernelTunables): saved before, put back after, also by a later run when this one was killed.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LAB_DIR } from './layout.ts';

const NAMES = [
  'kernel/panic',
  'kernel/panic_on_oops',
  'vm/overcommit_memory',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
  'vm/panic_on_oom',
];
const SAVED = join(LAB_DIR, 'sysctls.json');

export function saveSysctls(): void {
  writeFileSync(SAVED, JSON.stringify(Object.fromEntries(NAMES.filter(known).map((name) => [name, read(name)]))));
}

/** Names of those that could not be put back. */
export function restoreSysctls(): string[] {
  if (!existsSync(SAVED)) return [];
  const saved = JSON.parse(readFileSync(SAVED, 'utf8')) as Record<string, string>;
  return Object.entries(saved).flatMap(([name, value]) => {
    if (read(name) !== value) writeFileSync(file(name), value);
    return read(name) === value ? [] : [name];
  });
}

const file = (name: string): string => `/proc/sys/${name}`;
const known = (name: string): boolean => existsSync(file(name));
const read = (name: string): string => readFileSync(file(name), 'utf8').trim();
