import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import type { Device } from '../api/device.ts';
import { DEVICES } from '../api/resources.ts';
import { issue, makeCsr } from '../identity/testing/authority.ts';
import { FakeApi } from '../identity/testing/fake-api.ts';
import { KubeError } from '../kube/errors.ts';
import { FakeClock } from '../runtime/clock.ts';
import { importFleet } from './import.ts';
import type { ImportClient } from './import-cluster.ts';
import { COLUMNS } from './import-csv.ts';
import { readBeside } from './import-files.ts';
import { type ImportWish, runImport } from './import-run.ts';
import { listen, typed } from './testing/heard.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const root = mkdtempSync(join(tmpdir(), 'import-'));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;
const NOW = Date.parse('2026-03-01T00:00:00Z');
const csr = await makeCsr();
const certificate = await issue(await makeCsr(), {
  notBefore: NOW - 1_000,
  notAfter: NOW + 8_760 * 3_600_000,
  subject: [['CN', 'sensor 4711']],
});

function scene() {
  const dir = join(root, `${++folders}`);
  const files = mkdtempSync(join(root, 'files-'));
  const api = new FakeApi();
  const clock = new FakeClock(NOW);
  const asked: string[] = [];
  const client = {
    get: (type, ref) => api.get(type, ref),
    list: (type, options) => api.list(type, options),
    create: (type, object) => api.create(type, object),
    mergePatch: (type, ref, patch, options) => api.mergePatch(type, ref, patch, options),
    raw: async (method, path) => void asked.push(`${method} ${path}`),
  } as ImportClient;
  let made = 0;
  const run = async (csv: string, wish: Partial<ImportWish> = {}, over: Partial<ImportClient> = {}) => {
    const { heard, output } = listen();
    const full: ImportWish = {
      ...{ bytes: Buffer.from(csv), namespace: 'berlin', enrollment: undefined, out: dir, apply: false, dryRun: false, replace: false },
      ...{ tokenMs: undefined, read: readBeside(files), ...wish },
    };
    const isConnected = full.apply || full.tokenMs !== undefined;
    const deps = {
      client: isConnected ? { ...client, ...over } : undefined,
      clock,
      output,
      random: (n: number) => Buffer.alloc(n, ++made),
    };
    return { code: await runImport(deps, full), ...heard };
  };
  const manifest = (name: string): Device => parse(readFileSync(join(dir, `${name}.yaml`), 'utf8'), { version: '1.1' }) as Device;
  const secrets = (): Record<string, string> =>
    (api.objects.get('secrets/berlin/hedgerow-est-tokens') as { data?: Record<string, string> } | undefined)?.data ?? {};
  return { dir, files, api, client, clock, asked, run, manifest, secrets };
}

