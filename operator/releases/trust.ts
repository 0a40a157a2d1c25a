// What is believed of each release, as old as it may be: policies are not watched, because the operator may read only the ConfigMaps that are named to it.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { type Untrusted, type Verified, type VerifyDeps, verify } from './verify.ts';

/** A new root, or one that has expired, is noticed within this time; the drivers look for themselves. */
const MAX_AGE_MS = 60_000;

/** `at`: when it was found, ms. */
export type Belief = { verdict: Verified | Untrusted; at: number };

type ReleaseOfTrust = { uid: string; namespace: string; generation: number; spec: FirmwareReleaseSpec };

export function createTrust(deps: VerifyDeps) {
  const beliefs = new Map<string, Belief & { generation: number }>();
  const catalogs = new Map<string, string>();

  return {
    async belief(release: ReleaseOfTrust, now: number, signal: AbortSignal): Promise<Belief> {
      const known = beliefs.get(release.uid);
      if (known !== undefined && known.generation === release.generation && now - known.at < MAX_AGE_MS) return known;
      const fresh = { verdict: await verify(deps, release, now, signal), at: now, generation: release.generation };
      beliefs.set(release.uid, fresh);
      return fresh;
    },
    /** Runs `write` when what is to be in the catalog was not written by this process yet. */
    async catalog({ uid, spec }: ReleaseOfTrust, verified: Verified, write: () => Promise<void>): Promise<void> {
      const version = [verified.manifestDigest, verified.pinned, verified.rootVersion, spec.trust.envelope].join();
      if (catalogs.get(uid) === version) return;
      await write();
      catalogs.set(uid, version);
    },
    forget(uid: string): void {
      beliefs.delete(uid);
      catalogs.delete(uid);
    },
  };
}
