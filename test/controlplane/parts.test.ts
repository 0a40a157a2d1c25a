import { describe, expect, it } from 'vitest';
import { AUTO_APPROVED_SIGNERS } from './cert-manager.ts';
import { remainingMs } from './compile.ts';
import { closure, componentsOf } from './components.ts';
import { clusterDir } from './layout.ts';
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
