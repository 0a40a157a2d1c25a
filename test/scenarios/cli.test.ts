// The everyday commands of `kubectl hedgerow` against a whole system, and the page for the day when the operator is down.
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Intervention } from '../../operator/api/intervention.ts';
import { DEVICES, INTERVENTIONS } from '../../operator/api/resources.ts';
import type { Ran } from '../controlplane/helm.ts';
import { runProcess } from '../controlplane/helm.ts';
import { program } from '../controlplane/programs.ts';
import { ROOT } from '../harness/manifests.ts';
import { waitFor } from '../harness/wait.ts';
import { connectWith } from '../simulator/hostile.ts';
import { hedgerowCli } from './plugin.ts';
import { conditionOf, type Member, type Scene, segment, startScene, until, untilDevice } from './scene.ts';

const RESPONDER = 'alice@example.org';

let scene: Scene;
let site: string;
let responder: string;
let thermo: Member;
let air: Member;

beforeAll(async () => {
  scene = await startScene('cli');
  ({ site } = scene);
  const rbac = 'rbac.authorization.k8s.io';
  const metadata = { name: 'incident-response', namespace: site };
  await scene.system.apply([
    segment('office', site),
    {
      ...{ apiVersion: `${rbac}/v1`, kind: 'Role', metadata },
      rules: [
        { apiGroups: ['hedgerow.dev'], resources: ['interventions'], verbs: ['create', 'get', 'list', 'delete'] },
        { apiGroups: ['hedgerow.dev'], resources: ['devices'], verbs: ['get', 'list', 'watch'] },
      ],
    },
    {
      ...{ apiVersion: `${rbac}/v1`, kind: 'RoleBinding', metadata },
      roleRef: { apiGroup: rbac, kind: 'Role', name: metadata.name },
      subjects: [{ apiGroup: rbac, kind: 'User', name: RESPONDER }],
    },
  ]);
  responder = await scene.cluster.kubeconfigFor({ user: RESPONDER });
  [thermo, air] = (await scene.enrol(['thermo', 'air'])) as [Member, Member];
  await Promise.all([thermo.connect(), air.connect()]);
});
afterAll(() => scene?.stop());

const asResponder = (...args: string[]): Promise<Ran> => hedgerowCli([...args, '-n', site, '--kubeconfig', responder]);
const keyFile = (): string => join(scene.dir, 'broker', 'operator.key');
const caFile = (): string => join(scene.dir, 'broker', 'rest-ca.pem');
const brokerFlags = (): string[] => [
  ...['--broker-url', scene.system.standIn().restUrl],
  ...['--broker-api-key-file', keyFile(), '--broker-ca-file', caFile()],
];
const untilClosed = ({ device, name }: Member): Promise<true> =>
  waitFor(`the socket of ${name} to close`, () => (device.endedAt() === undefined ? undefined : true), { everyMs: 10 });
const refused = async ({ device, certificatePem }: Member): Promise<boolean> =>
  (await connectWith(scene.broker, device.key, certificatePem)).refused;
const telling = (member: Member, wanted: 'accepted' | 'refused'): Promise<true> =>
  waitFor(`telemetry of ${member.name} to be ${wanted}`, async () => {
    if (!member.device.connected()) await member.connect();
    return (await member.tell()) === wanted ? true : undefined;
  });

describe('kubectl hedgerow devices', () => {
  it('lists who is ready, and with the broker who is connected', async () => {
    const { code, stdout, stderr } = await asResponder('devices', ...brokerFlags());
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^DEVICE +SEGMENT +READY +CONNECTED +CERTIFICATE UNTIL +LAST REFUSAL\n/);
    expect(stdout).toMatch(/^air +office +True +since 20[\d:TZ-]+ +20[\d:TZ-]+ +-$/m);
  });

  it('--watch goes on with each device that changes', async () => {
    const args = [join(ROOT, 'operator', 'cli', 'main.ts'), 'devices', '--watch', '-n', site, '--kubeconfig', responder, '-o', 'json'];
    const watching = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      let stdout = '';
      watching.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        stdout += chunk;
      });
      const rows = (): { name?: string; ready?: string; key?: string }[] =>
        stdout
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as { name?: string; ready?: string; key?: string });
      const says = (what: string, found: () => boolean): Promise<true> => waitFor(what, () => (found() ? true : undefined));
      await says('the devices that are there', () => rows().length === 2);
      await scene.enrol(['late']);
      await says('the new one to become ready', () => rows().some(({ name, ready }) => name === 'late' && ready === 'True'));
      await scene.api.delete(DEVICES, { name: 'late', namespace: site });
      await says('it to go', () => rows().some(({ key }) => key === `${site}/late`));
      expect(rows().filter(({ name }) => name === 'air' || name === 'thermo')).toHaveLength(2);
    } finally {
      watching.kill();
    }
  });

  it('names the right that is missing', async () => {
    const { code, stdout, stderr } = await hedgerowCli(['devices', '-A', '--kubeconfig', responder]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/HR-KUBE-004: .* Cure: ask for the right to list devices\.hedgerow\.dev in all namespaces \(a ClusterRole\)/);
  });
});

