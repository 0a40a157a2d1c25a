// The commands that bring a fleet in, against a real API server and with no operator: what they write is what the server takes, with the rights that the guide names.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { issue, makeCsr } from '../../operator/identity/testing/authority.ts';
import { installApi } from '../api/server.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import type { Ran } from '../controlplane/helm.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { ROOT } from '../harness/manifests.ts';
import { waitFor } from '../harness/wait.ts';
import { hedgerowCli } from './plugin.ts';

const SITE = 'fleet-site';
const INSTALLER = 'ines@example.org';

const dir = mkdtempSync(join(tmpdir(), 'fleet-'));
let cluster: Cluster;
let installer: string;
beforeAll(async () => {
  cluster = await sharedCluster();
  await installApi(cluster);
  installer = await cluster.kubeconfigFor({ user: INSTALLER });
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: SITE } });
});
afterAll(async () => {
  await cluster?.kubectl(['delete', 'namespace', SITE, '--wait=false', '--ignore-not-found']);
  rmSync(dir, { recursive: true });
});

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
  const pages = ['kubectl-hedgerow.md', 'existing-fleet.md'].map((page) => readFileSync(join(ROOT, 'docs', 'guides', page), 'utf8'));
  const block = [...pages.join('\n').matchAll(/^```yaml\n([\s\S]*?)^```/gm)]
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

describe('kubectl hedgerow import', () => {
  const HEADER = 'name,segment,model,revision,serial,enrollment,label:floor,label:on\n';
  const write = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const devices = async (prefix: string): Promise<string[]> => {
    const { stdout } = await cluster.kubectl(['-n', SITE, 'get', 'devices', '-o', 'name']);
    return stdout.split('\n').flatMap((line) => (line.startsWith(`device.hedgerow.dev/${prefix}`) ? [line.slice(20)] : []));
  };

  it('makes manifests that the API server takes as they are', async () => {
    mkdirSync(join(dir, 'files'));
    const names = { namespace: SITE, segment: 'office' };
    writeFileSync(join(dir, 'files', 'i-1.csr'), await makeCsr({ device: 'i-1', ...names }));
    const lifetime = { notBefore: Date.now() - 1_000, notAfter: Date.now() + 86_400_000 };
    writeFileSync(join(dir, 'files', 'i-2.crt'), await issue(await makeCsr(), { ...lifetime, subject: [['CN', 'sensor']] }));
    const sheet = write(
      'all.csv',
      `${HEADER}i-1,office,yes,1.3,0123,CSR,3,yes\ni-2,office,on,1e3,0x1F,Existing,03,\ni-3,office,~,null,S3,EST,,\ni-4,office,,,null,Managed,true,off\n`.replace(
        '~',
        'n',
      ),
    );
    const out = join(dir, 'manifests');
    expect(await asInstaller('import', sheet, '--files', join(dir, 'files'), '--out', out)).toMatchObject({ code: 0, stderr: '' });
    const applied = await cluster.kubectl(['apply', '--server-side', '--validate=strict', '-f', out]);
    expect(applied).toMatchObject({ code: 0, stderr: '' });
    const { stdout } = await cluster.kubectl(['-n', SITE, 'get', 'device', 'i-1', '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({
      metadata: { labels: { floor: '3', on: 'yes' } },
      spec: { hardware: { model: 'yes', revision: '1.3', serial: '0123' } },
    });
  });

  it('--apply with the role of the guide makes Devices and tokens; killed in the middle and run again it comes to the same end', async () => {
    await grantRoleOfGuide('hedgerow-import');
    const rows = Array.from({ length: 300 }, (_, n) => `fleet-${n},office,tmp,1,F${n},EST,,\n`).join('');
    const sheet = write('fleet.csv', `${HEADER}${rows}`);
    const args = ['import', sheet, '-n', SITE, '--out', join(dir, 'fleet'), '--apply', '--token', '--kubeconfig', installer];
    const child = spawn(process.execPath, [join(ROOT, 'operator', 'cli', 'main.ts'), ...args], { stdio: 'ignore' });
    const over = new Promise((resolve) => child.on('close', resolve));
    await waitFor('some Devices to be there', async () => ((await devices('fleet-')).length > 10 ? true : undefined), { everyMs: 20 });
    child.kill('SIGKILL');
    await over;
    const again = await hedgerowCli(args);
    expect(again).toMatchObject({ code: 0, stderr: expect.not.stringContaining('HR-') });
    expect(again.stdout).toMatch(/^300 of 300 rows in: \d+ new, \d+ were there already; 0 refused; 300 new tokens in tokens\.csv\n$/);
    expect((await devices('fleet-')).length).toBe(300);
    expect(readdirSync(join(dir, 'fleet'))).toHaveLength(301);
    expect((await hedgerowCli(args)).stdout).toBe('300 of 300 rows in: 0 new, 300 were there already; 0 refused\n');
  });

  it('names what the API server refuses with the line, and what is in the cluster already', async () => {
    const sheet = write('bad.csv', `${HEADER}fleet-1,elsewhere,tmp,1,F1,EST,,\nnew-1,office,tmp,1,F2,EST,,\nnew-2,office,tmp,1,N2,EST,,\n`);
    const { code, stdout, stderr } = await asInstaller('import', sheet, '--apply');
    expect([code, stdout]).toEqual([1, '1 of 3 rows in: 1 new, 0 were there already; 2 refused\n']);
    expect(stderr).toMatch(/^line 2, fleet-1: HR-CLI-056: .*\nline 3, new-1: HR-CLI-053: the serial is that of Device fleet-2\..*\n$/);
  });

  it.each([
    ['duration', '5s'],
    ['duration', '99999h'],
    ['renew_before', '800h'],
    ['offline_budget', '300h'],
  ])('refuses without a cluster what the API server refuses: %s %s', async (column, value) => {
    const sheet = write('times.csv', `name,segment,enrollment,${column}\ntimes,office,EST,${value}\n`);
    expect((await asInstaller('import', sheet)).stderr).toContain('line 2, times: HR-CLI-052: ');
    const field = { duration: 'duration', renew_before: 'renewBefore' }[column];
    const object = device('times', { enrollment: 'EST', ...(field === undefined ? {} : { [field]: value }) }) as { spec: object };
    const manifest = { ...object, spec: { ...object.spec, ...(field === undefined ? { offlineBudget: value } : {}) } };
    const { code, stderr } = await cluster.kubectl(['apply', '--dry-run=server', '-f', '-'], JSON.stringify(manifest));
    expect([code, stderr]).toEqual([1, expect.stringContaining('HR-API-007')]);
  });
});
