// A Git repository of manifests on this machine, and the Application of Argo CD that keeps a namespace as it says.
import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject } from '../../operator/kube/object.ts';
import { runProcess } from '../controlplane/helm.ts';
import { ARGOCD_NAMESPACE } from '../harness/argocd.ts';
import { toYaml } from '../harness/manifests.ts';
import type { System } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';

export type Repository = {
  readonly url: string;
  write(object: KubeObject): void;
  remove(object: KubeObject): void;
  /** Commits what was written and removed; gives the revision. */
  commit(message: string): Promise<string>;
};

export async function makeRepository(dir: string): Promise<Repository> {
  const git = async (...args: string[]): Promise<string> => {
    // The person's own settings (signing, hooks) are none of ours.
    const env = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' };
    const identity = ['-c', 'user.name=alice', '-c', 'user.email=alice@example.org'];
    const { stdout, stderr, code } = await runProcess(['git', '-C', dir, ...identity, ...args], { env });
    if (code !== 0) throw new Error(`git ${args[0]}: ${stderr.trim()}`);
    return stdout.trim();
  };
  mkdirSync(dir, { recursive: true });
  await git('init', '--quiet', '--initial-branch=main');
  const fileOf = ({ kind, metadata }: KubeObject): string => join(dir, `${kind?.toLowerCase()}-${metadata.name}.yaml`);
  return {
    url: `file://${dir}`,
    write: (object) => writeFileSync(fileOf(object), toYaml([object])),
    remove: (object) => rmSync(fileOf(object)),
    async commit(message) {
      await git('add', '--all');
      await git('commit', '--quiet', '--message', message);
      return git('rev-parse', 'HEAD');
    },
  };
}

export type AppStatus = {
  sync?: { status: string; revision?: string };
  health?: { status: string };
  resources?: { kind: string; name: string; status?: string; health?: { status: string; message?: string } }[];
  operationState?: { phase: string; message?: string; operation?: { initiatedBy?: { username?: string } } };
  conditions?: { type: string; message: string }[];
};

export type Application = {
  status(): Promise<AppStatus>;
  /** Waits until it compared this revision with the cluster, and finds both alike and the health as wanted. */
  until(revision: string, health: string): Promise<AppStatus>;
  /** Reads Git and cluster anew instead of waiting for the next comparison. */
  refresh(): Promise<void>;
  /** One sync by hand, also where nothing has to be done. */
  sync(options: readonly string[]): Promise<void>;
};

export function applicationOf(system: System, name: string): Application {
  const target = ['application', name, '-n', ARGOCD_NAMESPACE] as const;
  const status = async (): Promise<AppStatus> => (await system.get<{ status?: AppStatus }>(...target)).status ?? {};
  const annotations = async (): Promise<Record<string, string>> => (await system.get<KubeObject>(...target)).metadata.annotations ?? {};
  const application: Application = {
    status,
    async until(revision, health) {
      let seen: AppStatus = {};
      return waitFor(
        `application ${name} to be Synced and ${health} at ${revision.slice(0, 7)}`,
        async () => {
          seen = await status();
          const synced = seen.sync?.status === 'Synced' && seen.sync.revision === revision;
          return synced && seen.health?.status === health ? seen : undefined;
        },
        { timeoutMs: 120_000, everyMs: 500, describe: () => JSON.stringify({ ...seen, history: undefined }) },
      );
    },
    async refresh() {
      await system.kubectl('annotate', ...target, 'argocd.argoproj.io/refresh=hard', '--overwrite');
      await waitFor('the refresh', async () => ((await annotations())['argocd.argoproj.io/refresh'] === undefined ? true : undefined), {
        timeoutMs: 90_000,
      });
    },
    async sync(options) {
      // By its own name: two that start within one second have the same `startedAt`.
      const username = `test-${randomUUID()}`;
      const operation = { initiatedBy: { username }, sync: { prune: true, syncOptions: options } };
      await system.kubectl('patch', ...target, '--type=merge', '-p', JSON.stringify({ operation }));
      let seen: AppStatus['operationState'];
      await waitFor(
        `a sync with ${options.join(',') || 'no options'}`,
        async () => {
          seen = (await status()).operationState;
          if (seen?.operation?.initiatedBy?.username !== username) return undefined;
          if (seen.phase === 'Failed' || seen.phase === 'Error') throw new Error(seen.message);
          return seen.phase === 'Succeeded' || undefined;
        },
        { timeoutMs: 90_000, describe: () => JSON.stringify(seen) },
      );
    },
  };
  return application;
}