describe('kubectl hedgerow identity', () => {
  it('says what the certificate in use says, and that the ledger has it', async () => {
    const { code, stdout, stderr } = await hedgerowCli(['identity', 'air', '-n', site, '--kubeconfig', scene.cluster.adminKubeconfig]);
    expect([code, stderr]).toEqual([0, '']);
    const { serialNumber, fingerprint256 } = new X509Certificate(air.certificatePem);
    expect(stdout).toContain(`serial       ${serialNumber.toLowerCase()}\n`);
    expect(stdout).toContain(`sha256       ${fingerprint256.replaceAll(':', '').toLowerCase()}\n`);
    expect(stdout).toContain(`segment      office.${site}, in manifest and certificate\n`);
    expect(stdout).toMatch(/^ledger +in force; for office\./m);
  });

  it('without the right to read the ledger says only that', async () => {
    const { code, stdout } = await asResponder('identity', 'air', '-o', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ client: air.name, ledger: null, certificate: { seen: { segment: `office.${site}` } } });
  });
});

describe('kubectl hedgerow quarantine, release and revoke', () => {
  it('quarantine ends when the device has only its recovery topics, in the name of who asked', async () => {
    const { code, stdout, stderr } = await asResponder('quarantine', 'thermo', '--reason', 'beaconing', '--expires', '12h');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/ asked for by alice@example\.org: intervention thermo-quarantine-\w+\n {2}Applied +20[\d:TZ-]+\ndone: /);
    await telling(thermo, 'refused');
  });

  it('release gives the rights back', async () => {
    const { code, stdout, stderr } = await asResponder('release', 'thermo');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^ended: intervention thermo-quarantine-\w+ of alice@example\.org: beaconing\nreleased /);
    await telling(thermo, 'accepted');
  });

  it('revoke ends when the device is out: its socket is closed and CONNECT refused', async () => {
    const { code, stdout, stderr } = await asResponder('revoke', 'thermo', '--reason', 'stolen', '-o', 'json');
    expect([code, stderr]).toEqual([0, '']);
    const steps = (JSON.parse(stdout) as Intervention).status?.steps?.map(({ step }) => step);
    expect(steps).toEqual(expect.arrayContaining(['Ledger', 'Broker', 'Applied']));
    await untilClosed(thermo);
    expect(await refused(thermo)).toBe(true);
    expect(await asResponder('release', 'thermo')).toMatchObject({ code: 3, stdout: expect.stringContaining('revoked by intervention') });
  });

  it('a name that is mistyped leaves nothing behind', async () => {
    const { code, stderr } = await asResponder('revoke', 'thremo', '--reason', 'stolen');
    expect([code, stderr]).toEqual([1, expect.stringContaining('HR-CLI-005')]);
    expect((await scene.api.list<Intervention>(INTERVENTIONS, { namespace: site })).map(({ spec }) => spec.target.name)).toEqual([
      'thermo',
    ]);
  });
});

describe('kubectl hedgerow why', () => {
  const mqtt = (host: string): string[] => ['--mqtt', `${host}:${scene.system.standIn().mqttPort}`, '--mqtt-ca-file', caFile()];
  const asAdministrator = (device: string, ...args: string[]): Promise<Ran> =>
    hedgerowCli(['why', device, '-n', site, '--kubeconfig', scene.cluster.adminKubeconfig, ...args]);

  it('of a device with which all is well finds nothing that stops it, and shows the way to the broker and its rules', async () => {
    const { code, stdout, stderr } = await asAdministrator('air', ...brokerFlags(), ...mqtt('127.0.0.1'));
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^[^\n]*\/air: nothing was found that stops it; it is connected since 20[\d:TZ-]+ as office\./);
    expect(stdout).toContain("Not looked at: the device's own clock and network.\n");
    expect(stdout).toMatch(/speaks TLSv1\.3 and shows:\n {2}CN=broker, until /);
    expect(stdout).toMatch(new RegExp(`Rules at the broker that name office\\.${site}:\n {2}\\{allow, `));
  });

  it('of a revoked one says so, with the ban at the broker', async () => {
    const { code, stdout } = await asAdministrator('thermo', ...brokerFlags(), '-o', 'json');
    expect(code).toBe(3);
    const { findings, clockSkewMs } = JSON.parse(stdout) as { findings: { code: string; weight: string }[]; clockSkewMs: number };
    expect(findings.filter(({ weight }) => weight === 'stops').map((one) => one.code)).toEqual(
      expect.arrayContaining(['HR-CLI-013', 'HR-CLI-019', 'HR-CLI-030']),
    );
    // One machine, one clock; the header has whole seconds, and a busy machine is late.
    expect(Math.abs(clockSkewMs)).toBeLessThan(20_000);
  });

  it('finds that the broker is not the one that devices trust, and names what it may not look at', async () => {
    const other = join(scene.dir, 'other-ca.pem');
    writeFileSync(other, air.certificatePem);
    const { code, stdout } = await asResponder('why', 'air', ...mqtt('127.0.0.1').slice(0, 2), '--mqtt-ca-file', other);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^stops {3}HR-CLI-025: [A-Z_]+\n {8}Cure: /m);
    expect(stdout).toContain('Not looked at: the namespace (get on namespaces), the ledger');
  });
});

