// CPU time of processes, so that a slow run says who was slow. Linux only; elsewhere nothing is known and nothing is said.
import { readFileSync } from 'node:fs';

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that each of these processes has used so far. */
export function cpuSeconds(pids: Readonly<Record<string, number | undefined>>): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const [name, pid] of Object.entries(pids)) {
    const used = pid === undefined ? undefined : ticksOf(pid);
    if (used !== undefined) seconds[name] = used / TICKS_PER_SECOND;
  }
  return seconds;
}

/** `etcd 2.1 s, kube-apiserver 9.8 s`, the busiest first. */
export function spent(before: Record<string, number>, after: Record<string, number>): string {
  return Object.entries(after)
    .map(([name, seconds]) => ({ name, used: seconds - (before[name] ?? 0) }))
    .filter(({ used }) => used >= 0.05)
    .sort((a, b) => b.used - a.used)
    .map(({ name, used }) => `${name} ${used.toFixed(1)} s`)
    .join(', ');
}

function ticksOf(pid: number): number | undefined {
  try {
    // proc(5): the name in parentheses may hold anything, so the fields are counted from its end; utime and stime are 14 and 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return undefined;
  }
}
