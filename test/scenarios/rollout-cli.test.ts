// `kubectl hedgerow rollout` against a real API server, with the rights that the guide names and no more.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Intervention } from '../../operator/api/intervention.ts';
import { runCli } from '../../operator/cli/cli.ts';
import { rolloutApprove, rolloutPause, rolloutResume } from '../../operator/cli/rollout-acts.ts';
import { rolloutStatus } from '../../operator/cli/rollout-status.ts';
import { listen } from '../../operator/cli/testing/heard.ts';
import { WAITING } from '../../operator/cli/testing/rollout.ts';
import { release } from '../api/manifests.ts';
import { installApi } from '../api/server.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { apply, get } from '../controlplane/testing.ts';
import { waitFor } from '../harness/wait.ts';

const BOB = 'bob@example.org';
const COMMANDS = [rolloutStatus, rolloutPause, rolloutResume, rolloutApprove];

let cluster: Cluster;
let site: string;
let bob: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  await installApi(cluster);
  site = await ownNamespace(cluster, 'rollout-cli');
  bob = await cluster.kubeconfigFor({ user: BOB });
  await apply(cluster, rights());
  const author = (await cluster.kubectl(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}'])).stdout.trim();
  const spec = {
    author,
    rollout: {
      waves: [
        { name: 'canary', size: '1' },
        { name: 'broad', approval: 'Required' },
      ],
    },
  };
  await apply(cluster, [release(spec, { name: 'cam', namespace: site })]);
  await status({ ...WAITING, observedGeneration: 1 });
});
afterAll(() => cluster.kubectl(['delete', 'namespace', site, '--wait=false']));

async function typed(...words: string[]) {
  const { heard, output } = listen();
  const code = await runCli(COMMANDS, ['rollout', ...words, '-n', site, '--kubeconfig', bob], output);
  return { code, ...heard };
}
const interventions = async (): Promise<Intervention[]> =>
  (await get<{ items: Intervention[] }>(cluster, 'interventions.hedgerow.dev', '-n', site)).items;

async function status(value: object): Promise<void> {
  const patch = JSON.stringify({ status: value });
  const { code, stderr } = await cluster.kubectl([
    'patch',
    'firmwarerelease',
    'cam',
    '-n',
    site,
    '--subresource=status',
    '--type=merge',
    '-p',
    patch,
  ]);
  if (code !== 0) throw new Error(stderr);
}

it('approves what waits, by somebody else than the author, and the API server takes it', async () => {
  const { code, err } = await typed('approve', 'cam', '--reason', 'ticket 4711', '--yes');
  expect({ code, err: err.includes('wave broad may begin') }).toEqual({ code: 0, err: true });
  expect((await interventions()).map(({ spec }) => spec)).toEqual([
    {
      ...{ target: { kind: 'FirmwareRelease', name: 'cam' }, action: 'Approve', requestedBy: BOB, reason: 'ticket 4711' },
      approve: { wave: 'broad', digest: WAITING.artifact?.manifestDigest, generation: 1 },
    },
  ]);
});

it('pauses, shows the pause with its reason, and ends it', async () => {
  expect((await typed('pause', 'cam', '--reason', 'reboots')).code).toBe(0);
  expect((await typed('status', 'cam')).out).toContain(`waits for    the end of the pause by ${BOB} (reboots)\n`);
  expect((await typed('resume', 'cam')).out).toMatch(new RegExp(`^ended: pause cam-pause-\\w+ of ${BOB}: reboots\\n$`));
  expect((await interventions()).map(({ spec }) => spec.action)).toEqual(['Approve']);
});

it('follows the release to its end', async () => {
  const { heard, output } = listen();
  const following = runCli(COMMANDS, ['rollout', 'status', 'cam', '-w', '-o', 'json', '-n', site, '--kubeconfig', bob], output);
  await waitFor('the first line', () => heard.out.includes('"phase":"Waiting"') || undefined);
  await status({ phase: 'Failed' });
  expect(await following).toBe(1);
  expect(
    heard.out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { phase: string }).phase),
  ).toEqual(['Waiting', 'Failed']);
});

it('names the release that there is not, and the right that is missing', async () => {
  expect(await typed('status', 'none')).toMatchObject({ code: 1, err: expect.stringContaining('HR-CLI-092') });
  const { heard, output } = listen();
  await runCli(COMMANDS, ['rollout', 'status', 'cam', '-n', 'default', '--kubeconfig', bob], output);
  expect(heard.err).toContain('ask for the right to get firmwarereleases.hedgerow.dev in the namespace default (a Role)');
});

function rights(): object[] {
  const metadata = { name: 'releases', namespace: site };
  const apiGroups = ['hedgerow.dev'];
  const rules = [
    { apiGroups, resources: ['firmwarereleases'], verbs: ['get', 'list', 'watch'] },
    { apiGroups, resources: ['interventions'], verbs: ['create', 'list', 'delete'] },
  ];
  const rbac = 'rbac.authorization.k8s.io';
  return [
    { apiVersion: `${rbac}/v1`, kind: 'Role', metadata, rules },
    {
      ...{ apiVersion: `${rbac}/v1`, kind: 'RoleBinding', metadata, roleRef: { apiGroup: rbac, kind: 'Role', name: 'releases' } },
      subjects: [{ apiGroup: rbac, kind: 'User', name: BOB }],
    },
  ];
}
