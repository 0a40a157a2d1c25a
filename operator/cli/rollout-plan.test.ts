import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { rolloutPlan } from './rollout-plan.ts';
import { typed } from './testing/heard.ts';

const GUIDE = readFileSync('docs/guides/plan-a-rollout.md', 'utf8');
/** The first fenced block that begins so, from its first line or from `keep` on. */
const blockOf = (start: string, keep = ''): string => `${keep}${GUIDE.split(`\`\`\`${start}`)[1]?.split('```')[0]}`;
type Json = { metadata: Record<string, unknown>; spec: Record<string, unknown> };

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-plan-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const release = (): Json => parse(blockOf('yaml\n')) as Json;
const camera = (at: number, more: object = {}): object => ({
  apiVersion: 'hedgerow.dev/v1alpha1',
  kind: 'Device',
  metadata: {
    name: `cam-${at}`,
    namespace: ['berlin', 'paris', 'rome', 'oslo'][at % 4],
    uid: `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`,
    labels: { product: 'cam', ...(at < 10 ? { stage: 'lab' } : {}) },
  },
  spec: {
    segment: 'cameras',
    hardware: { model: at % 50 === 11 ? 'cam-1' : 'cam-2' },
    identity: { enrollment: 'CSR' },
    ...(at === 500 ? { firmware: { hold: true } } : {}),
    ...more,
  },
});
const withInstallWindow = (window: object): Json => {
  const one = release();
  one.spec.rollout = { ...(one.spec.rollout as object), windows: { install: [window] } };
  return one;
};
const fleet = (): object[] => Array.from({ length: 1000 }, (_, at) => camera(at));

function written(objects: readonly unknown[], name = 'fleet.json'): string {
  writeFileSync(join(dir, name), JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  return dir;
}
const plan = (...flags: string[]) => typed(rolloutPlan, 'rollout', 'plan', dir, ...flags);

describe('kubectl hedgerow rollout plan', () => {
  it('prints for the example of the guide what the guide says', async () => {
    written([release(), ...fleet()]);
    const { out, err, code } = await plan();
    expect(`$ kubectl hedgerow rollout plan fleet\n${out}`).toBe(blockOf('\n$', '$'));
    expect(err.trim().split('\n')).toHaveLength(2);
    expect(code).toBe(3);
  });

  it('names the devices of a wave, and gives everything to scripts', async () => {
    written([release(), ...fleet()]);
    const { out } = await plan('--wave', 'lab');
    expect(out).toMatch(/^((berlin|paris|rome|oslo)\/cam-\d\n){5}$/);
    const report = JSON.parse((await plan('-o', 'json')).out) as Json;
    expect(report).toMatchObject({ release: 'berlin/cam-2.4.0', gateNeeds: 149, notReached: { Incompatible: 20, Held: 1 } });
  });

  it('says of each device that it does not reach why', async () => {
    const one = release();
    one.spec.requires = [{ component: 'bootloader', version: '>=1.4.0' }];
    const runs = (at: number, running: object): object => ({ ...camera(at), status: { firmware: running } });
    const boot = { version: '1.5.0', digest: 'sha256:c' };
    written([
      one,
      runs(0, { bootloader: boot }),
      runs(1, { bootloader: { ...boot, version: '1.3.9' } }),
      runs(2, { bootloader: boot, app: { version: '2.5.0', digest: 'sha256:d' } }),
      runs(3, { bootloader: boot, app: { version: '2.3.0', digest: 'sha256:d', securityCounter: 8 } }),
      runs(4, { bootloader: boot, app: { version: '2.4.0', digest: `sha256:${'b'.repeat(64)}` } }),
      runs(5, { bootloader: { version: 'new', digest: 7 } }),
      { ...camera(6, { firmware: { pin: '2.3.0' } }), status: 'odd' },
    ]);
    expect((await plan('--not-reached')).out).toBe(
      [
        'DEVICE         WHY       REASON',
        'paris/cam-1    Blocked   it needs bootloader >=1.4.0 first and runs 1.3.9',
        'rome/cam-2     Newer     it runs 2.5.0',
        'oslo/cam-3     Newer     its security counter is 8, that of the release 7',
        'berlin/cam-4   Current   it runs 2.4.0',
        'paris/cam-5    Blocked   it needs bootloader >=1.4.0 first and runs an unknown one',
        'rome/cam-6     Held      spec.firmware.pin 2.3.0',
        '',
      ].join('\n'),
    );
    expect((await plan()).out).toMatch(
      /not reached +2 that need something else first, 2 that run something newer, 1 that run it already, 1 held\n/,
    );
  });

  it('ends with 0 where each gate can pass and everybody is in a wave', async () => {
    const one = release();
    one.spec.rollout = { waves: [{ name: 'canary', size: '150' }, { name: 'rest' }], gates: { error: { ratio: '2%', minSample: 20 } } };
    written([one, ...fleet()]);
    expect(await plan()).toMatchObject({ code: 0, err: '' });
  });

  it.each<[says: string, change: (one: Json) => void, message: RegExp]>([
    [
      'a gate that nothing passes',
      (one) => (one.spec.rollout = { waves: [{ name: 'a', size: '5' }, { name: 'b' }], gates: { error: { ratio: '0%', minSample: 1 } } }),
      /HR-CLI-077.*wave a: no number of devices/,
    ],
    [
      'devices in no wave',
      (one) => (one.spec.rollout = { waves: [{ name: 'a', size: '900' }] }),
      /HR-CLI-077.*79 devices are in no wave: .*and 74 more/,
    ],
    ['an order that will be another', (one) => delete one.metadata.uid, /HR-CLI-077.*no metadata.uid/],
  ])('says %s', async (_, change, message) => {
    const one = release();
    change(one);
    written([one, ...fleet()]);
    const { err, code } = await plan();
    expect(err).toMatch(message);
    expect(code).toBe(3);
  });

  it.each<[says: string, objects: () => unknown[], flags: string[], code: RegExp]>([
    ['no release', () => fleet(), [], /HR-CLI-075.*there is no FirmwareRelease/],
    [
      'two of them',
      () => [release(), { ...release(), metadata: { name: 'b', namespace: 'berlin' } }],
      [],
      /HR-CLI-075.*several; there is berlin\/cam-2.4.0, berlin\/b/,
    ],
    ['another name', () => [release()], ['--release', 'c'], /HR-CLI-075.*none; there is berlin\/cam-2.4.0/],
    ['another wave', () => [release()], ['--wave', 'c'], /HR-CLI-075.*no wave c; there is lab, canary/],
    ['a release that is none', () => [{ ...release(), spec: { ...release().spec, version: 'latest' } }], [], /HR-CLI-076.*spec.version/],
    [
      'a window that never opens',
      () => [withInstallWindow({ cron: '0 0 31 2 *', duration: '2h' })],
      [],
      /HR-CLI-076.*spec.rollout.windows: cron "0 0 31 2 \*" never fires/,
    ],
    ['a spec that is no object', () => [{ ...release(), spec: 3 }], [], /HR-CLI-076/],
  ])('ends with 1 and a code for %s', async (_, objects, flags, code) => {
    written(objects());
    const heard = await plan(...flags);
    expect(heard.err).toMatch(code);
    expect(heard.code).toBe(1);
  });

  it('says when windows open', async () => {
    written([withInstallWindow({ cron: '* * * * *', duration: '1h' }), ...fleet()]);
    expect((await plan()).out).toMatch(/\ninstall opens +now, until 20\d\d-\d\d-\d\dT\d\d:\d\d:00.000Z\n/);
    written([withInstallWindow({ cron: '0 3 * * 6', duration: '2h', tz: 'Device' }), ...fleet()]);
    expect((await plan()).out).toMatch(/\ninstall opens +when the device says so\n/);
  });

  it('goes on without a Device that is none, and names it', async () => {
    written([release(), ...fleet(), camera(1000, { segment: 7 }), { kind: 'Device' }, 'x', null]);
    const { err, out, code } = await plan();
    expect(err).toMatch(/HR-CLI-060.*rome\/|HR-CLI-060.*berlin\/cam-1000: spec.segment/);
    expect(out).toContain('canary      150');
    expect(code).toBe(3);
  });
});
