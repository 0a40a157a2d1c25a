// Where a cluster keeps what: one folder, one state file that another program can attach by.
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheRoot } from './cache.ts';
import type { Component, Feature, PortName } from './components.ts';
import type { Handle } from './process.ts';

export type ClusterState = {
  name: string;
  address: string;
  ports: Record<PortName, number>;
  features: Feature[];
  auditLog: boolean;
  extraFlags: Partial<Record<Component, string[]>>;
  /** Put before every command, e.g. `nsenter --net=…` to run the cluster inside a network namespace. */
  enter: string[];
  detached: boolean;
  processes: Partial<Record<Component, Handle>>;
  paused: Component[];
};

export type Layout = {
  dir: string;
  address: string;
  auditLog: boolean;
  extraFlags: Partial<Record<Component, string[]>>;
  port(name: PortName): number;
  url(name: PortName): string;
  pki(name: string): { cert: string; key: string };
  kubeconfig(user: string): string;
  log(component: Component): string;
};

export function clusterDir(name: string): string {
  if (!/^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/.test(name))
    throw new Error(`"${name}" cannot name a cluster: lower-case letters, digits and dashes, at most 42 characters`);
  return join(cacheRoot(), 'clusters', name);
}

/** Every cluster that has a folder, running or not. */
export async function clusterNames(): Promise<string[]> {
  return (await readdir(join(cacheRoot(), 'clusters')).catch(() => [])).sort();
}

export function layoutOf(dir: string, state: ClusterState): Layout {
  return {
    dir,
    address: state.address,
    auditLog: state.auditLog,
    extraFlags: state.extraFlags,
    port: (name) => state.ports[name],
    url: (name) => `https://${state.address}:${state.ports[name]}`,
    pki: (name) => ({ cert: join(dir, 'pki', `${name}.crt`), key: join(dir, 'pki', `${name}.key`) }),
    kubeconfig: (user) => join(dir, 'kubeconfigs', `${user}.kubeconfig`),
    log: (component) => join(dir, 'logs', `${component}.log`),
  };
}

export async function readState(dir: string): Promise<ClusterState | undefined> {
  try {
    return JSON.parse(await readFile(join(dir, 'state.json'), 'utf8')) as ClusterState;
  } catch {
    return undefined;
  }
}

let written = 0;
export async function writeState(dir: string, state: ClusterState): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const next = join(dir, `state.json.${process.pid}-${++written}`);
  await writeFile(next, JSON.stringify(state, undefined, 2));
  await rename(next, join(dir, 'state.json'));
}