describe('a row', () => {
  it('becomes a manifest, with nothing in it that the row does not say', async () => {
    const { run, manifest, files } = scene();
    writeFileSync(join(files, 'thermo-17.csr'), csr);
    const { code, out, err } = await run(
      'name,segment,model,revision,serial,duration,renew_before,offline_budget,label:floor,label:on,label:empty\n' +
        'thermo-17,office,tmp-2,1.3,A1,720h,240h,72h,3,yes,\n',
    );
    expect([code, err, out]).toEqual([0, '', '1 of 1 rows in: 1 new, 0 were there already; 0 refused\n']);
    expect(manifest('thermo-17')).toEqual({
      ...{ apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device' },
      metadata: { name: 'thermo-17', namespace: 'berlin', labels: { floor: '3', on: 'yes' } },
      spec: {
        segment: 'office',
        hardware: { model: 'tmp-2', revision: '1.3', serial: 'A1' },
        identity: { enrollment: 'CSR', csr, duration: '720h', renewBefore: '240h' },
        offlineBudget: '72h',
      },
    });
  });

  it('of each way of enrollment', async () => {
    const { run, manifest, files } = scene();
    writeFileSync(join(files, 'of-17.pem'), csr);
    writeFileSync(join(files, 'old.crt'), certificate);
    const { code, err } = await run(
      'name,segment,serial,enrollment,bootstrap,csr_file,secret_name\n' +
        'thermo-17,office,,CSR,,of-17.pem,\nold,office,,Existing,,,\ncam,office,,EST,,,\ngate,office,G1,EST,Manufacturer,,\nhub,office,,Managed,,,\nhub-2,office,,Managed,,,own\n',
    );
    expect([code, err]).toEqual([0, '']);
    expect(['thermo-17', 'old', 'cam', 'gate', 'hub', 'hub-2'].map((name) => manifest(name).spec.identity)).toEqual([
      { enrollment: 'CSR', csr },
      { enrollment: 'Existing', existing: { certificate } },
      { enrollment: 'EST', est: { bootstrap: 'Token' } },
      { enrollment: 'EST', est: { bootstrap: 'Manufacturer' } },
      { enrollment: 'Managed', secretName: 'hub-tls' },
      { enrollment: 'Managed', secretName: 'own' },
    ]);
  });

  it.each<[what: string, cells: Record<string, string>, problem: RegExp]>([
    ['without a name', { name: '' }, /HR-ID-012/],
    ['with a name that is none', { name: 'Cam 1' }, /HR-ID-012/],
    ['with a name that is too long with its namespace', { name: 'a'.repeat(60) }, /HR-ID-012/],
    ['with a name that is a path', { name: '../../etc/cron.d/x' }, /HR-ID-012/],
    ['without a segment', { segment: '' }, /HR-ID-012/],
    ['with an enrollment that does not exist', { enrollment: 'Magic' }, /HR-CLI-052: enrollment "Magic" is none of/],
    ['with a bootstrap that does not exist', { bootstrap: 'Magic' }, /HR-CLI-052: spec\.identity\.est\.bootstrap/],
    ['with a serial that is a formula', { serial: '=cmd|calc' }, /HR-CLI-052: spec\.hardware\.serial: HR-API-015/],
    ['with a NUL', { model: 'a\0b' }, /HR-CLI-052: spec\.hardware\.model/],
    ['with a model that is too long', { model: 'm'.repeat(65) }, /HR-CLI-052: spec\.hardware\.model/],
    ['with a duration in days', { duration: '30d' }, /HR-CLI-052: spec\.identity\.duration/],
    ['with a duration of a moment', { duration: '5s' }, /HR-CLI-052: duration is at least/],
    ['with a renewal that is never', { duration: '1h', renew_before: '2h' }, /HR-CLI-052: renew_before/],
    ['with a budget that outlasts its certificate', { offline_budget: '300h' }, /HR-CLI-052: offline_budget/],
    ['with a factory certificate and no serial', { bootstrap: 'Manufacturer' }, /HR-CLI-052: bootstrap Manufacturer needs serial/],
    ['with cells that contradict each other', { enrollment: 'Managed', csr_file: 'x.csr' }, /HR-CLI-052: (bootstrap|csr_file) goes with/],
    ['with a label that is none', { 'label:floor': 'third floor' }, /HR-CLI-052: "floor" with "third floor" makes no label/],
    ['without its request', { enrollment: 'CSR' }, /HR-CLI-054: .*cam\.csr \(ENOENT\)/],
    [
      'with a request that is a path',
      { enrollment: 'CSR', csr_file: '../../../etc/passwd' },
      /HR-CLI-054: the name of the file is not plain/,
    ],
    ['with a request of another device', { enrollment: 'CSR', csr_file: 'other.csr' }, /HR-ID-009/],
    ['with a request that is a key', { enrollment: 'CSR', csr_file: 'key.pem' }, /HR-ID-002/],
    ['with a request that is a folder', { enrollment: 'CSR', csr_file: 'folder' }, /HR-CLI-054/],
    ['with a request that is a device of this machine', { enrollment: 'CSR', csr_file: 'zero' }, /HR-CLI-054/],
    ['with a certificate that is none', { enrollment: 'Existing', certificate_file: 'other.csr' }, /HR-ID-071/],
  ])('%s is refused with its line, and makes no file', async (_what, change, problem) => {
    const { run, files, dir } = scene();
    writeFileSync(join(files, 'other.csr'), csr);
    writeFileSync(join(files, 'key.pem'), '-----BEGIN PRIVATE KEY-----\nc2VjcmV0LW1hcmtlcg\n-----END PRIVATE KEY-----\n');
    symlinkSync('/dev/zero', join(files, 'zero'));
    symlinkSync('/tmp', join(files, 'folder'));
    const row: Record<string, string> = {
      name: 'cam',
      segment: 'office',
      ...(change.enrollment === undefined ? { enrollment: 'EST' } : {}),
      ...change,
    };
    const quoted = Object.values(row).map((cell) => `"${cell}"`);
    const { code, err } = await run(`${Object.keys(row).join(',')}\n${quoted.join(',')}\n`);
    expect([code, err]).toEqual([1, expect.stringMatching(problem)]);
    expect(err).toMatch(/^line 2(, [^:]+)?: HR-/);
    expect(err).not.toContain('c2VjcmV0LW1hcmtlcg');
    expect(readdirSync(dir)).toEqual([]);
  });

  it('of a certificate that has expired is refused', async () => {
    const { run, files, clock } = scene();
    writeFileSync(join(files, 'old.crt'), certificate);
    await clock.advance(9_000 * 3_600_000);
    expect((await run('name,segment,enrollment\nold,office,Existing\n')).err).toContain('HR-ID-075');
  });
});

describe('docs/guides/existing-fleet.md', () => {
  const page = readFileSync(new URL('../../docs/guides/existing-fleet.md', import.meta.url), 'utf8');

  it('has a sheet that goes in as the page says', async () => {
    const { run, files } = scene();
    writeFileSync(join(files, 'sensor-4711.crt'), certificate);
    const [, sheet = ''] = /^```csv\n([\s\S]*?)^```/m.exec(page) ?? [];
    const [, said] = /^\$ kubectl hedgerow import [^\n]*\n([\s\S]*?)^```/m.exec(page) ?? [];
    expect(await run(sheet)).toEqual({ code: 0, out: said, err: '' });
  });

  it('names every column, and no other', () => {
    const named = [...page.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    );
    expect(named.filter((name) => name !== 'label:KEY').sort()).toEqual([...COLUMNS].sort());
  });
});

describe('rows', () => {
  it('that are good go through, each bad one is named, and the first of twins is taken', async () => {
    const { run, files, dir } = scene();
    writeFileSync(join(files, 'a.csr'), await makeCsr({ device: 'a' }));
    writeFileSync(join(files, 'x.crt'), certificate);
    const { code, out, err } = await run(
      'name,segment,serial,enrollment,certificate_file\n' +
        'a,office,S1,CSR,\nb,office,S1,EST,\na,office,,EST,\nc,office,S2,Existing,x.crt\nd,office,S3,Existing,x.crt\nE,office,,EST,\nf,office,S4\ng,office,,EST,\n',
    );
    expect(code).toBe(1);
    expect(out).toBe('3 of 8 rows in: 3 new, 0 were there already; 5 refused\n');
    expect(err.split('\n').map((line) => line.slice(0, 60))).toEqual([
      'line 3, b: HR-CLI-053: the serial is that of line 2. Cure: c',
      'line 4, a: HR-CLI-053: the name is that of line 2. Cure: cor',
      'line 6, d: HR-CLI-053: the key is that of line 5. Cure: corr',
      expect.stringContaining('line 7, E: HR-ID-012: '),
      'line 8, f: HR-CLI-051: it has 3 cells, the first line 5. Cur',
      '',
    ]);
    expect(readdirSync(dir).sort()).toEqual(['a.yaml', 'c.yaml', 'g.yaml']);
  });

  it('go to stdout where no folder is named, and the sum to stderr', async () => {
    const { run } = scene();
    const { code, out, err } = await run('name,segment,enrollment\na,s,EST\nb,s,EST\n', { out: undefined });
    expect([code, err]).toEqual([0, '2 of 2 rows in: 2 new, 0 were there already; 0 refused\n']);
    expect(out.split('---\n').map((one) => (parse(one) as Device).metadata.name)).toEqual(['a', 'b']);
  });

  it('that are none are no success', async () => {
    await expect(scene().run('name,segment\n')).rejects.toThrow('HR-CLI-050: it has no rows');
  });

  it('a second run finds what the first one did; a manifest that says something else stays unless --replace', async () => {
    const { run, dir, manifest } = scene();
    const csv = (model: string): string => `name,segment,enrollment,model\na,office,EST,${model}\nb,office,EST,x\n`;
    await run(csv('x'));
    const before = statSync(join(dir, 'a.yaml')).mtimeMs;
    expect((await run(csv('x'))).out).toBe('2 of 2 rows in: 0 new, 2 were there already; 0 refused\n');
    expect(statSync(join(dir, 'a.yaml')).mtimeMs).toBe(before);
    const changed = await run(csv('y'));
    expect([changed.code, changed.err]).toEqual([1, expect.stringMatching(/^line 2, a: HR-CLI-055: /)]);
    expect(manifest('a').spec.hardware?.model).toBe('x');
    expect((await run(csv('y'), { replace: true })).code).toBe(0);
    expect(manifest('a').spec.hardware?.model).toBe('y');
  });

  it('of a dry run are judged, and nothing is written', async () => {
    const { run, dir, api, asked } = scene();
    const { code, out } = await run('name,segment,enrollment\na,office,EST\nb b,office,EST\n', { apply: true, dryRun: true });
    expect([code, out]).toEqual([1, '1 of 2 rows would be in: 1 new, 0 were there already; 1 refused\n']);
    expect([existsSync(dir), api.objects.size]).toEqual([false, 0]);
    expect(asked).toEqual(['POST /apis/hedgerow.dev/v1alpha1/namespaces/berlin/devices?dryRun=All']);
  });

  it('that take long say how far they are', async () => {
    const { run, clock } = scene();
    const csv = `name,segment,enrollment\n${Array.from({ length: 100 }, (_, n) => `d-${n},office,EST\n`).join('')}`;
    const create: ImportClient['create'] = async (_type, object) => {
      await clock.advance(2_000);
      return object;
    };
    const { err } = await run(csv, { apply: true }, { create });
    expect(err).toMatch(/^\d+ of 100 rows brought in\n/);
  });
});

describe('--apply', () => {
  const CSV = 'name,segment,enrollment,serial,label:floor\na,office,EST,S1,3\nb,office,EST,S2,3\n';
  const made = (name: string, spec: object) => ({
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'Device',
    metadata: { name, namespace: 'berlin' },
    spec,
  });

  it('makes the Devices, and a second run nothing', async () => {
    const { run, api } = scene();
    expect((await run(CSV, { apply: true, out: undefined })).out).toContain('2 new');
    expect([...api.objects.keys()].sort()).toEqual(['devices/berlin/a', 'devices/berlin/b']);
    expect((await run(CSV, { apply: true, out: undefined })).out).toContain('0 new, 2 were there already');
  });

  it('leaves a Device alone that has more than the row says, and refuses one that says something else', async () => {
    const { run, api } = scene();
    const spec = {
      segment: 'office',
      hardware: { serial: 'S1' },
      identity: { enrollment: 'EST', est: { bootstrap: 'Token' }, duration: '720h' },
    };
    await api.create(DEVICES, {
      ...made('a', { ...spec, lifecycle: 'Active' }),
      metadata: { name: 'a', namespace: 'berlin', labels: { floor: '3', x: 'y' } },
    } as never);
    await api.create(DEVICES, made('b', { ...spec, segment: 'lab', hardware: { serial: 'S2' } }) as never);
    const { code, out, err } = await run(CSV, { apply: true });
    expect([code, out]).toEqual([1, '1 of 2 rows in: 1 new, 0 were there already; 1 refused\n']);
    expect(err).toMatch(/^line 3, b: HR-CLI-056: berlin\/b\. /);
    expect((await run(CSV, { apply: true, replace: true })).code).toBe(0);
    expect((await api.get<Device>(DEVICES, { name: 'b', namespace: 'berlin' }))?.spec.segment).toBe('office');
  });

  it('refuses a serial number that a Device of the cluster has', async () => {
    const { run, api } = scene();
    await api.create(DEVICES, made('z', { segment: 'office', hardware: { serial: 'S2' } }) as never);
    expect((await run(CSV, { apply: true })).err).toMatch(/^line 3, b: HR-CLI-053: the serial is that of Device z\./);
  });

  it('names what the API server refuses, and ends where it does not answer or forbids', async () => {
    const { run } = scene();
    const refuses = (status: number) => (): Promise<never> =>
      Promise.reject(new KubeError({ status, reason: 'X', message: 'no: \u001b[2J' }));
    expect((await run(CSV, { apply: true }, { create: refuses(422) })).err).toMatch(/^line 2, a: HR-CLI-057: no: \\x\{1b\}\[2J\. /);
    await expect(run(CSV, { apply: true }, { create: refuses(403) })).rejects.toThrow('no:');
  });
});

describe('--token', () => {
  const CSV = 'name,segment,enrollment\na,office,\nb,office,\nc,office,Managed\n';
  const WISH = { enrollment: 'EST', tokenMs: 3_600_000 } as const;
  const tokens = (dir: string): string[] => readFileSync(join(dir, 'tokens.csv'), 'utf8').trim().split('\n').slice(1);

  it('gives one to each row that enrols by it, in a file for its owner alone', async () => {
    const { run, dir, secrets } = scene();
    const { code, out } = await run(CSV, WISH);
    expect([code, out]).toEqual([0, '3 of 3 rows in: 3 new, 0 were there already; 0 refused; 2 new tokens in tokens.csv\n']);
    expect(statSync(join(dir, 'tokens.csv')).mode & 0o777).toBe(0o600);
    expect(tokens(dir).map((line) => line.split(',')[0])).toEqual(['a', 'b']);
    expect(Object.keys(secrets())).toEqual(['a', 'b']);
  });

  it('a second run goes on with the same ones, stores what was not stored, and never makes a used one new', async () => {
    const { run, dir, secrets, api } = scene();
    const failing: ImportClient['create'] = () => Promise.reject(new KubeError({ status: 0, reason: 'NetworkError', message: 'gone' }));
    await expect(run(CSV, WISH, { create: failing })).rejects.toThrow('gone');
    const first = tokens(dir);
    expect(secrets()).toEqual({});
    await run(CSV, WISH);
    expect([tokens(dir), Object.keys(secrets())]).toEqual([first, ['a', 'b']]);
    const used = `${Buffer.from(secrets().a ?? '', 'base64').toString()} ${'f'.repeat(64)}`;
    await api.mergePatch(
      { plural: 'secrets' } as never,
      { name: 'hedgerow-est-tokens', namespace: 'berlin' },
      { data: { a: Buffer.from(used).toString('base64') } },
    );
    expect((await run(CSV, WISH)).out).not.toContain('tokens');
    expect(Buffer.from(secrets().a ?? '', 'base64').toString()).toBe(used);
  });

  it('those that have run out are made anew, and who has enrolled needs none', async () => {
    const { run, dir, clock, api } = scene();
    await run(CSV, { ...WISH, apply: true });
    const first = tokens(dir);
    await api.mergePatch(DEVICES, { name: 'a', namespace: 'berlin' }, { status: { identity: { serialNumber: '1' } } });
    await clock.advance(2 * 3_600_000);
    expect((await run(CSV, { ...WISH, apply: true })).out).toContain('1 new tokens');
    expect([tokens(dir)[0] === first[0], tokens(dir)[1] === first[1]]).toEqual([true, false]);
  });

  it('a list of tokens that somebody edited is not written over', async () => {
    const { run, dir } = scene();
    await run(CSV, WISH);
    writeFileSync(join(dir, 'tokens.csv'), 'name,token,expires\na;b\n');
    await expect(run(CSV, WISH)).rejects.toThrow('HR-CLI-043');
  });

  it('without the right to see which tokens are used nothing is stored', async () => {
    const { run, client, secrets } = scene();
    const get: ImportClient['get'] = (type, ref) =>
      type.plural === 'secrets'
        ? Promise.reject(new KubeError({ status: 403, reason: 'Forbidden', message: 'you may not' }))
        : client.get(type, ref);
    await expect(run(CSV, WISH, { get })).rejects.toThrow('you may not');
    expect(secrets()).toEqual({});
  });
});

describe('kubectl hedgerow import', () => {
  it.each<[what: string, args: string[], complaint: string]>([
    ['no file', [], 'which FILE?'],
    ['requests and tokens', ['f', '--csr', '--token'], 'contradict each other'],
    ['tokens for nobody to see', ['f', '--token'], '--token needs --out'],
    ['an end of no tokens', ['f', '--ttl', '1h'], '--ttl goes with --token'],
  ])('is wrong use: %s', async (_what, args, complaint) => {
    const { code, err } = await typed(importFleet, 'import', ...args);
    expect([code, err.includes(complaint)]).toEqual([2, true]);
  });

  it('without a cluster needs the namespace', async () => {
    writeFileSync(join(root, 'one.csv'), 'name,segment,enrollment\na,s,EST\n');
    expect(await typed(importFleet, 'import', join(root, 'one.csv'))).toMatchObject({
      code: 2,
      err: expect.stringContaining('--namespace is required'),
    });
    expect(await typed(importFleet, 'import', join(root, 'one.csv'), '-n', 'berlin')).toMatchObject({
      code: 0,
      out: expect.stringContaining('name: a'),
    });
  });

  it('of a file that is not there, and into a folder that may not be written, says so', async () => {
    expect(await typed(importFleet, 'import', join(root, 'none.csv'), '-n', 'b')).toMatchObject({
      code: 1,
      err: expect.stringContaining('HR-CLI-004'),
    });
    writeFileSync(join(root, 'file'), '');
    chmodSync(join(root, 'file'), 0o600);
    const into = await typed(importFleet, 'import', join(root, 'one.csv'), '-n', 'b', '--out', join(root, 'file', 'x'));
    expect(into).toMatchObject({ code: 1, err: expect.stringContaining('HR-CLI-044') });
  });

  it('every flag is in its help', () => {
    for (const flag of Object.keys(importFleet.flags).filter((name) => name !== 'help')) expect(importFleet.help).toContain(`--${flag}`);
  });
});

describe('hostile sheets', () => {
  it('make no file but manifests of good names, and nothing that a terminal obeys', async () => {
    const cell = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constantFrom('a', 'b', 'office', 'EST', 'Managed', '../x', '/etc/x', '=1+1', '-x', '@y', '\0', '"', '.', 'NUL'),
    );
    const rows = fc.array(fc.array(cell, { minLength: 4, maxLength: 4 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(rows, async (all) => {
        const { run, dir } = scene();
        const csv = all.map((row) => `${row.map((text) => `"${text.replaceAll('"', '""')}"`).join(',')}\n`).join('');
        const { err, out } = await run(`name,segment,enrollment,label:x\nfine,office,EST,y\n${csv}`);
        for (const file of readdirSync(dir)) expect(file).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?\.yaml$/);
        expect(`${err}${out}`.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      }),
      { numRuns: 150 },
    );
  });
});