describe('docs/guides/revoke-with-the-operator-down.md', () => {
  const page = readFileSync(join(ROOT, 'docs', 'guides', 'revoke-with-the-operator-down.md'), 'utf8');
  const [example, ...steps] = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);

  /** A block of the page as it stands, with the names of this scene and the rights of the responder. */
  async function follow(block: string | undefined): Promise<Ran> {
    const env = { DEVICE: 'air', NAMESPACE: site, REASON: 'beaconing, ticket 4711', EMQX: scene.system.standIn().restUrl };
    const PATH = [await binFolder(), process.env.PATH ?? ''].join(':');
    const script = `cd "$0"\n${block ?? 'exit 99'}`;
    // Without --norc bash reads the start-up file of the machine when its input is a socket.
    return runProcess(['bash', '--norc', '-eu', '-o', 'pipefail', '-c', script, scene.dir], {
      env: { ...env, CA: caFile(), KEY: keyFile(), PATH, KUBECONFIG: responder },
    });
  }

  async function binFolder(): Promise<string> {
    const file = join(scene.dir, 'kubectl');
    writeFileSync(file, `#!/bin/sh\nexec "${(await program('cp')).bin}" kubectl "$@"\n`);
    chmodSync(file, 0o755);
    return scene.dir;
  }

  const banOfAir = async (): Promise<{ by: string; until: string } | undefined> => {
    const { body } = await scene.system.standIn().request('GET', '/banned?limit=10000');
    return (body as { data: { as: string; who: string; by: string; until: string }[] }).data.find(({ who }) => who === air.name);
  };

  it('has the commands that are tried here', () => {
    expect(example).toContain('export DEVICE=');
    expect(steps).toHaveLength(5);
  });

  it('with the operator stopped, the device is out at once, and no key was shown', async () => {
    await scene.system.operator().stop();
    expect(await air.tell()).toBe('accepted');
    const ban = await follow(steps[0]);
    expect(ban).toMatchObject({ code: 0, stderr: '' });
    await untilClosed(air);
    expect(await refused(air)).toBe(true);
    const secret = readFileSync(keyFile(), 'utf8').trim().split(':')[1] ?? '';
    expect(secret.length).toBeGreaterThan(5);
    expect(ban.stdout).not.toContain(secret);
    expect((await follow(steps[1])).stdout).toContain('CLIENTID_NOT_FOUND');
  });

  it('the Intervention waits, and the plugin says that nobody looks at it', async () => {
    expect(await follow(steps[2])).toMatchObject({ code: 0, stderr: '' });
    const again = await asResponder('revoke', 'air', '--reason', 'twice', '--timeout', '1s');
    expect(again).toMatchObject({ code: 3, stderr: expect.stringContaining('revoke-with-the-operator-down.md') });
  });

  it('the operator takes both over: everything of the device is revoked, and the ban is still the same', async () => {
    await scene.system.startOperator();
    expect(await follow(steps[3])).toMatchObject({ code: 0 });
    const all = await scene.api.list<Intervention>(INTERVENTIONS, { namespace: site });
    for (const { metadata } of all.filter(({ spec }) => spec.target.name === 'air'))
      await until(scene, INTERVENTIONS, { name: metadata.name ?? '', namespace: site }, { type: 'Applied', status: 'True' });
    expect(await banOfAir()).toMatchObject({ by: 'incident response', until: 'infinity' });
  });

  it('and never undoes it: without any Intervention the device stays out until a person deletes the ban', async () => {
    for (const { metadata, spec } of await scene.api.list<Intervention>(INTERVENTIONS, { namespace: site }))
      if (spec.target.name === 'air') await scene.api.delete(INTERVENTIONS, { name: metadata.name ?? '', namespace: site });
    const device = await waitFor('the Device to be revoked no more', async () => {
      const seen = await untilDevice(scene, air.ref, { type: 'Ready', status: 'False' });
      return conditionOf(seen, 'Revoked') === undefined ? seen : undefined;
    });
    expect(conditionOf(device, 'Certified')).toMatchObject({ status: 'False' });
    expect(await banOfAir()).toMatchObject({ by: 'incident response' });
  });

  it('until the page takes it back', async () => {
    const again = await asResponder('revoke', 'air', '--reason', 'to be taken back');
    expect(again.code).toBe(0);
    expect(await follow(steps[4])).toMatchObject({ code: 0 });
    const left = await scene.api.list<Intervention>(INTERVENTIONS, { namespace: site });
    expect(left.map(({ spec }) => spec.target.name)).toEqual(['thermo']);
    await waitFor('the ban to be gone', async () => ((await banOfAir()) === undefined ? true : undefined));
  });
});
