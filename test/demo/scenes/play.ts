// The scenes in the order they are played: later ones need what earlier ones left behind.
import { badBuild } from './bad-build.ts';
import { badManifests } from './bad-manifests.ts';
import { brokerWiped } from './broker-wiped.ts';
import { eavesdropper } from './eavesdropper.ts';
import { fleetTalks } from './fleet-talks.ts';
import { forgedReleases } from './forged-releases.ts';
import { forgotten } from './forgotten.ts';
import { otherName } from './other-name.ts';
import { policyDeleted } from './policy-deleted.ts';
import { quarantine } from './quarantine.ts';
import { revocation } from './revocation.ts';
import type { Scene } from './scene.ts';
import { signedRelease } from './signed-release.ts';
import { stranger } from './stranger.ts';

export const PLAY: readonly Scene[] = [
  fleetTalks,
  stranger,
  otherName,
  eavesdropper,
  revocation,
  quarantine,
  policyDeleted,
  brokerWiped,
  forgotten,
  badManifests,
  signedRelease,
  badBuild,
  forgedReleases,
];
