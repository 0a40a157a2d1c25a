import type { Cluster } from '../controlplane/cluster.ts';

/** kubectl as the administrator; throws with its words. */
export async function kubectl(cluster: Cluster, ...args: string[]): Promise<string> {
  const { stdout, stderr, code } = await cluster.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.slice(0, 3).join(' ')}: ${stderr.trim()}`);
  return stdout;
}
