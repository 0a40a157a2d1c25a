// One look at a time: pods without a node are bound, pods of the node are brought nearer to what the API says of them. What happened to a pod stands in its folder,
// so an agent that was killed goes on where it was, and finds the pods whose process is gone.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PlainError } from '../harness/plain-api.ts';
import { fateOf, signalContainer, startContainer } from './container.ts';
import { isConflict, labelsOf } from './node.ts';
import { type EnvVar, expand, fieldOf, fits, type Images, type Pod, unsupported, wordsOf } from './pod.ts';
import { type Fate, refusedStatus, statusOf } from './pod-status.ts';
import { makeVolumes, type Send, valueUnder } from './volumes.ts';

export type AgentOptions = {
  node: string;
  /** The only namespace whose pods it binds. */
  namespace: string;
  dir: string;
  owner: number;
  server: URL;
  images: Images;
  asNode: Send;
  asScheduler: Send;
  say(line: string): void;
};

export type Agent = { bind(): Promise<void>; look(): Promise<void>; killAll(): void };

export function createAgent(options: AgentOptions): Agent {
  const { node, asScheduler, asNode, say } = options;
  const pods = join(options.dir, 'pods');
  const logs = join(options.dir, 'logs');
  for (const folder of [pods, logs]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const folderOf = (uid: string): string => join(pods, uid);
  const atWork = new Set<string>();

  async function tend(pod: Pod): Promise<void> {
    const { uid, name, deletionTimestamp } = pod.metadata;
    const dir = folderOf(uid);
    if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') {
      rmSync(join(dir, 'volumes'), { recursive: true, force: true });
      if (deletionTimestamp !== undefined) await letGo(asNode, pod);
      return;
    }
    const fate = fateOf(dir, startOf(dir), new Date());
    if (fate === 'starting') return;
    if (fate === undefined) return await begin(pod, dir);
    if (fate.state === 'ended') say(`${name} ended with ${fate.code}${fate.lost ? ' (lost)' : ''}`);
    if (fate.state === 'ended' || pod.status?.phase !== 'Running') await report(asNode, pod, statusOf(pod, fate));
    if (fate.state === 'running' && deletionTimestamp !== undefined) end(pod, dir, fate);
  }

  async function begin(pod: Pod, dir: string): Promise<void> {
    const { name, deletionTimestamp } = pod.metadata;
    const why = deletionTimestamp === undefined ? unsupported(pod, options.images) : 'it was deleted before it ran';
    // Its folder is gone, or another node agent of this name ran it: it is not run twice.
    const lost = pod.status?.phase === 'Running' ? 'nothing is known of its process' : undefined;
    const refusal = why ?? lost;
    if (refusal !== undefined) {
      say(`${name} is not run: ${refusal}`);
      return await report(asNode, pod, refusedStatus('NodeAgentRefused', refusal));
    }
    await run(pod, dir, { ...options, log: join(logs, `${name}.log`) });
    say(`${name} started`);
  }

  /** SIGTERM once, SIGKILL when the grace period is over. */
  function end(pod: Pod, dir: string, { pid }: Fate & { state: 'running' }): void {
    const mark = join(dir, 'terminated');
    if (!existsSync(mark)) {
      writeFileSync(mark, '');
      signalContainer(dir, 'SIGTERM');
      say(`${pod.metadata.name}: SIGTERM to ${pid}`);
    }
    const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? 30) * 1_000;
    if (Date.now() - statSync(mark).mtimeMs > graceMs) signalContainer(dir, 'SIGKILL');
  }

  return {
    async bind() {
      const path = `/api/v1/namespaces/${options.namespace}/pods`;
      const { items } = await asScheduler<{ items: Pod[] }>('GET', `${path}?fieldSelector=${encodeURIComponent('spec.nodeName=')}`);
      for (const { metadata } of items.filter((pod) => fits(pod, labelsOf(node)))) {
        const target = { apiVersion: 'v1', kind: 'Node', name: node };
        const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: metadata.name, uid: metadata.uid }, target };
        await asScheduler('POST', `${path}/${metadata.name}/binding`, binding).catch(unless(isGoneOrOther));
      }
    },
    async look() {
      const selector = encodeURIComponent(`spec.nodeName=${node}`);
      const { items } = await asNode<{ items: Pod[] }>('GET', `/api/v1/pods?fieldSelector=${selector}`);
      const known = new Set(items.map(({ metadata }) => metadata.uid));
      for (const uid of readdirSync(pods).filter((uid) => !known.has(uid) && !atWork.has(uid))) {
        signalContainer(folderOf(uid), 'SIGKILL');
        rmSync(folderOf(uid), { recursive: true, force: true });
      }
      for (const pod of items) {
        const { uid, name } = pod.metadata;
        if (atWork.has(uid)) continue;
        atWork.add(uid);
        // Not awaited: one pod whose volumes are slow does not keep the others waiting.
        tend(pod)
          .catch(unless(isGoneOrOther))
          .catch((error: unknown) => say(`${name}: ${error}`))
          .finally(() => atWork.delete(uid));
      }
    },
    killAll() {
      for (const uid of readdirSync(pods)) signalContainer(folderOf(uid), 'SIGKILL');
    },
  };
}

