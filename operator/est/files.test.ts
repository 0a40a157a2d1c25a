// Certificates that a kubelet replaces while the server runs.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { type Material, readMaterial, watchMaterial } from './files.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const dir = mkdtempSync(join(tmpdir(), 'est-files-'));
const at = (name: string): string => join(dir, name);
const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
function root(name: string, subject: string): void {
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`);
  openssl('req', '-x509', '-key', `${name}.key`, '-subj', subject, '-days', '30', '-out', `${name}.crt`);
}
beforeAll(() => {
  root('ours', '/CN=root');
  root('namesake', '/CN=root');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('the files of the server', () => {
  const paths = { certFile: at('server.crt'), keyFile: at('server.key'), caFile: at('ca.crt'), moreCasFile: at('more.crt') };
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
    // After a rotation of the CA: what the operator has seen counts beside what the administrator gave, each once.
    writeFileSync(at('more.crt'), readFileSync(at('ours.crt'), 'utf8') + readFileSync(at('namesake.crt'), 'utf8'));
    await expect
      .poll(async () => {
        await look();
        return seen.at(-1)?.authorities.length;
      })
      .toBe(2);
    stop.abort(new Error('enough'));
    await watching;
  });

  it('are refused at the start when there is no CA in them', async () => {
    put('ours');
    writeFileSync(at('ca.crt'), 'nothing');
    await expect(readMaterial(paths)).rejects.toThrow('ca.crt holds no CA certificates in PEM');
  });
});
