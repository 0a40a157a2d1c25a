import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../harness/wait.ts';
import { attachCluster, type Cluster, startCluster } from './cluster.ts';
import { clusterDir, readState } from './layout.ts';
import { isAlive } from './process.ts';
import { program } from './programs.ts';

const OWNER = fileURLToPath(new URL('testdata/owner.ts', import.meta.url));
const silent = (): void => undefined;
const started: Cluster[] = [];
async function start(name: string, options: Partial<Parameters<typeof startCluster>[0]> = {}): Promise<Cluster> {
  const cluster = await startCluster({ name: `${name}-${process.pid}`, freshData: true, say: silent, ...options });
  started.push(cluster);
  return cluster;
}
afterEach(async () => {
  for (const cluster of started.splice(0)) await cluster.down();
});

describe('a component', () => {
  it('comes back after kill -9 of the API server with the same data at the same address', async () => {
    const cluster = await start('killed');
    await cluster.kubectl(['create', 'configmap', 'kept', '--from-literal=a=b']);
    await cluster.kill('kube-apiserver');
    expect(cluster.status()).toEqual({ etcd: 'running', 'kube-apiserver': 'down' });
    const refused = await cluster.kubectl(['get', 'configmap', 'kept', '--request-timeout=2s']);
    expect(refused.code).not.toBe(0);
    await cluster.start('kube-apiserver');
    const { stdout } = await cluster.kubectl(['get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}']);
    expect(stdout).toBe('b');
  });

  it('loses nothing when the store is killed with kill -9 right after a write', async () => {
    const cluster = await start('store');
    for (let i = 0; i < 5; i++) await cluster.kubectl(['create', 'configmap', `kept-${i}`]);
    await cluster.kill('etcd');
    await cluster.start('etcd');
    await waitFor(
      'the API server to find its store again',
      async () => (await cluster.kubectl(['get', 'configmap', 'kept-4', '--request-timeout=2s'])).code === 0 || undefined,
    );
    const { stdout } = await cluster.kubectl(['get', 'configmaps', '-o', 'name']);
    expect(stdout.split('\n').filter((line) => line.startsWith('configmap/kept-'))).toHaveLength(5);
  });

  it('hangs while it is paused and goes on when resumed', async () => {
    const cluster = await start('paused');
    await cluster.pause('kube-apiserver');
    expect(cluster.status()['kube-apiserver']).toBe('paused');
    const hung = await cluster.kubectl(['get', 'namespaces', '--request-timeout=1s']);
    expect(hung.code).not.toBe(0);
    await cluster.resume('kube-apiserver');
    expect((await cluster.kubectl(['get', 'namespaces'])).code).toBe(0);
  });
});

describe('a cluster', () => {
  it('does not see the objects of another that runs beside it, nor accept its credentials', async () => {
    const [one, two] = await Promise.all([start('one'), start('two')]);
    await one.kubectl(['create', 'configmap', 'mine']);
    expect(one.server).not.toBe(two.server);
    expect((await two.kubectl(['get', 'configmap', 'mine'])).stderr).toContain('not found');
    const stranger = await two.kubectl([
      '--kubeconfig',
      one.adminKubeconfig,
      '--server',
      two.server,
      '--insecure-skip-tls-verify',
      '--certificate-authority=',
      'get',
      'namespaces',
    ]);
    expect(stranger.stderr).toMatch(/Unauthorized|must be logged in|credentials/);
  });

  it('keeps its data, its ports and the kubeconfigs it gave out when asked to', async () => {
    const first = await start('data');
    await first.kubectl(['create', 'configmap', 'kept']);
    const kubeconfig = await first.kubeconfigFor({ user: 'jane', groups: ['system:masters'] });
    await first.down({ keepData: true });
    const second = await start('data', { freshData: false });
    expect(second.server).toBe(first.server);
    expect((await second.kubectl(['--kubeconfig', kubeconfig, 'get', 'configmap', 'kept'])).code).toBe(0);
  });

  it('is down within 5 s with watches open, and leaves no folder', async () => {
    const cluster = await start('down', { with: ['controller-manager'] });
    const watch = spawn(cluster.kubectlCommand, ['get', 'namespaces', '--watch'], { stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise((resolve) => watch.stdout.once('data', resolve));
    const startedAt = performance.now();
    await cluster.down();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(existsSync(cluster.dir)).toBe(false);
    watch.kill();
  });

  it('cannot be started twice', async () => {
    await start('twice');
    await expect(startCluster({ name: `twice-${process.pid}`, say: silent })).rejects.toThrow(
      'is running already (etcd, kube-apiserver); end it with',
    );
  });

  it('says what a component wrote last when it ends at its start', async () => {
    await expect(start('broken', { extraFlags: { 'kube-apiserver': ['--no-such-flag'] } })).rejects.toThrow('unknown flag: --no-such-flag');
    // Kept for its logs.
    await rm(clusterDir(`broken-${process.pid}`), { recursive: true });
  });
});

describe('KUBEBUILDER_ASSETS', () => {
  const assets = mkdtempSync(join(tmpdir(), 'assets-'));
  afterAll(() => rm(assets, { recursive: true }));

  it('names the folder whose etcd and kube-apiserver are run, which die with their program all the same', async () => {
    const { bin } = await program('cp');
    for (const name of ['etcd', 'kube-apiserver'])
      writeFileSync(join(assets, name), `#!/bin/sh\necho ${name} >> '${assets}/started'\nexec '${bin}' ${name} "$@"\n`, { mode: 0o755 });
    const name = `assets-${process.pid}`;
    const owner = spawn(process.execPath, [OWNER, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, KUBEBUILDER_ASSETS: assets },
    });
    await new Promise((resolve) => owner.stdout.once('data', resolve));
    expect(readFileSync(join(assets, 'started'), 'utf8')).toBe('etcd\nkube-apiserver\n');
    owner.kill('SIGKILL');
    await componentsEnd(name);
    await rm(clusterDir(name), { recursive: true });
  });
});

describe('a program that is killed with kill -9', () => {
  const name = `orphan-${process.pid}`;
  beforeAll(async () => {
    const owner = spawn(process.execPath, [OWNER, name], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => owner.stdout.once('data', resolve));
    owner.kill('SIGKILL');
  });
  afterAll(async () => {
    await (await attachCluster(name))?.down();
    await rm(clusterDir(name), { recursive: true, force: true });
  });

  it('takes its cluster along, also the component that is paused', async () => {
    await componentsEnd(name);
  });
});

async function componentsEnd(name: string): Promise<void> {
  const handles = Object.values((await readState(clusterDir(name)))?.processes ?? {});
  expect(handles).toHaveLength(2);
  await waitFor('the components to end', () => (handles.every((handle) => !isAlive(handle)) ? true : undefined), { timeoutMs: 5_000 });
}
