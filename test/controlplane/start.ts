// Starting components: which program, which order, when one counts as up.
import { connect } from 'node:net';
import { join } from 'node:path';
import type { AdminApi } from './api.ts';
import { certManagerChart, installCertManager, proveCertManager } from './cert-manager.ts';
import { type Component, type Feature, flagsOf, programOf } from './components.ts';
import { installKwok } from './kwok.ts';
import { type ClusterState, type Layout, writeState } from './layout.ts';
import { isAlive, lastLines, launch } from './process.ts';
import { type ProgramName, program } from './programs.ts';
import { watchParent } from './watch-parent.ts';

export type Running = { state: ClusterState; layout: Layout; api: AdminApi; caPem: string };

const READY_WITHIN_MS = 60_000;

/** The programs a cluster with these features needs, the longest compile first. */
export function programsOf(features: readonly Feature[]): ProgramName[] {
  const ownBinaries = process.env.KUBEBUILDER_ASSETS !== undefined && features.length === 0;
  const names: ProgramName[] = ownBinaries ? [] : ['cp'];
  if (features.includes('cert-manager') || features.includes('kwok')) names.push('addons');
  if (features.includes('cert-manager')) names.push('helm');
  return names;
}

/** Starts these components in order; installs what the add-ons need on the way. */
export async function bringUp(running: Running, components: readonly Component[]): Promise<void> {
  const { state, layout, api, caPem } = running;
  const has = (component: Component): boolean => components.includes(component);
  for (const component of ['etcd', 'kube-apiserver'] as const) if (has(component)) await startOne(running, component);
  // The rest knows how to wait for each other.
  const cores = (['kube-controller-manager', 'kube-scheduler'] as const).filter(has).map((component) => startOne(running, component));
  const addOns: Promise<void>[] = [];
  if (has('cert-manager-controller')) {
    const { assets } = await program('addons');
    const install = installCertManager(api, {
      chart: certManagerChart(assets),
      webhookPort: layout.port('webhook'),
      caPem,
      workDir: layout.dir,
    });
    addOns.push(
      install
        .then(() => Promise.all([startOne(running, 'cert-manager-webhook'), startOne(running, 'cert-manager-controller')]))
        .then(() => retry('cert-manager to take an issuer', () => proveCertManager(api))),
    );
  }
  if (has('kwok')) {
    const { assets } = await program('addons');
    addOns.push(installKwok(api, { assets, stagesFile: join(layout.dir, 'kwok.yaml') }).then(() => startOne(running, 'kwok')));
  }
  await Promise.all([...cores, ...addOns]);
  if (state.features.includes('controller-manager')) {
    await retry('the default ServiceAccount', () => api.call('GET', '/api/v1/namespaces/default/serviceaccounts/default'));
  }
}

/** Starts one component unless it runs, and returns when it answers. */
export async function startOne(running: Running, component: Component): Promise<void> {
  const { state, layout } = running;
  const current = state.processes[component];
  if (current !== undefined && isAlive(current)) return;
  const handle = await launch({
    command: await commandOf(component, state, layout),
    logFile: layout.log(component),
    dieWithParent: !state.detached,
  });
  state.processes[component] = handle;
  state.paused = state.paused.filter((paused) => paused !== component);
  if (!state.detached && assetFor(component) !== undefined) watchParent(handle.pid);
  await writeState(layout.dir, state);
  await retry(
    `${component} to answer`,
    () => {
      if (!isAlive(handle))
        throw new Gone(`${component} ended at its start; the end of ${layout.log(component)}:\n${lastLines(layout.log(component), 15)}`);
      return answers(component, running);
    },
    () => `its log is ${layout.log(component)}`,
  );
}

async function commandOf(component: Component, state: ClusterState, layout: Layout): Promise<[string, ...string[]]> {
  const own = assetFor(component);
  const command = own !== undefined ? [own] : [(await program(programOf(component))).bin, component];
  const [first, ...rest] = [...state.enter, ...command, ...flagsOf(component, layout)];
  if (first === undefined) throw new Error('an empty command');
  return [first, ...rest];
}

/** envtest's convention: a folder with `etcd` and `kube-apiserver`. */
function assetFor(component: Component): string | undefined {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets === undefined || assets === '') return undefined;
  return component === 'etcd' || component === 'kube-apiserver' ? join(assets, component) : undefined;
}

async function answers(component: Component, { api, layout, state }: Running): Promise<void> {
  if (component === 'kube-apiserver') {
    const { status, body } = await api.send('GET', '/readyz');
    if (status !== 200) throw new Error(`/readyz answers ${status}: ${body}`);
    return;
  }
  const port = LISTENING[component];
  if (port !== undefined) await canConnect(state.address, layout.port(port));
}

const LISTENING: Partial<Record<Component, Parameters<Layout['port']>[0]>> = {
  etcd: 'etcd',
  'kube-controller-manager': 'controllerManager',
  'kube-scheduler': 'scheduler',
  'cert-manager-webhook': 'webhook',
};

function canConnect(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: 1_000 });
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('timeout', () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
  });
}

/** Waiting longer would not help. */
class Gone extends Error {}

async function retry(what: string, look: () => Promise<unknown>, hint: () => string = () => ''): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  for (;;) {
    try {
      await look();
      return;
    } catch (error) {
      if (error instanceof Gone) throw error;
      if (performance.now() > deadline)
        throw new Error(
          `waited ${READY_WITHIN_MS / 1000} s for ${what}: ${error instanceof Error ? error.message : String(error)}; ${hint()}`,
        );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
