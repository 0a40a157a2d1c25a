// keygen, root, sign and verify on files, as people use them one after the other.
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Command } from './command.ts';
import { firmwareKeygen } from './firmware-keygen.ts';
import { rootChange, rootInit, rootShow, rootSign } from './firmware-root.ts';
import { firmwareSign } from './firmware-sign.ts';
import { firmwareVerify } from './firmware-verify.ts';
import { type Heard, typed as typedWords } from './testing/heard.ts';

type Said = Heard & { code: number };
const typed = (command: Command, ...argv: string[]): Promise<Said> => typedWords(command, ...command.words, ...argv);
const NOTHING = (): void => undefined;
let dir: string;
const at = (name: string): string => join(dir, name);
const read = (name: string): string => readFileSync(at(name), 'utf8');
const RELEASE = `component: app
version: 2.4.0
securityCounter: 7
minVersionFloor: 2.1.0
artifacts:
  - { name: full, file: cam.bin, format: mcuboot, hardware: { models: [cam-2] } }
`;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-firmware-'));
  writeFileSync(at('cam.bin'), Buffer.alloc(200_000, 'firmware'));
  writeFileSync(at('release.yaml'), RELEASE);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function key(name: string, ...flags: string[]): Promise<string> {
  const { out, code } = await typed(firmwareKeygen, at(name), ...flags);
  expect(code).toBe(0);
  return /key id +([0-9a-f]{64})/.exec(out)?.[1] ?? expect.fail(out);
}
const good = async (said: Promise<Said>): Promise<Said> => {
  const heard = await said;
  expect(heard).toMatchObject({ code: 0, err: '' });
  return heard;
};
const init = (...flags: string[]): Promise<Said> =>
  typed(
    rootInit,
    at('roots'),
    '--root-key',
    at('anna.pub'),
    '--root-key',
    at('ben.pub'),
    '--root-threshold',
    '2',
    '--release-key',
    at('ci.pub'),
    '--release-key',
    at('cleo.pub'),
    '--release-threshold',
    '2',
    ...flags,
  );
const signRoot = (name: string): Promise<Said> => typed(rootSign, at('roots'), '--key', at(name));
const sign = (...flags: string[]): Promise<Said> => typed(firmwareSign, at('cam.dsse.json'), ...flags);
const pin = async (): Promise<string> => (JSON.parse((await good(typed(rootShow, at('roots'), '-o', 'json'))).out) as { pin: string }).pin;
const verify = async (...flags: string[]): Promise<Said> =>
  typed(firmwareVerify, at('cam.dsse.json'), '--root', at('roots'), '--pin', await pin(), ...flags);

/** Two for roots, two for releases, all in force. */
async function trusted(): Promise<Record<'anna' | 'ben' | 'ci' | 'cleo', string>> {
  const ids = {
    anna: await key('anna'),
    ben: await key('ben', '--type', 'p256'),
    ci: await key('ci'),
    cleo: await key('cleo', '--type', 'p256'),
  };
  await good(init());
  await good(signRoot('anna'));
  await good(signRoot('ben'));
  return ids;
}
async function released(): Promise<void> {
  await trusted();
  await good(sign('--release', at('release.yaml'), '--key', at('ci')));
  await good(sign('--key', at('cleo')));
}

describe('firmware keygen', () => {
  it('makes a key that only its owner may read, and prints nothing of it', async () => {
    const { out } = await good(typed(firmwareKeygen, at('anna')));
    expect(statSync(at('anna')).mode & 0o777).toBe(0o600);
    for (const line of read('anna').split('\n').slice(1, -2)) expect(out).not.toContain(line);
    expect(read('anna.pub')).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
  });

  it('overwrites nothing: not a key, not a public key, not where a link leads', async () => {
    await key('anna');
    const [before, publicBefore] = [read('anna'), read('anna.pub')];
    expect(await typed(firmwareKeygen, at('anna'))).toMatchObject({ code: 1, err: expect.stringContaining('HR-CLI-043') });
    rmSync(at('anna'));
    expect(await typed(firmwareKeygen, at('anna'))).toMatchObject({ code: 1, err: expect.stringContaining('HR-CLI-043') });
    expect([existsSync(at('anna')), read('anna.pub')]).toEqual([false, publicBefore]);
    writeFileSync(at('target'), before);
    symlinkSync(at('target'), at('linked'));
    expect(await typed(firmwareKeygen, at('linked'))).toMatchObject({ code: 1, err: expect.stringContaining('HR-CLI-043') });
    expect(read('target')).toBe(before);
  });

  it('knows two kinds', async () => expect(await typed(firmwareKeygen, at('x'), '--type', 'rsa')).toMatchObject({ code: 2 }));
});

