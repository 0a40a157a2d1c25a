// What the operator will say of a request or a certificate in a manifest, for whoever writes manifests: the same gates, without a cluster. Pure.
import { verifyCsr } from './csr.ts';
import { explain } from './errors.ts';
import { verifyExisting } from './existing.ts';
import { dictatedSubject } from './subject.ts';

export type ManifestNames = { name: string; namespace: string; segment: string };

/** `key`: sha256 of the public key. `problem`: a line with code and cure. */
export type ManifestCheck = { key: string } | { problem: string };

export function checkCsr(pem: string, names: ManifestNames): ManifestCheck {
  const subject = dictatedSubject(names);
  if (subject === undefined) return { problem: explain('HR-ID-012') };
  const verdict = verifyCsr(pem, subject);
  return verdict.ok ? { key: verdict.spki } : { problem: verdict.message };
}

export function checkExisting(pem: string, names: ManifestNames, now: number): ManifestCheck {
  const subject = dictatedSubject(names);
  if (subject === undefined) return { problem: explain('HR-ID-012') };
  const verdict = verifyExisting(pem, subject);
  if (!verdict.ok) return { problem: verdict.message };
  const { notAfter, spki } = verdict.facts;
  return Date.parse(notAfter) <= now ? { problem: explain('HR-ID-075', `the certificate expired at ${notAfter}`) } : { key: spki };
}

/** Names that make no subject. */
export function namesProblem(names: ManifestNames): string | undefined {
  return dictatedSubject(names) === undefined ? explain('HR-ID-012') : undefined;
}
