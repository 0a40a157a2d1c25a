// The node agent of the tests under the real Job controller: what a Job of rollouts needs of a node, asked one by one.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Cluster } from '../controlplane/cluster.ts';
import { handleOn, isAlive } from '../controlplane/process.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { type NodeAgent, startNodeAgent, whyNoNodeAgent } from '../harness/node-agent.ts';
import { runner } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';

const IMAGE = 'registry.test/program:1';
const PROGRAM = fileURLToPath(new URL('../nodeagent/testdata/program.ts', import.meta.url));

type Pod = {
  metadata: { name: string; deletionTimestamp?: string };
  status: {
    phase: string;
    message?: string;
    containerStatuses?: { state: { terminated?: { exitCode: number; reason: string } } }[];
  };
};
type Job = { status: { failed?: number; succeeded?: number; conditions?: { type: string; status: string; reason?: string }[] } };

let cluster: Cluster;
let agent: NodeAgent;
let namespace: string;
let run: ReturnType<typeof runner>;

beforeAll(async () => {
  cluster = await sharedCluster();
  namespace = await ownNamespace(cluster, 'jobs');
  run = runner(cluster);
  const dir = join(cluster.dir, `node-${namespace}`);
  mkdirSync(dir);
  agent = await startNodeAgent({ cluster, dir, namespace, images: { [IMAGE]: { program: [process.execPath, PROGRAM] } } });
});
afterAll(async () => {
  await agent?.stop();
  await cluster?.kubectl(['delete', 'namespace', namespace, '--wait=false']);
});

const job = (name: string, args: string[], spec: object = {}, pod: object = {}, container: object = {}): object => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name, namespace },
  spec: {
    backoffLimit: 0,
    ...spec,
    template: {
      spec: {
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 1,
        containers: [{ name: 'program', image: IMAGE, args, ...container }],
        ...pod,
      },
    },
  },
});
const getJob = (name: string): Promise<Job> => run.get<Job>('job', name, '-n', namespace);
const podsOf = async (name: string): Promise<Pod[]> =>
  (await run.get<{ items: Pod[] }>('pods', '-n', namespace, '-l', `job-name=${name}`)).items;
const until = (name: string, type: string): Promise<NonNullable<Job['status']['conditions']>[number]> =>
  waitFor(
    `job ${name} to be ${type}`,
    async () => (await getJob(name)).status.conditions?.find((one) => one.type === type && one.status === 'True'),
    { timeoutMs: 120_000 },
  );
const runningPod = (name: string, not: readonly string[] = []): Promise<string> =>
  waitFor(
    `a pod of ${name} to run`,
    async () =>
      (await podsOf(name)).find(({ metadata, status }) => status.phase === 'Running' && !not.includes(metadata.name))?.metadata.name,
    { timeoutMs: 60_000 },
  );
const exitOf = ({ status }: Pod): number | undefined => status.containerStatuses?.[0]?.state.terminated?.exitCode;