describe('firmware root', () => {
  it('is published when enough have signed it, one after the other, and not before', async () => {
    const ids = { anna: await key('anna'), ben: await key('ben'), ci: await key('ci'), cleo: await key('cleo') };
    await good(init());
    expect((await good(signRoot('anna'))).out).toContain(`waits for 1 of: ${ids.ben.slice(0, 16)} (its own root keys)`);
    expect(readdirSync(at('roots'))).toEqual(['next.root.json']);
    expect((await good(signRoot('ben'))).out).toContain('1.root.json is published');
    expect(readdirSync(at('roots'))).toEqual(['1.root.json']);
    expect((await good(typed(rootShow, at('roots')))).out).toContain(ids.cleo);
  });

  it('may be made and signed again: the same draft keeps its signatures, another loses them, a published one stays', async () => {
    for (const name of ['anna', 'ben', 'ci', 'cleo']) await key(name);
    await good(init());
    await good(signRoot('anna'));
    const draft = read('roots/next.root.json');
    await good(signRoot('anna'));
    expect((await good(init())).out).toContain('its signatures stay');
    expect(read('roots/next.root.json')).toBe(draft);
    expect((await good(init('--expires', '2099-01-01'))).out).toContain('The 1 signatures of the draft before are void');
    await good(signRoot('anna'));
    await good(signRoot('ben'));
    const first = read('roots/1.root.json');
    expect((await good(signRoot('ben'))).out).toContain('published and has your signature');
    expect(await init()).toMatchObject({ code: 1, err: expect.stringContaining('HR-CLI-080') });
    expect(read('roots/1.root.json')).toBe(first);
  });

  it('changes hands by the signatures of both', async () => {
    const { anna, ben } = await trusted();
    await key('dan');
    await good(typed(rootChange, at('roots'), '--root-key', at('dan.pub'), '--remove-root-key', ben.slice(0, 12)));
    expect((await good(signRoot('dan'))).out).toContain(
      `waits for 2 of: ${anna.slice(0, 16)} ${ben.slice(0, 16)} (root keys of version 1)`,
    );
    await good(signRoot('anna'));
    expect((await good(signRoot('ben'))).out).toContain('2.root.json is published');
    await good(typed(rootChange, at('roots')));
    expect(await signRoot('ben')).toMatchObject({ code: 1, err: expect.stringContaining('HR-CLI-082') });
  });

  it.each<[string, () => Promise<Said>, number, string]>([
    ['a signature when there is nothing to sign', () => signRoot('ci'), 1, 'HR-CLI-081'],
    ['a public key for a private one', () => signRoot('anna.pub'), 1, 'HR-FW-030'],
    ['a private key for a public one', () => typed(rootChange, at('roots'), '--root-key', at('anna')), 1, 'HR-FW-030'],
    ['a key that nobody has', () => typed(rootChange, at('roots'), '--remove-root-key', '0123456789'), 2, 'not the beginning'],
    ['a threshold that nobody reaches', () => typed(rootChange, at('roots'), '--root-threshold', '3'), 1, 'HR-FW-006'],
    ['a threshold of 0', () => typed(rootChange, at('roots'), '--root-threshold', '0'), 2, '--root-threshold 0'],
    ['an expiry that is over', () => typed(rootChange, at('roots'), '--expires', '2020-01-01'), 2, 'over already'],
    ['an expiry that is no date', () => typed(rootChange, at('roots'), '--expires', '2027-02-30'), 2, 'no date'],
    ['a folder without roots', () => typed(rootChange, dir), 1, 'HR-CLI-081'],
    ['a folder that is not there', () => typed(rootShow, at('nowhere')), 1, 'HR-CLI-004'],
    ['no keys', () => typed(rootInit, at('other')), 2, '--root-key is required'],
  ])('refuses %s', async (_, run, code, says) => {
    await trusted();
    expect(await run()).toMatchObject({ code, err: expect.stringContaining(says) });
    expect(readdirSync(at('roots'))).toEqual(['1.root.json']);
  });

  it('does not go on from a draft that others overtook', async () => {
    await trusted();
    await good(typed(rootChange, at('roots')));
    await good(signRoot('anna'));
    const half = read('roots/next.root.json');
    await good(signRoot('ben'));
    writeFileSync(at('roots/next.root.json'), half);
    expect(await signRoot('ben')).toMatchObject({ code: 1, err: expect.stringContaining('HR-CLI-083') });
  });
});

