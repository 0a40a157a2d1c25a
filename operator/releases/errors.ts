// What keeps a FirmwareRelease from being rolled out. Codes are stable: docs/reference/errors.md is generated from this table. What is wrong with roots and signatures has
// the codes of the firmware room (HR-FW-0xx).
export const ERRORS = {
  'HR-FW-200': {
    title: 'RolloutNotConfigured',
    cause: 'the operator knows no root of trust for firmware, or not with what it is to run rollouts',
    cure: 'set firmware.roots and firmware.enabled of the chart (--firmware-root and the flags of rollouts): docs/guides/roll-out-firmware.md',
  },
  'HR-FW-201': {
    title: 'TrustPolicyNotFound',
    cause: 'the ConfigMap of spec.trust.policyRef is not there, or the operator may not read one of this name',
    cure: 'make the ConfigMap in the namespace of the release, and list its name in firmware.trustPolicies of the chart: the operator can read no other',
  },
  'HR-FW-202': {
    title: 'TrustMemoryMissing',
    cause:
      'the ConfigMap hedgerow-firmware-roots of the operator is not there or cannot be read: which roots were accepted before is not known',
    cure: 'restore it from a backup; only where no root was ever accepted may it be made new and empty (helm upgrade makes it)',
  },
  'HR-FW-203': {
    title: 'StatementDiffers',
    cause: 'the manifest says something else than the statement that was signed',
    cure: 'copy what the message names from the statement (kubectl hedgerow firmware verify prints it) into a new FirmwareRelease; what was signed holds',
  },
  'HR-FW-204': {
    title: 'WaveHasNoDevices',
    cause: 'no device that the release selects can take it',
    cure: 'look at status.counts and at kubectl hedgerow rollout plan --not-reached: selector, hardware, versions, requirements; the release goes on by itself when devices appear',
  },
  'HR-FW-205': {
    title: 'DriverRefused',
    cause: 'the driver at a site refused the release by its own check of signatures and roots (exit code 65)',
    cure: 'compare the operator of that site with this one: its --firmware-root, its clock, the ConfigMap of the release; the log of the pod says which check failed',
  },
  'HR-FW-206': {
    title: 'DriverFoundNothingFit',
    cause: 'the driver at a site found no device that can take the release, though the plan had some (exit code 66)',
    cure: 'the log of the pod says why each was left out',
  },
  'HR-FW-207': {
    title: 'DriverFailed',
    cause: 'the Job of a wave failed as often as it may',
    cure: 'look at the pods of the Job (kubectl logs); delete the Job to have it tried again',
  },
  'HR-FW-208': {
    title: 'AnotherReleaseRuns',
    cause: 'a release of the same component is being rolled out to devices of this one, and spec.conflict is Reject',
    cure: 'wait until that one has ended and make this one again, or use conflict: Queue',
  },
  'HR-FW-209': {
    title: 'GateFailed',
    cause: 'too many devices of a wave went wrong for it to be chance',
    cure: 'look at status.failureSamples, correct the image and make another FirmwareRelease; this one has stopped',
  },
  'HR-FW-210': {
    title: 'NoWayBack',
    cause: 'devices cannot go back: the security counter of this release is above the one before, or its floor is',
    cure: 'release a corrected version with at least this security counter; what has not booted was stopped',
  },
  'HR-FW-211': {
    title: 'ApproverOpen',
    cause:
      "somebody else than the operator may approve certificate requests for the issuer of directive keys or of the drivers' MQTT clients: who can make a request there could direct the devices of any site",
    cure: "narrow cert-manager's approveSignerNames (or the ClusterRole named) so that it leaves this issuer out, or accept the identity with --accept-approver; the release goes on by itself then",
  },
  'HR-FW-215': {
    title: 'Superseded',
    cause: 'another release of the same component with spec.conflict: Supersede took the place of this one; it was stopped for good',
    cure: 'nothing, where that was meant; else make this one again with a higher spec.priority, and let the other one use conflict: Queue',
  },
  'HR-FW-216': {
    title: 'RequirementCycle',
    cause: 'spec.requires[].release leads from the release over others back to itself: each would wait for the next for ever',
    cure: 'take one of the requirements out of its FirmwareRelease',
  },
} as const;

export type ReleaseCode = keyof typeof ERRORS;

/** The condition reason of a code. */
export const reasonOf = (code: ReleaseCode): string => ERRORS[code].title;

/** `HR-FW-203: <what was found>. Cure: <cure>`. */
export function explain(code: ReleaseCode, found: string): string {
  return `${code}: ${found}. Cure: ${ERRORS[code].cure}`;
}
