// What a probe can find, and what can keep it from finding anything. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-PRB-001': {
    title: 'ProbeOpen',
    cause: 'the broker let the canary do what its ACL text denies',
    cure: 'look for what decides before or instead of the text: authorization.enable of the listener, no_match, another source or a plugin in front of it, a node of the cluster with another text. Treat topics of the segment as open until the condition is True again',
  },
  'HR-PRB-002': {
    title: 'ProbeShut',
    cause: 'the broker denied the canary what the text that it gives back allows: another text is in force than the one that is read',
    cure: 'compare the text on every node of EMQX, and look for a source in front of the file that denies; save the file source again in EMQX, or restart the node',
  },
  'HR-PRB-003': {
    title: 'NetworkOpen',
    cause: 'a pod took a connection that a NetworkPolicy denies',
    cure: 'use a network plugin that enforces NetworkPolicies in both directions, and look at its agent on the node that is named. Until then nothing in the network holds there',
  },
  'HR-PRB-010': {
    title: 'ProbeNotConfigured',
    cause: 'the operator was not told where devices reach the broker',
    cure: 'set broker.mqtt.address in the chart (--broker-mqtt HOST:PORT), or try by hand a topic that must fail',
  },
  'HR-PRB-011': {
    title: 'CanaryWithoutCertificate',
    cause: 'no certificate could be had for the canary',
    cure: 'see whether the issuer of --probe-issuer exists and is ready, and whether the operator may approve for it (identity.signers)',
  },
  'HR-PRB-012': {
    title: 'CanaryNotConnected',
    cause: 'the canary could not connect to the broker, so nothing could be tried: that says nothing about what is enforced',
    cure: 'see whether --broker-mqtt is right, whether --broker-mqtt-ca-file holds the CA of the listener, whether the listener trusts the issuer of --probe-issuer, and whether a NetworkPolicy is in between',
  },
  'HR-PRB-013': {
    title: 'ProbeIncomplete',
    cause: 'the connection of the canary ended, or an answer was missing, before everything was tried',
    cure: "look into EMQX's log for the client -probe.-hedgerow; it is tried again by itself",
  },
  'HR-PRB-014': {
    title: 'ProbeStale',
    cause: 'the last probe that came to an end is too long ago, or was made under another text',
    cure: 'see fleet_probe_runs_total and the log of the operator for what keeps the canary from the broker; it is tried again by itself',
  },
  'HR-PRB-020': {
    title: 'NetworkNotProbed',
    cause: 'whether the network enforces NetworkPolicies was not tried',
    cure: 'set networkProbe.enabled in the chart, or try by hand a connection that must fail',
  },
  'HR-PRB-021': {
    title: 'NoNodes',
    cause: 'no canary is Ready on any node, so nothing could be tried in the network',
    cure: 'see whether the cluster has nodes, and why the pods of the DaemonSet …-canary are not Ready',
  },
  'HR-PRB-022': {
    title: 'NetworkCanaryUnreachable',
    cause: 'a canary does not take a connection that is allowed, so a refusal says nothing',
    cure: "see whether another NetworkPolicy or the network itself keeps the operator's pod from the canary on the node that is named",
  },
} as const;

export type ProbeCode = keyof typeof ERRORS;

/** `found`: in words, more exact than the table's cause. Never anything of a key. */
export type Problem = { code: ProbeCode; found?: string };

/** `HR-PRB-012 CanaryNotConnected: what was found. Cure: …` */
export function explain({ code, found }: Problem): string {
  const { title, cause, cure } = ERRORS[code];
  return `${code} ${title}: ${found ?? cause}. Cure: ${cure}`;
}
