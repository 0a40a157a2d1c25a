// Where the two nodes are: names, addresses, folders. Fixed, so that the next run finds what a killed one left behind; a lock keeps two runs apart.
import { join } from 'node:path';

export const LAB_DIR = '/var/lib/hedgerow-node-test';
/** Where the test inside leaves its counts. */
export const RESULT_FILE = join(LAB_DIR, 'result.json');
/** The pods' program, where it runs beside them: the clean-up knows processes by this folder. */
export const PODTOOL = join(LAB_DIR, 'podtool');
export const CLUSTER_NAME = 'node-test';
/** Holds the control plane, the broker and the bridge. */
export const CENTRE = 'hedgerow-centre';
export const CENTRE_IP = '10.99.0.1';

export type NodePlace = {
  name: string;
  /** The network namespace. */
  netns: string;
  /** The bridge's end of the cable; at most 15 characters (IFNAMSIZ). */
  cable: string;
  ip: string;
  podCidr: string;
  /** Below every hierarchy of cgroup v1, or below the only one of v2. */
  cgroup: string;
  dir: string;
  /** containerd's socket; well below the 107 bytes that a Unix socket's path may have. */
  socket: string;
};

export const NODES: readonly [NodePlace, NodePlace] = [place(1), place(2)];

function place(n: 1 | 2): NodePlace {
  const name = `node-${n}`;
  const dir = join(LAB_DIR, name);
  return {
    name,
    netns: `hedgerow-${name}`,
    cable: `hedgerow${n}`,
    ip: `10.99.0.${10 + n}`,
    podCidr: `10.244.${n}.0/24`,
    cgroup: `hedgerow-${name}`,
    dir,
    socket: join(dir, 'containerd.sock'),
  };
}
