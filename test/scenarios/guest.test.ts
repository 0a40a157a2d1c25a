// A guest in an EMQX that others use: first contact reads and reports, `kubectl hedgerow adopt broker` takes the place that a person agreed to, and the others keep theirs.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SEGMENT_POLICIES } from '../../operator/api/resources.ts';
import type { Json } from '../broker/config.ts';
import type { Ran } from '../controlplane/helm.ts';
import { ROOT } from '../harness/manifests.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { createDevice, type SimulatedDevice } from '../simulator/device.ts';
import { hedgerowCli, kubectlHedgerow } from './plugin.ts';
import { conditionOf, type Member, type Scene, segment, startScene, untilDevice } from './scene.ts';
import { type Forged, siteCa } from './site-ca.ts';

/** What somebody else wrote, with its comments and its spacing. */
const THEIRS = `%% the old building, ask Bob before you change this
{deny, {clientid, "guest-3"}, all, ["#"]}.
{allow, {clientid, "legacy-1"}, all, ["plant/#"]}.   % boilers

{allow, all, subscribe,
        ["board/today"]}.
{allow, all, publish, ["board/guestbook"]}.
{deny, all}.
`;

const NOT_OURS: readonly (readonly [method: string, path: string, body: Json])[] = [
  ['POST', '/banned', { as: 'clientid', who: 'guest-9', by: 'bob', reason: 'loud', until: 'infinity' }],
  [
    'PUT',
    '/authorization/sources/built_in_database/rules/clients/legacy-2',
    { clientid: 'legacy-2', rules: [{ topic: 'plant/2/#', permission: 'allow', action: 'all' }] },
  ],
];
const LOOKED_AT = [
  '/authorization/sources',
  '/authorization/settings',
  '/authorization/sources/built_in_database/rules/clients',
  '/banned?limit=10000',
  '/configs/global_zone',
  '/listeners/ssl:default',
];

/** The two settings that a shared EMQX has to have, as our guide gives them; HOCON eats one of two backslashes. */
function settingsOfTheGuide(): Record<string, Json> {
  const guide = readFileSync(join(ROOT, 'docs', 'guides', 'emqx.md'), 'utf8');
  const value = (key: string): string => new RegExp(`${key} = "(.*)"`).exec(guide)?.[1]?.replaceAll('\\\\', '\\') ?? '';
  return { client_attrs_init: [{ set_as_attr: 'seg', expression: value('expression') }], clientid_override: value('clientid_override') };
}

let scene: Scene;
let site: string;
let thermo: Member;
let legacy: SimulatedDevice;
let legacyCertificate: Forged;

beforeAll(async () => {
  scene = await startScene('guest', { startOperator: false });
  ({ site } = scene);
  const broker = scene.system.standIn();
  await put('/authorization/sources/file', { type: 'file', enable: true, rules: THEIRS });
  for (const [method, path, body] of NOT_OURS) expect((await broker.request(method, path, { body })).status).toBeLessThan(300);
  await mqttSettings({ clientid_override: 'disabled', client_attrs_init: [] });

  const sign = await siteCa(scene, site);
  legacyCertificate = await sign([[{ type: 'CN', value: 'legacy-1' }]]);
  legacy = await createDevice({ device: 'legacy-1', segment: 'none', namespace: site }, 0);
  await legacyConnects();
  expect(await legacy.subscribe('plant/#')).toBe('granted');
  await scene.system.startOperator();
  await scene.system.apply([segment('office', site)]);
  [thermo] = (await scene.enrol(['thermo'], { until: { type: 'Certified', status: 'True' } })) as [Member];
});
afterAll(async () => {
  await legacy?.close();
  await scene?.stop();
});

const legacyConnects = (): Promise<void> =>
  legacy.connect(scene.broker, legacyCertificate.certificatePem, { key: legacyCertificate.privateKeyPem });

async function put(path: string, body: Json): Promise<void> {
  const { status, text } = await scene.system.standIn().request('PUT', path, { body });
  if (status >= 300) throw new Error(`PUT ${path}: ${status} ${text}`);
}

async function get(path: string): Promise<Json> {
  return (await scene.system.standIn().request('GET', path)).body;
}

async function mqttSettings(changes: Record<string, Json>): Promise<void> {
  const zone = (await get('/configs/global_zone')) as { mqtt: Record<string, Json> };
  await put('/configs/global_zone', { ...zone, mqtt: { ...zone.mqtt, ...changes } } as Json);
}

