// Who signed what: by the signature, whatever the names say.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isPath, isSignedByOneOf, pathTo, readPem } from './chain.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const dir = mkdtempSync(join(tmpdir(), 'chain-'));
const at = (name: string): string => join(dir, name);
const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
const one = (name: string) => {
  const [certificate] = readPem(readFileSync(at(`${name}.crt`), 'utf8')) ?? [];
  if (certificate === undefined) throw new Error(`${name} does not read`);
  return certificate;
};

function root(name: string, subject: string): void {
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`);
  openssl('req', '-x509', '-key', `${name}.key`, '-subj', subject, '-days', '30', '-out', `${name}.crt`);
}
function child(name: string, by: string, extensions: string): void {
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`);
  openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
  writeFileSync(at(`${name}.ext`), extensions);
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${by}.crt`,
    '-CAkey',
    `${by}.key`,
    '-CAcreateserial',
    '-days',
    '20',
    '-extfile',
    `${name}.ext`,
    '-out',
    `${name}.crt`,
  );
}

const CA = 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n';
// Without a key identifier there is only the name, which anybody may use, and the signature.
const LEAF = 'authorityKeyIdentifier=none\nkeyUsage=critical,digitalSignature\n';

/** Not before they were made. */
let now: number;

beforeAll(() => {
  root('ours', '/CN=root');
  root('namesake', '/CN=root');
  child('middle', 'ours', CA);
  child('no-ca', 'ours', LEAF);
  child('leaf', 'ours', LEAF);
  child('deep', 'middle', LEAF);
  child('forged', 'no-ca', LEAF);
  // No usages that would forbid it, and no word that it is a CA.
  child('plain', 'ours', 'authorityKeyIdentifier=none\n');
  child('by-plain', 'plain', LEAF);
  now = Date.now();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const leads = (...args: Parameters<typeof pathTo>): boolean => pathTo(...args) !== undefined;

describe('who signed a certificate', () => {
  it('is told by the signature, not by the name', () => {
    expect(isSignedByOneOf(one('leaf'), [one('ours')], now)).toBe(true);
    expect(isSignedByOneOf(one('leaf'), [one('namesake')], now)).toBe(false);
    expect(isSignedByOneOf(one('leaf'), [one('namesake'), one('ours')], now)).toBe(true);
    expect(isSignedByOneOf(one('leaf'), [], now)).toBe(false);
  });

  it('is nobody whose certificate is none of a CA, or has expired', () => {
    expect(isSignedByOneOf(one('forged'), [one('no-ca')], now)).toBe(false);
    expect(isSignedByOneOf(one('by-plain'), [one('plain')], now)).toBe(false);
    expect(isSignedByOneOf(one('leaf'), [one('ours')], now + 40 * 86_400_000)).toBe(false);
  });

  it('may be an intermediate that the client sent, when it leads to an anchor', () => {
    expect(leads(one('deep'), [one('middle')], [one('ours')], now)).toBe(true);
    expect(leads(one('deep'), [], [one('ours')], now)).toBe(false);
    expect(leads(one('deep'), [one('middle')], [one('namesake')], now)).toBe(false);
    expect(leads(one('deep'), [one('middle')], [one('ours')], now + 25 * 86_400_000)).toBe(false);
    expect(leads(one('forged'), [one('no-ca')], [one('ours')], now)).toBe(false);
    expect(leads(one('by-plain'), [one('plain')], [one('ours')], now)).toBe(false);
    // What the client sent is never an anchor.
    expect(leads(one('leaf'), [one('ours')], [one('namesake')], now)).toBe(false);
  });
});

describe('a path', () => {
  it('is leaf, intermediates and anchor, in this order, each signed by the next', () => {
    const path = pathTo(one('deep'), [one('leaf'), one('middle')], [one('namesake'), one('ours')], now) ?? [];
    expect(path.map(({ fingerprint256 }) => fingerprint256)).toEqual(['deep', 'middle', 'ours'].map((name) => one(name).fingerprint256));
    expect(isPath(path, now)).toBe(true);
  });

  it.each([
    ['nothing', []],
    ['a certificate alone', ['ours']],
    ['a way to another CA of the name', ['leaf', 'namesake']],
    ['a gap', ['deep', 'ours']],
    ['a wrong order', ['middle', 'deep', 'ours']],
    ['somebody in between who is no CA', ['forged', 'no-ca', 'ours']],
  ])('%s is none', (_name, names) =>
    expect(
      isPath(
        names.map((name) => one(name)),
        now,
      ),
    ).toBe(false),
  );

  it('is none when a certificate on it has expired; the anchor stands as it is', () => {
    const path = [one('deep'), one('middle'), one('ours')];
    expect(isPath(path, now + 25 * 86_400_000)).toBe(false);
  });
});
