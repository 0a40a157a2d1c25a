// Which TCP sockets belong to which process, as Linux tells it (proc(5): /proc/PID/fd, /proc/net/tcp).
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export type Socket = { pid: number; localPort: number; remotePort: number; listening: boolean };

const LISTEN = '0A'; // TCP_LISTEN in include/net/tcp_states.h

/** Every TCP socket that these processes hold now, of IPv4 and IPv6. */
export function socketsOf(pids: readonly number[]): Socket[] {
  const owners = new Map<string, number>();
  for (const pid of pids) for (const inode of inodesOf(pid)) owners.set(inode, pid);
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) =>
    lines(file).flatMap((line): Socket[] => {
      const [, local = '', remote = '', state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const pid = owners.get(inode);
      return pid === undefined ? [] : [{ pid, localPort: portOf(local), remotePort: portOf(remote), listening: state === LISTEN }];
    }),
  );
}

function inodesOf(pid: number): string[] {
  const dir = `/proc/${pid}/fd`;
  return readdirSync(dir).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${dir}/${fd}`))?.[1] ?? [];
    } catch {
      return []; // closed between the two looks
    }
  });
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(1);
  } catch {
    return []; // a kernel without IPv6
  }
}

const portOf = (address: string): number => Number.parseInt(address.split(':')[1] ?? '', 16);
