// Why a driver does not begin, or ends before its wave. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-FW-301': {
    title: 'WaveMissing',
    cause: 'the FirmwareWave of --wave is not there',
    cure: 'nothing is to be done: a wave that is gone has no driver. Where it should be there, look at the conditions of its FirmwareRelease',
  },
  'HR-FW-302': {
    title: 'CatalogMissing',
    cause: 'the ConfigMap with the envelope and the roots of the release is not there, or has not what it should have',
    cure: 'the operator writes it when it has verified the release: see condition ArtifactVerified of the FirmwareRelease. It is tried again by itself',
  },
  'HR-FW-303': {
    title: 'CatalogNotTrusted',
    cause: 'what the catalog holds is not signed as the pinned roots ask for, or is another release than the wave is for',
    cure: 'find out who wrote the ConfigMap hedgerow-release-<uid> in the namespace of the operator; only the operator may. No device was told anything',
  },
  'HR-FW-304': {
    title: 'ReleaseMissing',
    cause: 'the FirmwareRelease of the wave is not there any more, or is another one of the same name',
    cure: 'nothing is to be done: the operator removes the wave',
  },
  'HR-FW-305': {
    title: 'NothingFits',
    cause: 'the release has no whole image that could be sent to any device',
    cure: 'give the release an artifact without baseDigest',
  },
  'HR-FW-306': {
    title: 'ModeNotSupported',
    cause: 'the release asks for something that this driver does not do',
    cure: 'see the message; install operator and CRDs of one version',
  },
  'HR-FW-310': {
    title: 'DriverWithoutCertificate',
    cause: 'a certificate that the driver asked for was not issued: the one for MQTT, or that of its directive key',
    cure: 'see whether the issuers of --mqtt-issuer and --directive-issuer are there and ready, and whether the operator runs: it approves. It is tried again by itself',
  },
  'HR-FW-311': {
    title: 'BrokerUnreachable',
    cause: 'the broker could not be reached, or did not let the driver subscribe',
    cure: 'see whether --broker-mqtt and --broker-mqtt-ca-file are right, whether the broker trusts the issuer of --mqtt-issuer, and whether a NetworkPolicy is in between. It is tried again by itself',
  },
  'HR-FW-312': {
    title: 'DriverSuperseded',
    cause: 'another driver has taken the place of this one, or this one was held up for longer than its Lease lasts',
    cure: 'nothing is to be done: the other one goes on',
  },
  'HR-FW-313': {
    title: 'DecisionChanged',
    cause: 'the wave was decided anew while the driver was at work',
    cure: 'nothing is to be done: the next driver carries out what was decided',
  },
} as const;

export type DriverCode = keyof typeof ERRORS;

/** `found`: in words, more exact than the table's cause. Never anything of a key, never a text that a device wrote. */
export type Problem = { code: DriverCode; found?: string };

/** `HR-FW-302 CatalogMissing: what was found. Cure: …` */
export function explain({ code, found }: Problem): string {
  const { title, cause, cure } = ERRORS[code];
  return `${code} ${title}: ${found ?? cause}. Cure: ${cure}`;
}
