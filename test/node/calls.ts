// Calls from the network namespace of a pod, by the pods' own program. Started beside the pod's process and not through the API server: a hundred times a second instead of
// ten, and what the node does with a packet is the same.
import { readFileSync, readlinkSync } from 'node:fs';
import { findCommand } from '../../scripts/bootstrap/debian.ts';
import { cgroupProcesses } from './cgroups.ts';
import { dyingWithParent, run } from './host.ts';
import { PODTOOL } from './layout.ts';
import type { Protocol } from './ports.ts';

/** `TCP/10.244.1.5:8883` */
export type Target = string;
export const target = (protocol: Protocol, ip: string, port: number): Target => `${protocol}/${ip}:${port}`;

export function partsOf(text: Target): { protocol: Protocol; ip: string; port: number } {
  const [, protocol, ip = '', port] = /^(TCP|UDP|SCTP)\/([\d.]+):(\d+)$/.exec(text) ?? [];
  if (protocol === undefined) throw new Error(`${text} is no target`);
  return { protocol: protocol as Protocol, ip, port: Number(port) };
}

/** Long enough for a slow machine, short enough to wait for: a dropped packet shows only as silence. */
export const SHUT_AFTER = '1500ms';

/** Which of the targets answer a call from this network namespace. `from`: the caller's address, where it has several. */
export async function reachable(netns: string, targets: readonly Target[], from?: string): Promise<Set<Target>> {
  const source = from === undefined ? [] : ['-from', from];
  const [first = '', ...rest] = podtoolIn(netns, 'connect', ...source, SHUT_AFTER, ...targets);
  return answers(await run(first, ...rest), targets);
}

/** The words that start the pods' program in a network namespace. It ends with this process. */
export function podtoolIn(netns: string, ...args: readonly string[]): string[] {
  return [findCommand('nsenter') ?? 'nsenter', `--net=${netns}`, '--', ...dyingWithParent(), PODTOOL, ...args];
}

/** What `podtool connect` printed: the targets that are open. Throws when it did not answer for each. */
export function answers(stdout: string, targets: readonly Target[]): Set<Target> {
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  if (lines.length !== targets.length) throw new Error(`${lines.length} answers for ${targets.length} targets`);
  return new Set(lines.filter(([, state]) => state === 'open').map(([name = '']) => name));
}

/** The network namespace of every pod that runs, by its address: a path for `nsenter`. */
export function podNetworks(): Map<string, string> {
  const found = new Map<string, string>();
  const seen = new Set<string>();
  for (const pid of cgroupProcesses()) {
    const netns = `/proc/${pid}/ns/net`;
    try {
      const inode = readlinkSync(netns);
      if (seen.has(inode)) continue;
      seen.add(inode);
      // Local addresses of that namespace: no program has to run inside.
      for (const [, ip = ''] of readFileSync(`/proc/${pid}/net/fib_trie`, 'utf8').matchAll(/\|-- (\S+)\n\s+\/32 host LOCAL/g)) {
        if (!ip.startsWith('127.')) found.set(ip, netns);
      }
    } catch {
      // Ended meanwhile.
    }
  }
  return found;
}
