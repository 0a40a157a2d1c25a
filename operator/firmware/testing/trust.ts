// Keys, roots and releases for tests.
import { createHash } from 'node:crypto';
import { resultOf } from '../errors.ts';
import { type Root, readRoot } from '../root.ts';
import { draftRoot, type RoleWish, signRoot } from '../root-draft.ts';
import { makeKey, type SigningKey, signingKey } from '../signing-key.ts';
import type { ReleaseFacts } from '../statement.ts';

export const NOW = Date.parse('2026-11-26T12:00:00Z');
export const DAY_MS = 86_400_000;

export const newKey = (kind: 'ed25519' | 'P-256' = 'ed25519'): SigningKey => signingKey(makeKey(kind).privatePem);

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

type Plan = { root?: Partial<RoleWish>; targets?: Partial<RoleWish>; expiresAt?: number; before?: Root | undefined };

const wish = (role: Partial<RoleWish> = {}): RoleWish => ({ add: [], remove: [], threshold: undefined, ...role });

/** A root with the signatures of `signers`, in their order. */
export function rootBy(signers: readonly SigningKey[], { root, targets, expiresAt = NOW + 30 * DAY_MS, before }: Plan): Buffer {
  let bytes: Uint8Array = draftRoot(before, { root: wish(root), targets: wish(targets), expiresAt });
  for (const key of signers) bytes = signRoot(bytes, before, key) ?? bytes;
  return Buffer.from(bytes);
}

/** The code of what was refused; 'ok' where nothing was. */
export function codeOf(read: () => unknown): string {
  const result = resultOf(read);
  return result.ok ? 'ok' : result.problem.code;
}

export const publics = (keys: readonly SigningKey[]) => keys.map((key) => key.public);

export const parsedRoot = (bytes: Uint8Array): Root => readRoot(bytes);

/** Anything of a JSON text changed by hand. */
export function edited(bytes: Uint8Array, change: (json: Editable) => void): Buffer {
  const json = JSON.parse(Buffer.from(bytes).toString()) as Editable;
  change(json);
  return Buffer.from(JSON.stringify(json));
}

// biome-ignore lint/suspicious/noExplicitAny: documents are spoilt in every way there is.
export type Editable = any;

export function releaseFacts(change: Partial<ReleaseFacts> = {}): ReleaseFacts {
  return {
    component: 'app',
    version: '2.4.0',
    securityCounter: 7,
    minVersionFloor: '2.1.0',
    artifacts: [
      { name: 'full', format: 'mcuboot', size: 1_312_496, hardware: { models: ['cam-2'] }, sha256: 'ab'.repeat(32) },
      { name: 'delta', format: 'raw', size: 9_000, baseDigest: `sha256:${'cd'.repeat(32)}`, sha256: 'ef'.repeat(32) },
    ],
    ...change,
  };
}