describe('what a stranger wrote', () => {
  it('does not reach the terminal as it stands', async () => {
    await released();
    const envelope = JSON.parse(read('cam.dsse.json')) as { payload: string };
    const payload = Buffer.from(envelope.payload, 'base64').toString().replace('"component"', '"\\u001b[2J":1,"component"');
    writeFileSync(at('cam.dsse.json'), JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString('base64') }));
    const root = JSON.parse(read('roots/1.root.json')) as { signed: { keys: object } };
    writeFileSync(at('roots/2.root.json'), JSON.stringify({ ...root, signed: { ...root.signed, keys: { '\u001b[2J': {} } } }));
    const said = [await sign('--key', at('ci')), await typed(rootShow, at('roots'))];
    expect(said.map(({ err }) => /HR-FW-\d{3}/.exec(err)?.[0])).toEqual(['HR-FW-026', 'HR-FW-009']);
    for (const { out, err } of said) expect(`${out}${err}`).not.toContain('\u001b');
  });
});

describe('firmware sign', () => {
  it('says what is signed, and holds what the files are', async () => {
    await trusted();
    const { out } = await good(sign('--release', at('release.yaml'), '--key', at('ci')));
    expect(out).toMatch(/firmware +app 2\.4\.0\n/);
    expect(out).toMatch(/full +mcuboot +200000 +cam-2 +- +[0-9a-f]{64}\n/);
  });

  it('may be done again, by one key or with the same release, and nothing changes', async () => {
    await released();
    const before = read('cam.dsse.json');
    await good(sign('--key', at('cleo')));
    expect((await good(sign('--release', at('release.yaml'), '--key', at('ci')))).out).toContain('had signed');
    expect(read('cam.dsse.json')).toBe(before);
  });

  it('takes over signatures that were made apart', async () => {
    await trusted();
    await good(sign('--release', at('release.yaml')));
    copyFileSync(at('cam.dsse.json'), at('copy.json'));
    await good(sign('--key', at('ci')));
    await good(typed(firmwareSign, at('copy.json'), '--key', at('cleo')));
    await good(sign('--from', at('copy.json')));
    await good(verify());
  });

  it.each<[string, before: () => void, () => Promise<Said>, number, string]>([
    [
      'a file that changed meanwhile',
      () => writeFileSync(at('cam.bin'), 'other'),
      () => sign('--release', at('release.yaml'), '--key', at('ci')),
      1,
      'HR-CLI-085',
    ],
    ['an empty file', () => writeFileSync(at('cam.bin'), ''), () => sign('--release', at('release.yaml')), 1, 'HR-CLI-084'],
    ['a file that is not there', () => rmSync(at('cam.bin')), () => sign('--release', at('release.yaml')), 1, 'HR-CLI-004'],
    [
      'a release without artifacts',
      () => writeFileSync(at('release.yaml'), 'component: app'),
      () => sign('--release', at('release.yaml')),
      1,
      'HR-CLI-084',
    ],
    [
      'a release that is no YAML',
      () => writeFileSync(at('release.yaml'), 'a: [1'),
      () => sign('--release', at('release.yaml')),
      1,
      'HR-CLI-084',
    ],
    [
      'a release with a word that nobody knows',
      () => writeFileSync(at('release.yaml'), `${RELEASE}urgent: true\n`),
      () => sign('--release', at('release.yaml')),
      1,
      'HR-FW-026',
    ],
    [
      'a release below its floor',
      () => writeFileSync(at('release.yaml'), RELEASE.replace('2.1.0', '2.4.1')),
      () => sign('--release', at('release.yaml')),
      1,
      'HR-FW-026',
    ],
    ['an envelope that is none', () => writeFileSync(at('cam.dsse.json'), '{}'), () => sign('--key', at('ci')), 1, 'HR-FW-023'],
    ['nothing to do', NOTHING, () => sign(), 2, '--key or --from is required'],
    ['an envelope that is not there', NOTHING, () => typed(firmwareSign, at('none'), '--key', at('ci')), 2, '--release makes one'],
    [
      'signatures of another release',
      () => writeFileSync(at('x.json'), read('cam.dsse.json').replace('"payload": "ey', '"payload": "AAAAey')),
      () => sign('--from', at('x.json')),
      1,
      'HR-CLI-085',
    ],
  ])('refuses %s, and the envelope is as it was', async (_, before, run, code, says) => {
    await released();
    before();
    const there = read('cam.dsse.json');
    expect(await run()).toMatchObject({ code, err: expect.stringContaining(says) });
    expect(read('cam.dsse.json')).toBe(there);
  });
});

