// The examples of docs/guides/kubectl-hedgerow.md, typed into a shell as they stand there: what comes out is what stands below them, but for times, spans and hashes.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import { DEVICES } from '../../operator/api/resources.ts';
import { OpenSsl } from '../../operator/identity/testing/openssl.ts';
import { runProcess } from '../controlplane/helm.ts';
import { program } from '../controlplane/programs.ts';
import { ROOT } from '../harness/manifests.ts';
import { OPERATOR_NAMESPACE } from '../harness/system.ts';
import { type Member, type Scene, segment, startScene, untilDevice } from './scene.ts';

const ALICE = 'alice@example.org';
const page = readFileSync(join(ROOT, 'docs', 'guides', 'kubectl-hedgerow.md'), 'utf8');
/** Command and output, by the first word after `kubectl hedgerow`. */
const examples = new Map(
  [...page.matchAll(/^```\n\$ (kubectl hedgerow (\S+)(?:[^\n]*\\\n)*[^\n]*)\n([\s\S]*?)^```/gm)].map(
    ([, command = '', name = '', output = '']) => [name, { command, output }] as const,
  ),
);

let scene: Scene;
let site: string;
let alice: string;
let air: Member;
let thermo: Member;
let dir: string;
const ssl = new OpenSsl();
const RBAC = 'rbac.authorization.k8s.io';

beforeAll(async () => {
  scene = await startScene('guide-cli');
  ({ site } = scene);
  dir = join(scene.dir, 'desk');
  mkdirSync(dir);
  await scene.system.apply([segment('office-sensors', site), segment('doors', site)]);
  await scene.system.apply(rights());
  alice = await scene.cluster.kubeconfigFor({ user: ALICE });
  [air, thermo] = (await scene.enrol(['air-3', 'thermo-17'], { segment: 'office-sensors' })) as [Member, Member];
  await layTheDesk();
});
afterAll(async () => {
  await scene?.cluster.kubectl(['delete', 'clusterrole,clusterrolebinding', `guide-${site}`, '--ignore-not-found']);
  await scene?.cluster.kubectl(['-n', OPERATOR_NAMESPACE, 'delete', 'role,rolebinding', `guide-${site}`, '--ignore-not-found']);
  await scene?.stop();
  ssl[Symbol.dispose]();
});

