// What keeps the server anchors from devices, or the broker from its next certificate. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-TRU-001': {
    title: 'AnchorsUnreadable',
    cause: 'current.pem of the server anchors is not there, or a file of them holds something that is no certificate in PEM',
    cure: 'put the CA certificates in PEM into the ConfigMap: current.pem, and next.pem during a rotation; the last good message stays in force',
  },
  'HR-TRU-002': {
    title: 'AnchorNotACa',
    cause: 'a certificate among the server anchors is no CA (basicConstraints): devices would trust nothing by it',
    cure: 'put the certificate of the CA there, not the one of the server',
  },
  'HR-TRU-003': {
    title: 'AnchorNotValid',
    cause: 'a certificate among the server anchors is over or has not begun',
    cure: 'take out the one that is over, and add one only when it is valid',
  },
  'HR-TRU-004': {
    title: 'TooManyAnchors',
    cause: 'there are more anchors or keys than a small device has to keep: 8 anchors, 4 keys, 4096 bytes each',
    cure: 'take out previous.pem and whatever else no server uses any more',
  },
  'HR-TRU-005': {
    title: 'NextIssuerMalformed',
    cause: 'next-issuer is neither Issuer/NAME nor ClusterIssuer/NAME',
    cure: 'name the cert-manager issuer that the certificate of next.pem belongs to',
  },
  'HR-TRU-006': {
    title: 'KeysUnreadable',
    cause: 'next-keys.pem holds something that is no P-256 public key in PEM',
    cure: 'write the public key with: openssl pkey -in tls.key -pubout',
  },
  'HR-TRU-010': {
    title: 'SignerKeyUnreadable',
    cause: 'the file of --trust-key-file is no private key in PEM without a pass phrase',
    cure: 'put the key into the Secret as tls.key: PKCS#8 or SEC 1',
  },
  'HR-TRU-011': {
    title: 'SignerKeyUnsupported',
    cause: 'the signing key is not an ECDSA key on P-256, the one kind that devices have to know',
    cure: 'make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256, or a cert-manager Certificate with privateKey ECDSA 256 and rotationPolicy: Never',
  },
  'HR-TRU-012': {
    title: 'SignerKeyUnknown',
    cause: 'the signing key is another one than the last message told devices to accept: they would refuse everything it signs',
    cure: 'put the old key back, announce the new one in next-keys.pem, and exchange them when the devices have confirmed that',
  },
  'HR-TRU-020': {
    title: 'StateMissing',
    cause: 'the ConfigMap that holds the last message and the state of the rotation is not there',
    cure: 'create it again, empty, under the name of --trust-state; the operator may not create one itself',
  },
  'HR-TRU-021': {
    title: 'CertificateMissing',
    cause: 'there is no cert-manager Certificate of the name that --server-certificate gives',
    cure: 'correct the name, or leave the flag out and switch the broker yourself when the phase is ReadyToSwitch',
  },
  'HR-TRU-022': {
    title: 'SwitchUndone',
    cause: 'the operator had switched the certificate of the broker to the next issuer, and somebody has set it back',
    cure: 'write the next issuer into the manifest of the Certificate, or take next.pem out; the operator does not fight with Git over it',
  },
} as const;

export type TrustCode = keyof typeof ERRORS;

/** `found`: in words, more exact than the table's cause. Never anything of a key. */
export type Problem = { code: TrustCode; found?: string };

/** `HR-TRU-003 AnchorNotValid: what was found. Cure: …` */
export function explain({ code, found }: Problem): string {
  const { title, cause, cure } = ERRORS[code];
  return `${code} ${title}: ${found ?? cause}. Cure: ${cure}`;
}