const everything = async (): Promise<Json[]> => Promise.all(LOOKED_AT.map(get));
async function aclText(): Promise<string> {
  const { sources } = (await get('/authorization/sources')) as { sources: { type: string; rules: string }[] };
  return sources.find(({ type }) => type === 'file')?.rules ?? '';
}

function adopt(...flags: string[]): Promise<Ran> {
  const broker = join(scene.dir, 'broker');
  return hedgerowCli([
    ...['adopt', 'broker', '--broker-url', scene.system.standIn().restUrl],
    ...['--broker-api-key-file', join(broker, 'operator.key'), '--broker-ca-file', join(broker, 'rest-ca.pem')],
    ...flags,
  ]);
}
const asAdministrator = (...flags: string[]): Promise<Ran> => adopt('--kubeconfig', scene.cluster.adminKubeconfig, ...flags);

function wrongKey(): string {
  const file = join(scene.dir, 'wrong.key');
  writeFileSync(file, 'operator:NOT-THE-SECRET\n', { mode: 0o600 });
  return file;
}

describe('first contact', () => {
  it('every Device says ForeignAcl, with the command that helps', async () => {
    const device = await untilDevice(scene, thermo.ref, { type: 'Stalled', status: 'True', reason: 'ForeignAcl' });
    expect(conditionOf(device, 'Authorized')).toMatchObject({ status: 'False', reason: 'ForeignAcl' });
    expect(conditionOf(device, 'Ready')?.message).toContain('kubectl hedgerow adopt broker');
    expect(conditionOf(device, 'Segmented')?.status).toBe('True');
  });

  it('reads only: rules, records, bans and settings of the others stay as they were', async () => {
    const before = await everything();
    await scene.system.apply([segment('doors', site)]);
    await scene.enrol(['door'], { segment: 'doors', until: { type: 'Stalled', status: 'True', reason: 'ForeignAcl' } });
    await pause(1_500);
    expect(await everything()).toEqual(before);
    expect(await aclText()).toBe(THEIRS);
    expect(legacy.endedAt()).toBeUndefined();
    expect(await legacy.publish('plant/1', 'warm')).toBe('accepted');
  });
});

