// Certificates that a kubelet replaces while the server runs, and who signed what.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { isSignedByOneOf, leadsTo, readPem } from './chain.ts';
import { type Material, readMaterial, watchMaterial } from './files.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const dir = mkdtempSync(join(tmpdir(), 'est-files-'));
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
    expect(leadsTo(one('deep'), [one('middle')], [one('ours')], now)).toBe(true);
    expect(leadsTo(one('deep'), [], [one('ours')], now)).toBe(false);
    expect(leadsTo(one('deep'), [one('middle')], [one('namesake')], now)).toBe(false);
    expect(leadsTo(one('deep'), [one('middle')], [one('ours')], now + 25 * 86_400_000)).toBe(false);
    expect(leadsTo(one('forged'), [one('no-ca')], [one('ours')], now)).toBe(false);
    expect(leadsTo(one('by-plain'), [one('plain')], [one('ours')], now)).toBe(false);
    // What the client sent is never an anchor.
    expect(leadsTo(one('leaf'), [one('ours')], [one('namesake')], now)).toBe(false);
  });
});

describe('the files of the server', () => {
  const paths = { certFile: at('server.crt'), keyFile: at('server.key'), caFile: at('ca.crt') };
  const put = (name: string): void => {
    for (const end of ['crt', 'key']) copyFileSync(at(`${name}.${end}`), at(`server.${end}`));
    copyFileSync(at('ours.crt'), at('ca.crt'));
  };

  it('are in force as soon as they change, and the last good ones as long as they do not read', async () => {
    put('ours');
    const clock = new FakeClock();
    const stop = new AbortController();
    const seen: Material[] = [];
    const first = await readMaterial(paths);
    const watching = watchMaterial(paths, first, (material) => seen.push(material), { clock, log: silentLog, signal: stop.signal });
    // Reading files takes real time between two steps of the clock.
    const look = async (): Promise<void> => {
      await clock.advance(10_000);
      await new Promise((resolve) => setTimeout(resolve, 50));
    };
    await look();
    expect(seen).toHaveLength(0);
    writeFileSync(at('server.crt'), 'half a file');
    await look();
    expect(seen).toHaveLength(0);
    put('namesake');
    await expect
      .poll(async () => {
        await look();
        return seen.length;
      })
      .toBe(1);
    expect(seen[0]?.cert).toBe(readFileSync(at('namesake.crt'), 'utf8'));
    stop.abort(new Error('enough'));
    await watching;
  });

  it('are refused at the start when there is no CA in them', async () => {
    put('ours');
    writeFileSync(at('ca.crt'), 'nothing');
    await expect(readMaterial(paths)).rejects.toThrow('ca.crt holds no CA certificates in PEM');
  });
});
