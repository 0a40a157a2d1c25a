// What can stand between a SegmentPolicy and its enforcement. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-SEG-001': {
    title: 'TrustTooHigh',
    cause:
      'spec.trust is above what the label hedgerow.dev/max-trust of the namespace allows (without the label 3; a label that is no number of 0 to 4 allows nothing)',
    cure: 'lower spec.trust, or ask the administrator of the namespace to raise the label',
  },
  'HR-SEG-002': {
    title: 'TopicOutOfReach',
    cause: "a topic filter reaches outside the policy's own prefix, or is not in the grammar that can be granted safely",
    cure: 'begin with <word>/{segment}/ and put {device} before the first wildcard; of another segment ask for <word>/<segment>.<namespace>/…, <word>/+/… or <word>/#, which its owner has to accept',
  },
  'HR-SEG-003': {
    title: 'SelectorTooWide',
    cause: 'an empty podSelector would take in every pod of the namespace',
    cure: 'name labels; to close a whole namespace its administrator sets the label hedgerow.dev/site on it',
  },
  'HR-SEG-004': {
    title: 'NotSupportedYet',
    cause: 'the field is part of the API but nothing honours it yet; it would be ignored silently',
    cure: 'remove it',
  },
  'HR-SEG-005': {
    title: 'CidrInvalid',
    cause: 'an address range is malformed or has bits set behind its prefix length',
    cure: 'write the network address and the prefix length, for example 192.0.2.0/24',
  },
  'HR-SEG-006': {
    title: 'SchemaRefused',
    cause: 'a JSON Schema of spec.payload.schemas, or the topic it is for, is not one that a gateway can check messages by',
    cure: 'see the message; a schema is draft 2020-12, at most 32 KiB, and refers to nothing outside itself',
  },
  'HR-SEG-007': {
    title: 'LocalRuleRefused',
    cause: 'a rule of spec.localRules cannot be kept by a gateway',
    cure: 'see the message and docs/reference/segment-policy.md',
  },
  'HR-SEG-008': {
    title: 'TelemetryRefused',
    cause:
      'spec.payload, spec.telemetry, spec.retention or spec.rawEgress is one that a gateway cannot keep: a field that is none, or a time out of its range',
    cure: 'see the message, and docs/reference/segment-policy.md for the ranges',
  },
  'HR-SEG-009': {
    title: 'NotTheVoiceOfASite',
    cause:
      'what is published under agg/, alert/ or raw/ and the name of a namespace counts as the word of the whole site, and spec.trust is below 3',
    cure: 'let the gateway of the site publish it, by a SegmentPolicy with trust: 3 of its own; devices publish under <word>/{segment}/',
  },
  'HR-SEG-010': {
    title: 'PeerNotFound',
    cause: 'the conduit or the topic leads to a SegmentPolicy that does not exist',
    cure: 'create it, or correct spec.conduits[].to or the topic; it opens by itself once both sides grant it',
  },
  'HR-SEG-011': {
    title: 'NotAccepted',
    cause: 'the other side does not accept the flow: a flow exists only when both sides grant it',
    cure: 'ask the owner of the other segment for an entry in its spec.acceptFrom with these ports; the conduit opens by itself then',
  },
  'HR-SEG-012': {
    title: 'PeerRefused',
    cause: 'the SegmentPolicy at the other end is not in force, so nothing may lead there',
    cure: 'see the conditions of that SegmentPolicy; it opens by itself',
  },
  'HR-SEG-013': {
    title: 'IntoQuarantine',
    cause: 'nobody initiates into a segment of trust 0',
    cure: 'remove the conduit or the topic; what is in quarantine is repaired by its ota/ and recovery/ topics',
  },
  'HR-SEG-014': {
    title: 'JustificationMissing',
    cause: 'the conduit or the topic leads to a segment of higher trust that is no gateway (trust 3), and says no reason',
    cure: 'write the justification of that conduit or topic, or lead it to a gateway',
  },
  'HR-SEG-015': {
    title: 'Conflicted',
    cause: 'a pod belongs to two segments; NetworkPolicies would add up what both allow',
    cure: 'change the labels of the pod or spec.workloads[].podSelector so that each pod belongs to one segment; until then neither has conduits in the network',
  },
  'HR-SEG-016': {
    title: 'TopicNotAccepted',
    cause: 'the topics of another segment are used only when both sides grant it, and its owner does not',
    cure: 'ask the owner of that segment for an entry in its spec.acceptFrom with this topic and action; the rest of the policy is in force, and this too as soon as it is accepted',
  },
  'HR-SEG-017': {
    title: 'GatewayConfigTooLarge',
    cause: 'what the SegmentPolicies of the namespace say to its gateway does not fit into one ConfigMap (1 MiB)',
    cure: 'shorten the schemas of spec.payload.schemas, or split the site into two namespaces; until then the gateway keeps what it had before',
  },
  'HR-SEG-018': {
    title: 'GatewayConfigRefused',
    cause: 'the API server did not take what was written into the ConfigMap hedgerow-gateway',
    cure: 'see the message; it is tried again by itself, and the gateway keeps what it had before',
  },
  'HR-SEG-020': {
    title: 'NetworkPolicyRefused',
    cause: 'the API server did not take a NetworkPolicy',
    cure: 'see the message; it is tried again by itself',
  },
  'HR-SEG-021': {
    title: 'NamespaceUnknown',
    cause: 'the namespace of the policy was not read from the API server yet, so its labels are not known',
    cure: 'wait; if it lasts, see whether the operator may list namespaces',
  },
} as const;

export type SegmentCode = keyof typeof ERRORS;

/** The condition reason of a code, for example `TrustTooHigh`. */
export function reasonOf(code: SegmentCode): string {
  return ERRORS[code].title;
}

/** One thing that is wrong: where in the manifest, and what was found there. */
export type Finding = { code: SegmentCode; path: string; found: string; cure?: string };

/** `HR-SEG-001: spec.trust: 4 is above 3. Cure: …`: one line a person can act on. */
export function explain(finding: Finding): string {
  const { code, path, found } = finding;
  return `${code}: ${path === '' ? '' : `${path}: `}${found}. Cure: ${finding.cure ?? ERRORS[code].cure}`;
}
