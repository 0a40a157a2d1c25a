// What the API server refuses in our name, by CEL rules of the CRDs and by ValidatingAdmissionPolicies. The code starts every message of ours;
// docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-API-001': {
    title: 'NotSupportedYet',
    cause: 'the field, value or kind is part of the API but nothing honours it yet; it would be ignored silently',
    cure: 'do what the message says; the field becomes usable in a later release without a change of its shape',
  },
  'HR-API-002': {
    title: 'NameInvalid',
    cause:
      'a name is no RFC 1123 label of at most 62 characters, or `<name>.<namespace>` has more than 64 characters (X.509 limit of CN and OU)',
    cure: 'use a-z, 0-9 and - only, start and end with a letter or digit, and shorten the name or the namespace',
  },
  'HR-API-003': {
    title: 'TopicInvalid',
    cause: 'a topic filter is not in the grammar that can be granted safely',
    cure: 'separate levels by /, use the letters, digits and . _ : @ ~ = - in a level, {device} and {segment} as whole levels, # only as the last level',
  },
  'HR-API-004': {
    title: 'TopicOutOfReach',
    cause: 'a topic filter reaches beyond what a policy may grant its own devices, or may ask of other segments',
    cure: 'begin with <word>/{segment}/ and put {device} before the first wildcard; of another segment ask for <word>/<segment>.<namespace>/…, <word>/+/… or <word>/#',
  },
  'HR-API-005': {
    title: 'PrivateKeyInManifest',
    cause: 'a private key was put where a certificate request belongs; it is compromised as soon as it is in Git or in the cluster',
    cure: 'throw the key away, make a new one on the device and paste the CERTIFICATE REQUEST only',
  },
  'HR-API-006': {
    title: 'EnrollmentFieldMismatch',
    cause: 'a field of spec.identity does not go with its enrollment',
    cure: 'CSR: csr, no secretName; Managed: secretName, no csr; EST: est only, with hardware.serial for bootstrap Manufacturer',
  },
  'HR-API-007': {
    title: 'DurationInvalid',
    cause: 'a duration is malformed, out of range, renewBefore is not shorter than duration, or offlineBudget is longer than renewBefore',
    cure: 'write hours, minutes and seconds such as 720h or 1h30m, and renew well before the end',
  },
  'HR-API-008': {
    title: 'SelectorEmpty',
    cause: 'an empty selector would take in every pod of the namespace',
    cure: 'name labels; to close a whole namespace its administrator sets the label hedgerow.dev/site on it',
  },
  'HR-API-009': {
    title: 'ConduitInvalid',
    cause: 'a conduit or an acceptFrom entry does not say exactly one peer, or grants nothing',
    cure: 'name one of segment, workload or cidr, and the ports',
  },
  'HR-API-010': {
    title: 'CidrInvalid',
    cause: 'an address range is malformed or has bits set behind its prefix length',
    cure: 'write the network address and the prefix length, for example 10.20.0.0/16',
  },
  'HR-API-011': {
    title: 'InterventionInvalid',
    cause: 'the action does not go with the target, or the intervention was changed after it was made',
    cure: 'delete the intervention and create another one; see the table of actions in docs/reference/intervention.md',
  },
  'HR-API-012': {
    title: 'RequestedByMismatch',
    cause: 'spec.requestedBy is not the user who makes the request, so the audit would name the wrong person',
    cure: 'set spec.requestedBy to your own user name (kubectl auth whoami)',
  },
  'HR-API-013': {
    title: 'OperatorOnly',
    cause: 'CertificateLedger and FirmwareWave are written by the operator only: a ledger edited by hand could let a revoked key back in',
    cure: "act on the Device, or make an Intervention; to restore a backup use the operator's ServiceAccount (docs/reference/certificate-ledger.md)",
  },
  'HR-API-014': {
    title: 'TrustTooHigh',
    cause: 'spec.trust is above what the administrator of the namespace allows by the label hedgerow.dev/max-trust (without the label 3)',
    cure: 'lower spec.trust, or ask the administrator of the namespace to raise the label',
  },
  'HR-API-015': {
    title: 'ValueInvalid',
    cause: 'a value is not in the form its field needs',
    cure: 'see the message and kubectl explain',
  },
  'HR-API-016': {
    title: 'Immutable',
    cause: 'the field may not change after the object was made',
    cure: 'make a new object with another name',
  },
  'HR-API-017': {
    title: 'ReleaseInvalid',
    cause: 'fields of a FirmwareRelease contradict each other',
    cure: 'see the message and docs/reference/firmware-release.md',
  },
  'HR-API-018': {
    title: 'TokenEntryProtected',
    cause: 'the EST server tried to change more of the Secret hedgerow-est-tokens than the use of a token is',
    cure: 'look into its log and whether its pod is the one you deployed: it never does that by itself',
  },
  'HR-API-020': {
    title: 'EnrollmentInvalid',
    cause: 'fields of spec.enrollment contradict each other, or would let devices in whose serial numbers nobody listed',
    cure: 'see the message and docs/guides/enrol-by-est.md',
  },
  'HR-API-021': {
    title: 'RegistrationRefused',
    cause: 'the operator makes no Devices but those that enrol by a factory certificate and say which one and by whom they were let in',
    cure: 'apply the manifest as yourself; if this was the operator itself, somebody else acts in its name',
  },
  'HR-API-026': {
    title: 'TriggerWithoutLimit',
    cause: 'a trigger of spec.quarantine could never fire: there is no limit that is measured',
    cure: 'set spec.limits.messages, bytes or connectRate, or remove the trigger',
  },
  'HR-API-027': {
    title: 'AutomaticInterventionRefused',
    cause: 'the operator makes no Interventions but a Quarantine of a Device that is above its limits',
    cure: 'make the Intervention as yourself; if this was the operator itself, somebody else acts in its name',
  },
  'HR-API-028': {
    title: 'AuthorIsAnother',
    cause:
      'spec.author of a FirmwareRelease is another user than the one who makes it or changes its spec; who approves it has to be somebody else',
    cure: 'set spec.author to yourself (kubectl auth whoami; for Argo CD its ServiceAccount), or leave it out where no wave is approved by a person',
  },
  'HR-API-029': {
    title: 'DriverBeyondItsPart',
    cause: 'the driver of a rollout tried to write more than the firmware record of Devices and its own counters of a FirmwareWave',
    cure: 'look into its log and whether its pod is one that the operator made: it never does that by itself',
  },
  'HR-API-030': {
    title: 'NotItsConfigMap',
    cause: "the operator's account changes or deletes a ConfigMap that is none of its own",
    cure: 'change it as yourself; if it was the operator, somebody else acts in its name: look at who can use its ServiceAccount',
  },
  'HR-API-035': {
    title: 'RuleContradictory',
    cause: 'a rule of spec.localRules has no limit or two, or counts as over where it still holds',
    cure: 'give it above or below, and a back that lies on the good side of it',
  },
  'HR-API-036': {
    title: 'GatewayConfigUnreadable',
    cause:
      'the configuration of a gateway is not what the operator writes: another version, a field that this gateway does not know, or no JSON',
    cure: 'nothing is changed by it: what was read last stays in force; give the gateway the release of the operator, and write nothing into the ConfigMap hedgerow-gateway',
  },
  'HR-API-037': {
    title: 'TelemetryOutOfRange',
    cause: 'a time or limit of spec.telemetry, spec.payload or spec.retention is one that a gateway cannot keep',
    cure: 'see the message; docs/reference/segment-policy.md has the ranges',
  },
} as const;

export type ApiCode = keyof typeof ERRORS;
