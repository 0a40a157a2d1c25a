// From an envelope and a trusted root to what may run. Signatures first: what they do not cover is never parsed (RFC 9124 §3.5 asks the same of devices). Pure.
import { createHash } from 'node:crypto';
import { readEnvelope, releaseSigners } from './envelope.ts';
import { Refused, type Result, resultOf } from './errors.ts';
import type { Root } from './root.ts';
import { type ReleaseFacts, readStatement, type SignedArtifact } from './statement.ts';

export type VerifiedRelease = {
  facts: ReleaseFacts;
  /** Ids of the release keys whose signatures hold; as many as the threshold at least. */
  signers: readonly string[];
  /** SHA-256 of the statement's bytes, hex: the same however many have signed it. */
  digest: string;
};

/** `root`: as `advance` gave it, for this moment. */
export function verifyRelease(envelope: Uint8Array, { targets }: Pick<Root, 'targets'>): Result<VerifiedRelease> {
  return resultOf(() => {
    const read = readEnvelope(envelope);
    const signers = releaseSigners(read, targets);
    if (signers.length < targets.threshold)
      throw new Refused('HR-FW-024', `${signers.length} of the ${targets.threshold} release keys needed have signed`);
    return {
      facts: readStatement(read.payload),
      signers: signers.map(({ keyid }) => keyid),
      digest: createHash('sha256').update(read.payload).digest('hex'),
    };
  });
}

/** The artifact that a file is: by its digest and its size. */
export function artifactOf({ artifacts }: ReleaseFacts, file: { sha256: string; size: number }): Result<SignedArtifact> {
  const found = artifacts.find(({ sha256, size }) => sha256 === file.sha256 && size === file.size);
  return found === undefined
    ? { ok: false, problem: { code: 'HR-FW-027', found: `its SHA-256 is ${file.sha256}, its size ${file.size}` } }
    : { ok: true, value: found };
}
