// Vitest runs this once before and after all files of the `system` project, in its main process.
import { SHARED_CLUSTER_VARIABLE, startShared } from './shared.ts';

export async function setup(): Promise<() => Promise<void>> {
  const cluster = await startShared();
  // Inherited by the processes that run the test files.
  process.env[SHARED_CLUSTER_VARIABLE] = cluster.name;
  return () => cluster.down();
}
