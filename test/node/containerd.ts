// A containerd per node: its own folders, socket and CNI configuration, started inside the node's network namespace.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCommand } from '../../scripts/bootstrap/debian.ts';
import { launch } from '../controlplane/process.ts';
import { waitFor } from '../harness/wait.ts';
import { dyingWithParent, inside, run } from './host.ts';
import type { NodePlace } from './layout.ts';

export const CNI_BIN = '/usr/lib/cni';

/** Returns when it answers. */
export async function startContainerd(node: NodePlace, sandboxImage: string): Promise<void> {
  for (const dir of ['cni', 'root', 'state']) mkdirSync(join(node.dir, dir), { recursive: true });
  writeFileSync(join(node.dir, 'cni', '10-bridge.conflist'), JSON.stringify(cniConfig(node), undefined, 2));
  const config = join(node.dir, 'containerd.toml');
  writeFileSync(config, containerdConfig(node, sandboxImage));
  const [program = '', ...args] = [
    ...inside(node.netns),
    ...dyingWithParent(),
    findCommand('containerd') ?? 'containerd',
    '--config',
    config,
  ];
  await launch({ command: [program, ...args], logFile: join(node.dir, 'containerd.log'), dieWithParent: false });
  await waitFor(`containerd of ${node.name}`, async () => (await ctr(node, 'version')) || undefined, { everyMs: 50 });
}

export async function importImage(node: NodePlace, file: string): Promise<void> {
  // Where kubelet looks. The snapshot is unpacked at once, so that no pod's start pays for it.
  await ctr(node, '-n', 'k8s.io', 'images', 'import', '--snapshotter', 'overlayfs', file);
}

export function ctr(node: NodePlace, ...args: string[]): Promise<string> {
  return run('ctr', '--address', node.socket, ...args);
}

/** The subnet is known before the node is, because the Node object is made with it. */
function cniConfig(node: NodePlace): object {
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isDefaultGateway: true,
        // A pod that calls its own service comes back to itself.
        hairpinMode: true,
        // Policies judge by the pod's own address: it must not be hidden.
        ipMasq: false,
        ipam: { type: 'host-local', dataDir: join(node.dir, 'ipam'), ranges: [[{ subnet: node.podCidr }]] },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

function containerdConfig(node: NodePlace, sandboxImage: string): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = "${join(node.dir, 'root')}"
state = "${join(node.dir, 'state')}"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "${node.socket}"
[ttrpc]
  address = "${node.socket}.ttrpc"
[${cri}]
  sandbox_image = "${sandboxImage}"
  # Without CAP_SYS_RESOURCE runc could not lower a score: "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  # Inside our folder, where the clean-up finds them.
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [${cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [${cri}.containerd.runtimes.runc.options]
        SystemdCgroup = false
  [${cri}.cni]
    bin_dir = "${CNI_BIN}"
    conf_dir = "${join(node.dir, 'cni')}"
`;
}
