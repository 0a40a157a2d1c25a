// The commands that bring a fleet in, against a real API server and with no operator: what they write is what the server takes, with the rights that the guide names.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { installApi } from '../api/server.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import type { Ran } from '../controlplane/helm.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { ROOT } from '../harness/manifests.ts';
import { hedgerowCli } from './plugin.ts';

const SITE = 'fleet-site';
const INSTALLER = 'ines@example.org';

let cluster: Cluster;
let installer: string;
beforeAll(async () => {
  cluster = await sharedCluster();
  await installApi(cluster);
  installer = await cluster.kubeconfigFor({ user: INSTALLER });
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: SITE } });
});
afterAll(() => cluster?.kubectl(['delete', 'namespace', SITE, '--wait=false', '--ignore-not-found']));

async function apply(...objects: object[]): Promise<void> {
  const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  if (code !== 0) throw new Error(stderr);
}
const asInstaller = (...args: string[]): Promise<Ran> => hedgerowCli([...args, '-n', SITE, '--kubeconfig', installer]);
const device = (name: string, identity: object, labels: Record<string, string> = {}): object => ({
  ...{ apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', metadata: { name, namespace: SITE, labels } },
  spec: { segment: 'office', identity },
});

/** The role that the guide gives, bound to the installer. */
async function grantRoleOfGuide(name: string): Promise<void> {
  const page = readFileSync(join(ROOT, 'docs', 'guides', 'kubectl-hedgerow.md'), 'utf8');
  const block = [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)]
    .map(([, text = '']) => text)
    .find((text) => text.includes(`name: ${name},`));
  const role = parse(block ?? '') as { metadata: { namespace: string } };
  const group = 'rbac.authorization.k8s.io';
  await apply(
    { ...role, metadata: { name, namespace: SITE } },
    {
      ...{ apiVersion: `${group}/v1`, kind: 'RoleBinding', metadata: { name, namespace: SITE } },
      roleRef: { apiGroup: group, kind: 'Role', name },
      subjects: [{ apiGroup: group, kind: 'User', name: INSTALLER }],
    },
  );
}

describe('kubectl hedgerow token', () => {
  const tokens = async (): Promise<Record<string, string>> => {
    const { stdout } = await cluster.kubectl(['-n', SITE, 'get', 'secret', 'hedgerow-est-tokens', '-o', 'json', '--ignore-not-found']);
    return stdout === '' ? {} : ((JSON.parse(stdout) as { data?: Record<string, string> }).data ?? {});
  };

  it('names the right that is missing, and shows no token', async () => {
    const byToken = { enrollment: 'EST', est: { bootstrap: 'Token' } };
    await apply(device('cam-1', byToken, { floor: '3' }), device('cam-2', byToken, { floor: '3' }), device('cam-3', byToken));
    const { code, stdout, stderr } = await asInstaller('token', 'cam-1');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('ask for the right to get devices.hedgerow.dev');
  });

  it('with the role of the guide makes the Secret, then adds to it', async () => {
    await grantRoleOfGuide('hedgerow-tokens');
    const first = await asInstaller('token', 'cam-3', '-o', 'csv');
    expect(first).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^name,token,expires\ncam-3,[\w-]{43},20\S+Z\n$/) });
    const more = await asInstaller('token', '-l', 'floor=3');
    expect(more).toMatchObject({ code: 0, stderr: '' });
    expect(Object.keys(await tokens()).sort()).toEqual(['cam-1', 'cam-2', 'cam-3']);
    const entry = Buffer.from((await tokens())['cam-1'] ?? '', 'base64').toString();
    expect(entry).toMatch(/^sha256:[0-9a-f]{64} 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
    const secret = /^cam-1 +(\S+)/m.exec(more.stdout)?.[1] ?? 'none';
    expect(JSON.stringify(await tokens())).not.toContain(Buffer.from(secret).toString('base64').slice(0, 40));
  });

  it('may read and write no other Secret', async () => {
    for (const verb of ['get', 'patch', 'update', 'delete'])
      expect((await cluster.kubectl(['auth', 'can-i', verb, 'secrets/other', '-n', SITE, '--as', INSTALLER])).stdout.trim()).toBe('no');
  });

  it('of six at the same moment keeps every entry', async () => {
    const names = Array.from({ length: 6 }, (_, n) => `hall-${n}`);
    await apply(...names.map((name) => device(name, { enrollment: 'EST' })));
    const runs = await Promise.all(names.map((name) => asInstaller('token', name)));
    expect(runs.map(({ code, stderr }) => [code, stderr])).toEqual(names.map(() => [0, '']));
    expect(Object.keys(await tokens())).toEqual(expect.arrayContaining(names));
  });
});