type RunDeps = Pick<AgentOptions, 'node' | 'owner' | 'server' | 'images' | 'asNode'> & { log: string };

async function run(pod: Pod, dir: string, { node, owner, server, images, asNode, log }: RunDeps): Promise<void> {
  const volumes = join(dir, 'volumes');
  mkdirSync(volumes, { recursive: true, mode: 0o700 });
  await makeVolumes(pod, volumes, { send: asNode, nodeName: node });
  const [container] = pod.spec.containers;
  const env: Record<string, string> = {
    HOSTNAME: pod.metadata.name,
    // A kubelet names the Service, whose address nobody routes here.
    KUBERNETES_SERVICE_HOST: server.hostname,
    KUBERNETES_SERVICE_PORT: server.port,
  };
  for (const one of container?.env ?? []) {
    const value = await valueOfEnv(pod, one, node, asNode);
    if (value !== undefined) env[one.name] = expand(value, env);
  }
  writeFileSync(join(dir, 'started'), new Date().toISOString());
  const writable = new Set(pod.spec.volumes?.filter(({ emptyDir }) => emptyDir !== undefined).map(({ name }) => name));
  await startContainer({
    ...{ dir, owner, env, logFile: log },
    command: [...((container && wordsOf(container, images)) ?? []), ...(container?.args ?? []).map((arg) => expand(arg, env))],
    mounts: (container?.volumeMounts ?? []).map(({ name, mountPath, readOnly }) => ({
      from: `volumes/${name}`,
      at: mountPath,
      readOnly: readOnly === true || !writable.has(name),
    })),
  });
}

async function valueOfEnv(pod: Pod, { name, value, valueFrom }: EnvVar, node: string, send: Send): Promise<string | undefined> {
  if (valueFrom === undefined) return value ?? '';
  const { fieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  const ref = configMapKeyRef ?? secretKeyRef;
  const found =
    ref === undefined
      ? fieldOf(pod, node, fieldRef?.fieldPath ?? '')
      : await valueUnder(send, secretKeyRef === undefined ? 'configmaps' : 'secrets', pod.metadata.namespace, ref);
  if (found === undefined && ref?.optional !== true)
    throw new Error(`the variable ${name} has no value here: ${JSON.stringify(valueFrom)}`);
  return found;
}

async function report(send: Send, { metadata }: Pod, status: object): Promise<void> {
  const path = `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/status`;
  await send('PATCH', path, { metadata: { uid: metadata.uid }, status }, 'application/strategic-merge-patch+json');
}

/** Its end is reported: the API server may forget it. */
async function letGo(send: Send, { metadata }: Pod): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, preconditions: { uid: metadata.uid } };
  await send('DELETE', `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`, body);
}

function startOf(dir: string): string {
  const file = join(dir, 'started');
  return existsSync(file) ? readFileSync(file, 'utf8') : new Date().toISOString();
}

const isGoneOrOther = (error: unknown): boolean => isConflict(error) || (error instanceof PlainError && error.status === 404);

/** Passes over what is expected and throws the rest. */
const unless =
  (expected: (error: unknown) => boolean) =>
  (error: unknown): void => {
    if (!expected(error)) throw error;
  };
