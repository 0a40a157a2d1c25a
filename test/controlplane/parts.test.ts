import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { pause } from '../harness/wait.ts';
import { AUTO_APPROVED_SIGNERS } from './cert-manager.ts';
import { remainingMs } from './compile.ts';
import { closure, componentsOf } from './components.ts';
import { clusterDir } from './layout.ts';
import { withLock } from './lock.ts';
import { programsOf } from './start.ts';
import { isRecent } from './toolchain.ts';

describe('the parts of a cluster', () => {
  it.each([
    { asked: [], components: ['etcd', 'kube-apiserver'] },
    {
      asked: ['cert-manager'] as const,
      components: ['etcd', 'kube-apiserver', 'kube-controller-manager', 'cert-manager-webhook', 'cert-manager-controller'],
    },
    { asked: ['kwok'] as const, components: ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kwok'] },
  ])('start in order, with what they need: $asked', ({ asked, components }) => {
    expect(componentsOf(closure(asked))).toEqual(components);
  });

  it('are compiled only when something needs them', () => {
    expect(programsOf([])).toEqual(['cp']);
    expect(programsOf(['controller-manager', 'cert-manager'])).toEqual(['cp', 'addons', 'helm']);
  });

  it('never let the built-in approver approve for all issuers', () => {
    expect(AUTO_APPROVED_SIGNERS.length).toBeGreaterThan(0);
    expect(AUTO_APPROVED_SIGNERS.filter((signer) => signer.includes('*') || signer.startsWith('issuers.'))).toEqual([]);
  });
});

describe('a Go toolchain', () => {
  it.each([
    ['go1.26.0', true],
    ['go1.26.8', true],
    ['go1.27rc1', true],
    ['go2.0', true],
    ['go1.25.9', false],
    ['go1.9', false],
    ['devel go1.26-abcdef', false],
    ['', false],
  ])('%s is recent enough: %s', (version, expected) => {
    expect(isRecent(version)).toBe(expected);
  });
});

describe('the estimate of a compile', () => {
  it('is what a cold compile is known to take while little is done', () => {
    expect(remainingMs(5, 1000, 10_000, 7)).toBe(410_000);
  });
  it('follows the pace later on', () => {
    expect(remainingMs(500, 1000, 60_000, 7)).toBe(60_000);
  });
  it('is nothing when all is done, and never negative', () => {
    expect(remainingMs(1000, 1000, 60_000, 7)).toBe(0);
    expect(remainingMs(1, 1000, 3_600_000, 7)).toBe(0);
  });
});

describe('the name of a cluster', () => {
  it.each(['', '..', 'a/b', '-a', 'a b', 'A', 'a'.repeat(43)])('cannot be "%s"', (name) => {
    expect(() => clusterDir(name)).toThrow('cannot name a cluster');
  });
});

describe('the lock between compiling processes', () => {
  const dir = mkdtempSync(join(tmpdir(), 'lock-'));
  afterAll(() => rm(dir, { recursive: true }));

  it('lets one work at a time, and the other afterwards', async () => {
    const file = join(dir, 'one');
    const seen: string[] = [];
    const work = (name: string) => async (): Promise<void> => {
      seen.push(`${name} begins`);
      await pause(50);
      seen.push(`${name} ends`);
    };
    const waiting = (): void => void seen.push('waiting');
    await Promise.all([withLock(file, { waiting }, work('a')), withLock(file, { waiting }, work('b'))]);
    const first = seen[0]?.startsWith('a') ? ['a', 'b'] : ['b', 'a'];
    expect(seen).toEqual([`${first[0]} begins`, 'waiting', `${first[0]} ends`, `${first[1]} begins`, `${first[1]} ends`]);
    expect(existsSync(file)).toBe(false);
  });

  it('is taken over from an owner that died, and given back after a failure', async () => {
    const file = join(dir, 'two');
    const { pid } = spawnSync(process.execPath, ['--version']);
    writeFileSync(file, String(pid));
    await expect(
      withLock(file, { waiting: () => expect.fail('waited for the dead') }, () => Promise.reject(new Error('no compiler'))),
    ).rejects.toThrow('no compiler');
    expect(existsSync(file)).toBe(false);
  });
});