describe('firmware verify', () => {
  it('prints what may run, who signed it and until when the root is good', async () => {
    await released();
    const { out } = await good(verify('--artifact', at('cam.bin')));
    expect(out).toMatch(/needed +2 of 2\n/);
    expect(out).toMatch(/is full +.*cam\.bin\n/);
    expect(JSON.parse((await good(verify('-o', 'json'))).out)).toMatchObject({
      component: 'app',
      securityCounter: 7,
      threshold: 2,
      root: 1,
    });
  });

  it.each<[string, before: () => void, () => Promise<Said>, number, string]>([
    [
      'another first root',
      NOTHING,
      () => typed(firmwareVerify, at('cam.dsse.json'), '--root', at('roots'), '--pin', 'ab'.repeat(32)),
      1,
      'HR-FW-002',
    ],
    ['a pin that is none', NOTHING, () => typed(firmwareVerify, at('cam.dsse.json'), '--root', at('roots'), '--pin', 'abc'), 2, '--pin'],
    ['no pin', NOTHING, () => typed(firmwareVerify, at('cam.dsse.json'), '--root', at('roots')), 2, '--pin is required'],
    ['a file that was not signed', () => writeFileSync(at('other.bin'), 'x'), () => verify('--artifact', at('other.bin')), 1, 'HR-FW-027'],
    ['a file that is not there', NOTHING, () => verify('--artifact', at('nothing')), 1, 'HR-CLI-004'],
    ['one signature of two', () => writeFileSync(at('cam.dsse.json'), oneSignature(read('cam.dsse.json'))), () => verify(), 1, 'HR-FW-024'],
    [
      'a memory that is none',
      () => writeFileSync(at('seen.json'), '{"version":0}'),
      () => verify('--remember', at('seen.json')),
      1,
      'HR-CLI-086',
    ],
    ['an envelope that is not there', () => rmSync(at('cam.dsse.json')), () => verify(), 1, 'HR-CLI-004'],
  ])('refuses %s', async (_, before, run, code, says) => {
    await released();
    before();
    expect(await run()).toMatchObject({ code, out: '', err: expect.stringContaining(says) });
  });

  it('remembers the newest root, and refuses the folder when it is taken back', async () => {
    await released();
    await good(typed(rootChange, at('roots')));
    await good(signRoot('anna'));
    await good(signRoot('ben'));
    await good(verify('--remember', at('seen.json')));
    expect(JSON.parse(read('seen.json'))).toMatchObject({ version: 2 });
    await good(verify('--remember', at('seen.json')));
    rmSync(at('roots/2.root.json'));
    expect(await verify('--remember', at('seen.json'))).toMatchObject({ code: 1, err: expect.stringContaining('HR-FW-004') });
    expect(JSON.parse(read('seen.json'))).toMatchObject({ version: 2 });
  });

  it('of a release whose key was taken out since says so', async () => {
    await released();
    const [ci] = (JSON.parse(read('cam.dsse.json')) as { signatures: { keyid: string }[] }).signatures.map(({ keyid }) => keyid);
    await key('dan');
    await good(typed(rootChange, at('roots'), '--remove-release-key', ci ?? '', '--release-key', at('dan.pub')));
    await good(signRoot('anna'));
    await good(signRoot('ben'));
    expect(await verify()).toMatchObject({ code: 1, err: expect.stringContaining('HR-FW-024') });
    await good(sign('--key', at('dan')));
    await good(verify());
  });
});

const oneSignature = (text: string): string => {
  const envelope = JSON.parse(text) as { signatures: unknown[] };
  return JSON.stringify({ ...envelope, signatures: envelope.signatures.slice(0, 1) });
};
