// Whether this machine can carry real nodes at all.
import { spawnSync } from 'node:child_process';

/** undefined when it can, else the reason in one sentence. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return `real nodes need Linux; this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'real nodes need root (network namespaces, mounts, cgroups): run it with sudo';
  // A container's root mostly may not.
  const { status } = spawnSync('unshare', ['--mount', '--net', 'true'], { stdio: 'ignore' });
  return status === 0
    ? undefined
    : 'real nodes need namespaces of their own, and this root may not make any (a container without privileges?)';
}