describe.skipIf(whyNoNodeAgent() !== undefined)('a Job on the node agent', () => {
  it('is at an end at once by the exit code that its pod failure policy names, and tries again after others', async () => {
    const rules = [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [65, 66] } }];
    const policy = { podFailurePolicy: { rules }, backoffLimit: 1 };
    await run.apply([job('policy', ['exit', '65'], policy), job('again', ['exit', '75'], policy)]);
    expect((await until('policy', 'Failed')).reason).toBe('PodFailurePolicy');
    expect((await podsOf('policy')).map(exitOf)).toEqual([65]);
    // The Job controller's own pause between two tries is 10 s.
    expect((await until('again', 'Failed')).reason).toBe('BackoffLimitExceeded');
    expect((await podsOf('again')).map(exitOf)).toEqual([75, 75]);
  });

  it('gives each pod its index, its environment, its files and the rights of its ServiceAccount, no more', async () => {
    const account = { kind: 'ServiceAccount', name: 'reader', namespace };
    const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' };
    await run.apply([
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'reader', namespace } },
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'words', namespace }, data: { greeting: 'hello', other: 'not asked for' } },
      {
        ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'reader', namespace } },
        rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }],
      },
      {
        ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'reader', namespace } },
        roleRef: role,
        subjects: [account],
      },
    ]);
    const volumes = [{ name: 'words', configMap: { name: 'words', items: [{ key: 'greeting', path: 'greeting' }] } }];
    const env = [{ name: 'WORD', valueFrom: { configMapKeyRef: { name: 'words', key: 'greeting' } } }];
    const volumeMounts = [{ name: 'words', mountPath: '/etc/hedgerow-test/words' }];
    const indexed = { completionMode: 'Indexed', completions: 2, parallelism: 2 };
    await run.apply([job('look', ['look', '$(WORD)'], indexed, { serviceAccountName: 'reader', volumes }, { env, volumeMounts })]);
    await until('look', 'Complete');
    const told = (await podsOf('look')).map(({ metadata }) => JSON.parse(agent.logOf(metadata.name)) as { index: string });
    const same = { namespace, word: 'hello', operand: 'hello', greeting: 'hello', words: 200, secrets: 403 };
    expect(told.toSorted((a, b) => a.index.localeCompare(b.index))).toEqual([
      { index: '0', ...same },
      { index: '1', ...same },
    ]);
    expect(existsSync('/etc/hedgerow-test'), 'the machine itself has none of it').toBe(false);
  });

  it('is suspended by SIGTERM and goes on with a new pod, which waits until the old one is at an end', async () => {
    await run.apply([job('pause', ['stubborn'], { podReplacementPolicy: 'Failed' })]);
    const first = await runningPod('pause');
    const pid = await agent.pidOf(first);
    const process = handleOn(pid);
    await waitFor('it to listen', () => agent.logOf(first).includes('waiting') || undefined);
    await run.kubectl('patch', 'job', 'pause', '-n', namespace, '-p', '{"spec":{"suspend":true}}');
    await until('pause', 'Suspended');
    await waitFor('its process to be gone', () => !isAlive(process) || undefined);
    expect(agent.logOf(first)).toContain('SIGTERM');
    await run.kubectl('patch', 'job', 'pause', '-n', namespace, '-p', '{"spec":{"suspend":false}}');
    const second = await runningPod('pause', [first]);
    expect((await getJob('pause')).status.failed ?? 0, 'a pause is no failure').toBe(0);

    // Deleted by hand, with a grace period that it uses up: no second process beside the first.
    const old = handleOn(await agent.pidOf(second));
    await run.kubectl('delete', 'pod', second, '-n', namespace, '--grace-period=3', '--wait=false');
    await waitFor('SIGTERM', () => agent.logOf(second).includes('SIGTERM') || undefined);
    expect(isAlive(old)).toBe(true);
    expect((await podsOf('pause')).filter(({ metadata }) => metadata.deletionTimestamp === undefined)).toEqual([]);
    await waitFor('SIGKILL', () => !isAlive(old) || undefined);
    await run.kubectl('delete', 'job', 'pause', '-n', namespace);
    await waitFor('its pods to be gone', async () => (await podsOf('pause')).length === 0 || undefined);
  });

  it('ends with a pod that was killed, also while the agent was killed, and a pod that lives is found again', async () => {
    await run.apply([job('killed', ['wait']), job('lives', ['wait'])]);
    const [killed, lives] = [await runningPod('killed'), await runningPod('lives')];
    const pids = [await agent.pidOf(killed), await agent.pidOf(lives)] as const;
    await agent.kill();
    process.kill(pids[0], 'SIGKILL');
    await agent.start();
    expect((await until('killed', 'Failed')).reason).toBe('BackoffLimitExceeded');
    expect((await podsOf('killed')).map(exitOf)).toEqual([137]);
    expect(await agent.pidOf(lives)).toBe(pids[1]);
    process.kill(pids[1], 'SIGTERM');
    await until('lives', 'Complete');
  });

  it('fails with a reason where the agent cannot do what the pod asks for', async () => {
    await run.apply([job('foreign', [], {}, {}, { image: 'registry.test/other:1' })]);
    await until('foreign', 'Failed');
    const [pod] = await podsOf('foreign');
    expect(pod?.status.message).toBe('there is no image registry.test/other:1 on this node');
  });
});