/** What the page says that each command needs, and no more. */
function rights(): object[] {
  const bound = (kind: 'Role' | 'ClusterRole', namespace: string | undefined, rules: object[]): object[] => {
    const metadata = { name: `guide-${site}`, ...(namespace === undefined ? {} : { namespace }) };
    const subjects = [{ apiGroup: RBAC, kind: 'User', name: ALICE }];
    const roleRef = { apiGroup: RBAC, kind, name: metadata.name };
    return [
      { apiVersion: `${RBAC}/v1`, kind, metadata, rules },
      { apiVersion: `${RBAC}/v1`, kind: `${kind}Binding`, metadata, roleRef, subjects },
    ];
  };
  return [
    ...bound('Role', site, [
      { apiGroups: ['hedgerow.dev'], resources: ['devices'], verbs: ['get', 'list'] },
      { apiGroups: ['hedgerow.dev'], resources: ['interventions'], verbs: ['create', 'get'] },
      { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
      { apiGroups: [''], resources: ['secrets'], resourceNames: ['hedgerow-est-tokens'], verbs: ['get', 'patch'] },
    ]),
    ...bound('Role', OPERATOR_NAMESPACE, [{ apiGroups: ['hedgerow.dev'], resources: ['certificateledgers'], verbs: ['list'] }]),
    ...bound('ClusterRole', undefined, [{ apiGroups: [''], resources: ['namespaces'], verbs: ['get'] }]),
  ];
}

/** The files that the examples name, and a kubectl that finds the plugin. */
async function layTheDesk(): Promise<void> {
  copyFileSync(join(scene.dir, 'broker', 'operator.key'), join(dir, 'key'));
  copyFileSync(join(scene.dir, 'broker', 'rest-ca.pem'), join(dir, 'devices-trust.crt'));
  const rows = Array.from({ length: 9_998 }, (_, n) => `sensor-${n},office-sensors,EST,S${n}\n`);
  writeFileSync(
    join(dir, 'devices.csv'),
    `name,segment,enrollment,serial\nfirst,office-sensors,EST,F1\ncam-1,office-sensors,EST,F1\n${rows.join('')}`,
  );
  writeFileSync(join(dir, 'kubectl'), `#!/bin/sh\nexec "${(await program('cp')).bin}" kubectl "$@"\n`);
  chmodSync(join(dir, 'kubectl'), 0o755);
  if (!existsSync(join(dir, 'kubectl-hedgerow'))) symlinkSync(join(ROOT, 'bin', 'kubectl-hedgerow.mjs'), join(dir, 'kubectl-hedgerow'));
}

async function typed(name: string): Promise<{ code: number; lines: string[]; expected: string[] }> {
  const { command, output } = examples.get(name) ?? { command: 'exit 99', output: '' };
  const standIn = scene.system.standIn();
  const here = command
    .replaceAll('-n berlin', `-n ${site}`)
    .replaceAll('https://emqx.example.org:18083', standIn.restUrl)
    .replaceAll('mqtt.example.org:8883', `127.0.0.1:${standIn.mqttPort}`);
  const PATH = [dir, dirname(process.execPath), process.env.PATH ?? ''].join(':');
  const env = { PATH, KUBECONFIG: alice, NODE_EXTRA_CA_CERTS: join(dir, 'devices-trust.crt') };
  const { code, stdout, stderr } = await runProcess(['bash', '--norc', '-c', `cd "$0" && ${here}`, dir], { env });
  return { code, lines: plain(`${stderr}${stdout}`.replaceAll(site, 'berlin')), expected: plain(output) };
}

/** Without what differs from one run to the next. */
function plain(text: string): string[] {
  return text
    .replaceAll(/20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replaceAll(/\d+\.\d s\b/g, 'SPAN')
    .replaceAll(/\b\d+ (d|h|min|s)\b( \d+ (h|min)\b)?/g, 'SPAN')
    .replaceAll(/(?<![\w-])[\w-]{43}(?![\w-])/g, 'TOKEN')
    .replaceAll(/\b[0-9a-f]{32,64}\b|\b[0-9a-f]{4}…|\b(?=\w*\d)[0-9a-f]{10,32}\b/g, 'HEX')
    .replaceAll(/(intervention [\w-]+)-\w+/g, '$1-NAME')
    .split('\n')
    .map((line) => line.trim().replaceAll(/ +/g, ' '))
    .filter((line) => line !== '');
}

describe('the page has an example of', () => {
  it.each(['devices', 'identity', 'why', 'token', 'import', 'revoke', 'rotate'])('%s', (name) => expect(examples.has(name)).toBe(true));
});

describe('its example of', () => {
  it('devices', async () => {
    const weak = ssl.request({
      key: ssl.key('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'),
      subject: `/O=hedgerow/OU=doors.${site}/CN=door-1.${site}`,
    });
    const door = { apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', metadata: { name: 'door-1', namespace: site } };
    await scene.system.apply([{ ...door, spec: { segment: 'doors', identity: { csr: weak } } }]);
    await untilDevice(scene, { name: 'door-1', namespace: site }, { type: 'Stalled', status: 'True' });
    await lifecycle('Quarantined');
    await untilDevice(scene, thermo.ref, { type: 'Quarantined', status: 'True' });
    for (const member of [air, thermo]) if (!member.device.connected()) await member.connect();
    const { code, lines, expected } = await typed('devices');
    expect([code, lines]).toEqual([0, expected]);
    await lifecycle('Active');
    await untilDevice(scene, thermo.ref, { type: 'Ready', status: 'True' });
  });

  it('identity', async () => {
    const { code, lines, expected } = await typed('identity');
    expect([code, lines]).toEqual([0, expected]);
  });

  it('why', async () => {
    await thermo.device.close();
    // The operator would take the ban away while we look.
    await scene.system.operator().stop();
    const until = new Date(Date.now() + 300_000).toISOString();
    const body = { as: 'clientid', who: thermo.name, by: 'flapping detector', reason: 'flapping is detected', until };
    expect((await scene.system.standIn().request('POST', '/banned', { body })).status).toBe(200);
    const { code, lines, expected } = await typed('why');
    await scene.system.startOperator();
    expect([code, lines.slice(0, expected.length)]).toEqual([3, expected]);
  });

  it('token', async () => {
    const cam = (name: string): object => ({
      ...{ apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', metadata: { name, namespace: site } },
      spec: { segment: 'office-sensors', identity: { enrollment: 'EST' } },
    });
    await scene.system.apply([cam('cam-1'), cam('cam-2')]);
    const { code, lines, expected } = await typed('token');
    expect([code, lines]).toEqual([0, expected]);
  });

  it('import', async () => {
    const { code, lines, expected } = await typed('import');
    // How far it is, said every 5 s: on a machine that has other things to do.
    const others = lines.filter((line) => !/^\d+ of \d+ rows (checked|brought in)$/.test(line));
    expect([code, others]).toEqual([1, expected]);
  });

  it('rotate', async () => {
    await untilDevice(scene, air.ref, { type: 'Ready', status: 'True' });
    const before = (await scene.api.get<Device>(DEVICES, air.ref))?.status?.identity?.fingerprint;
    const { code, lines, expected } = await typed('rotate');
    expect([code, lines]).toEqual([0, expected]);
    const after = (await scene.api.get<Device>(DEVICES, air.ref))?.status?.identity?.fingerprint;
    expect([typeof after, after === before]).toEqual(['string', false]);
  });

  it('revoke', async () => {
    await untilDevice(scene, thermo.ref, { type: 'Ready', status: 'True' });
    const { code, lines, expected } = await typed('revoke');
    expect([code, lines]).toEqual([0, expected]);
  });
});

async function lifecycle(value: string): Promise<void> {
  const patch = JSON.stringify({ spec: { lifecycle: value } });
  await scene.system.kubectl('-n', site, 'patch', 'device', 'thermo-17', '--type', 'merge', '-p', patch);
}
