// Three network namespaces joined by a bridge: the host's own network is not touched.
import { existsSync } from 'node:fs';
import { inside, run } from './host.ts';
import { CENTRE, CENTRE_IP, NODES, type NodePlace } from './layout.ts';

const BRIDGE = 'hedgerow0';
const NETNS = [CENTRE, ...NODES.map((node) => node.netns)];

export async function makeNetwork(): Promise<void> {
  // Where the bridge's netfilter is a kernel module, nothing else may have asked for it yet.
  if (!existsSync('/proc/sys/net/bridge')) await run('modprobe', 'br_netfilter');
  for (const name of NETNS) await run('ip', 'netns', 'add', name);
  await Promise.all(NETNS.map(prepare));
  await inNetns(CENTRE, 'ip', 'link', 'add', BRIDGE, 'type', 'bridge');
  await inNetns(CENTRE, 'ip', 'addr', 'add', `${CENTRE_IP}/24`, 'dev', BRIDGE);
  await inNetns(CENTRE, 'ip', 'link', 'set', BRIDGE, 'up');
  for (const node of NODES) await connect(node);
}

/** More addresses of the centre: outside the cluster, with a way to the pods and back. Goes with the namespace. */
export async function addOutsideAddress(ip: string): Promise<void> {
  await inNetns(CENTRE, 'ip', 'addr', 'replace', `${ip}/32`, 'dev', BRIDGE);
}

/** Deleting a namespace deletes its devices; of a cable both ends go. */
export async function removeNetwork(): Promise<void> {
  for (const name of networkLeftovers()) await run('ip', 'netns', 'delete', name);
}

export function networkLeftovers(): string[] {
  return NETNS.filter((name) => existsSync(`/run/netns/${name}`));
}

async function prepare(name: string): Promise<void> {
  await inNetns(name, 'ip', 'link', 'set', 'lo', 'up');
  // Settings of this namespace alone. Reverse-path filters would drop what comes back by the other cable.
  for (const setting of ['net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0'])
    await set(name, setting);
  // Pods of one node talk across a bridge: without this, kube-router would not see them.
  await set(name, 'net.bridge.bridge-nf-call-iptables=1');
  // A node that refuses says so every time, not just once a second (icmp(7)): what is shut need not be waited for.
  await set(name, 'net.ipv4.icmp_ratemask=0');
}

async function connect(node: NodePlace): Promise<void> {
  await inNetns(CENTRE, 'ip', 'link', 'add', node.cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', node.netns);
  await inNetns(CENTRE, 'ip', 'link', 'set', node.cable, 'master', BRIDGE, 'up');
  await inNetns(node.netns, 'ip', 'addr', 'add', `${node.ip}/24`, 'dev', 'eth0');
  await inNetns(node.netns, 'ip', 'link', 'set', 'eth0', 'up');
  await inNetns(node.netns, 'ip', 'route', 'add', 'default', 'via', CENTRE_IP);
  await inNetns(CENTRE, 'ip', 'route', 'add', node.podCidr, 'via', node.ip);
  for (const other of NODES.filter((one) => one !== node)) await inNetns(node.netns, 'ip', 'route', 'add', other.podCidr, 'via', other.ip);
}

function set(name: string, setting: string): Promise<string> {
  return inNetns(name, 'sysctl', '-q', '-w', setting);
}

function inNetns(name: string, ...command: string[]): Promise<string> {
  const [program = '', ...args] = [...inside(name), ...command];
  return run(program, ...args);
}