describe('kubectl hedgerow', () => {
  it('is found by kubectl and shows its commands; what it does not know ends with 2 and the usage', async () => {
    expect(await kubectlHedgerow(scene.dir, ['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('adopt broker') });
    const unknown = await kubectlHedgerow(scene.dir, ['revolt']);
    expect(unknown).toMatchObject({ stdout: '', code: 2 });
    expect(unknown.stderr).toContain('there is no command "revolt"');
    expect(unknown.stderr).toContain('usage: kubectl hedgerow COMMAND');
  });

  it('uses the rights of the person, and says what is missing', async () => {
    const nobody = await scene.cluster.kubeconfigFor({ user: 'carol@example.org' });
    const { code, stdout, stderr } = await adopt('--kubeconfig', nobody, '--yes');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/HR-KUBE-004: .*carol@example\.org.*cannot list.*\. Cure: /);
    expect(await aclText()).toBe(THEIRS);
  });

  it('says that a wrong key is refused, without showing it', async () => {
    const { code, stderr } = await asAdministrator('--broker-api-key-file', wrongKey());
    expect(code).toBe(1);
    expect(stderr).toMatch(/^kubectl hedgerow: HR-BRK-002: .* Cure: /m);
    expect(stderr).not.toContain('NOT-THE-SECRET');
  });

  it('adopt broker names what stays, who would lose what, and what is unsafe, and writes nothing', async () => {
    const before = await everything();
    const { code, stdout, stderr } = await asAdministrator();
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Kept, unchanged and in this order (5 of 5 rules, and all comments):');
    expect(stdout).toContain('    2  {allow, {clientid, "legacy-1"}, all, ["plant/#"]}.\n');
    expect(stdout).toMatch(/Who would lose what:\n {2}legacy-1 {2}its connection: not by this, but as soon as HR-BRK-015 below is cured/);
    expect(stdout).toContain('HR-BRK-014');
    expect(stdout).toContain('HR-BRK-015');
    expect(stdout).toContain('Nothing was written. To do this:\n  kubectl hedgerow adopt broker --broker-url https://');
    expect(await everything()).toEqual(before);
  });

  it('--keep leaves rules out and says whose subscription that costs', async () => {
    const { code, stdout } = await asAdministrator('--keep', '1,3,4,5');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Removed:\n {4}2 {2}\{allow, \{clientid, "legacy-1"\}/);
    expect(stdout).toMatch(/legacy-1 +its subscription to plant\/#/);
    expect(await asAdministrator('--keep', '6')).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no rule 6') });
    expect(await aclText()).toBe(THEIRS);
  });
});

describe('adopted', () => {
  beforeAll(async () => {
    const { code, stdout, stderr } = await asAdministrator('--yes');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Written: 5 rules of others');
  });

  it('the text of the others is all there, around a block between two marks', async () => {
    const text = await aclText();
    const [, before = '', after = ''] = /^([\s\S]*?)%% hedgerow:begin[\s\S]*%% hedgerow:end\n([\s\S]*)$/.exec(text) ?? [];
    expect(before + after).toBe(THEIRS);
    expect(before).toContain('guest-3');
    expect(after.trimStart().startsWith('{allow, {clientid, "legacy-1"}')).toBe(true);
  });

  it('Devices say what is unsafe as long as it is, and are Ready when their administrator has set it', async () => {
    const device = await untilDevice(scene, thermo.ref, { type: 'Authorized', status: 'False', reason: 'BrokerUnsafe' });
    expect(conditionOf(device, 'Authorized')?.message).toContain('HR-BRK-015');
    await mqttSettings(settingsOfTheGuide());
    await untilDevice(scene, thermo.ref, { type: 'Ready', status: 'True' }, 60_000);
  });

  it('our devices may what their segment grants, and none of what the others allow to all', async () => {
    await thermo.connect();
    expect(await thermo.tell()).toBe('accepted');
    expect(await thermo.device.publish('board/guestbook', 'hello')).toBe('refused');
    expect(await thermo.device.subscribe('board/today')).toBe('refused');
    expect(await thermo.device.subscribe('plant/#')).toBe('refused');
  });

  it('the session of the others was not touched, nor their bans and records', async () => {
    expect(legacy.endedAt()).toBeUndefined();
    expect(await legacy.publish('plant/1', 'warm')).toBe('accepted');
    const { data } = (await get('/banned?limit=10000')) as { data: { who: string; by: string }[] };
    expect(data).toContainEqual(expect.objectContaining({ who: 'guest-9', by: 'bob' }));
    const records = (await get('/authorization/sources/built_in_database/rules/clients?limit=10000')) as { data: { clientid: string }[] };
    expect(records.data.map(({ clientid }) => clientid)).toContain('legacy-2');
  });

  it('what the others edit stays; what somebody edits in our block is put back', async () => {
    const before = await aclText();
    const edited = before.replace('["plant/#"]', '["plant/#", "plant2/#"]').replace('"^(?:', '"^(?:everyone[.]here|');
    expect(edited).not.toBe(before);
    await put('/authorization/sources/file', { type: 'file', enable: true, rules: edited });
    const wanted = before.replace('["plant/#"]', '["plant/#", "plant2/#"]');
    await waitFor('the block to be put back', async () => ((await aclText()) === wanted ? true : undefined), { timeoutMs: 60_000 });
  });

  it('policies come and go in the block alone', async () => {
    await scene.api.delete(SEGMENT_POLICIES, { name: 'office', namespace: site });
    await untilDevice(scene, thermo.ref, { type: 'Segmented', status: 'False' });
    await waitFor('telemetry to be refused', async () => {
      if (!thermo.device.connected()) await thermo.connect();
      return (await thermo.device.tryPublish(`dt/office.${site}/thermo.${site}/x`, '{}')).given === 'refused' ? true : undefined;
    });
    expect(await thermo.device.publish('board/guestbook', 'hello')).toBe('refused');
    expect(await aclText()).toContain('{allow, {clientid, "legacy-1"}, all, ["plant/#", "plant2/#"]}.   % boilers');
  });

  it('adopting twice changes nothing', async () => {
    const before = await aclText();
    expect(await asAdministrator('--yes')).toMatchObject({ code: 0, stdout: expect.stringContaining('is adopted already') });
    expect(await aclText()).toBe(before);
  });
});
