// Why an issuer has no CRL, or not the one it should have. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-CRL-001': {
    title: 'IssuerMissing',
    cause: 'the ledger or --issuer names an issuer that does not exist',
    cure: 'create it again under the same name with the same CA while certificates of it are valid, or take it out of crl.issuers',
  },
  'HR-CRL-002': {
    title: 'NotACaIssuer',
    cause: 'the issuer is not one of type ca, so its key is not in a Secret; whoever holds that key has to publish the CRL',
    cure: 'publish the CRL where the key is, or rely on the ban at the broker alone; leave enable_crl_check off for certificates of this issuer',
  },
  'HR-CRL-003': {
    title: 'SecretForbidden',
    cause: 'this process may not read the Secret of the CA',
    cure: 'add the issuer with its Secret to crl.issuers of the chart',
  },
  'HR-CRL-004': {
    title: 'SecretMissing',
    cause: 'the Secret that spec.ca.secretName names does not exist or has no tls.crt and tls.key',
    cure: 'look whether cert-manager made it, and in which namespace (a ClusterIssuer: --cluster-resource-namespace)',
  },
  'HR-CRL-005': {
    title: 'SecretUnread',
    cause: 'the API server did not give the Secret of the CA',
    cure: 'wait; if it lasts, see why the API server does not answer',
  },
  'HR-CRL-010': {
    title: 'CaCertificateUnreadable',
    cause: 'tls.crt of the Secret does not begin with a certificate that reads',
    cure: 'put the CA certificate in PEM there, the CA itself before its chain',
  },
  'HR-CRL-011': {
    title: 'CaKeyUnreadable',
    cause: 'tls.key of the Secret is not a private key in PEM without a pass phrase',
    cure: 'put the key of the CA there, PKCS#8, PKCS#1 or SEC 1',
  },
  'HR-CRL-012': {
    title: 'CaKeyMismatch',
    cause: 'the private key does not belong to the certificate beside it',
    cure: 'put certificate and key of the same CA into the Secret',
  },
  'HR-CRL-013': {
    title: 'CaMayNotSignCrls',
    cause: 'the certificate is no CA, or its key usage lacks cRLSign: OpenSSL and EMQX would refuse the list (RFC 5280 §6.3.3 (f))',
    cure: 'let cert-manager make the CA with usages: [cert sign, crl sign, digital signature] and privateKey.rotationPolicy: Never, so that the key stays',
  },
  'HR-CRL-014': {
    title: 'CaKeyUnsupported',
    cause: 'the key of the CA is not RSA, ECDSA on P-256, P-384 or P-521, or Ed25519',
    cure: 'make the CA with one of these',
  },
  'HR-CRL-020': {
    title: 'LedgerUnreadable',
    cause: 'a page of the certificate ledger does not read: a first list could leave out who was revoked',
    cure: 'see HR-ID-040 of the operator; lists that were made before are kept up meanwhile',
  },
  'HR-CRL-021': {
    title: 'NoDistributionPoint',
    cause: 'the list is published, but certificates of this issuer do not say where: a broker finds it only if another certificate does',
    cure: 'set spec.ca.crlDistributionPoints of the issuer to the http:// URL of the .pem; certificates issued from then on carry it',
  },
  'HR-CRL-022': {
    title: 'CaKeyReplaced',
    cause: 'the Secret now holds another CA key: the list is signed with the new one, and certificates of the old key have none any more',
    cure: 'let the devices re-enrol; next time make a new CA a new issuer with a new Secret, and keep the old issuer until its last certificate expires',
  },
  'HR-CRL-023': {
    title: 'ListExpired',
    cause: 'the list is past its nextUpdate and could not be renewed',
    cure: 'see the other reason that is given for this issuer',
  },
  'HR-CRL-024': {
    title: 'ListUnreachable',
    cause: 'the operator asks the CRL server for the list of this issuer and gets no answer that it can use',
    cure: 'see whether the CRL server runs and is ready, and whether NetworkPolicies let the operator reach it (--crl-url)',
  },
  'HR-CRL-025': {
    title: 'ListNotSigned',
    cause: 'the list that is served for this issuer is not signed by any CA in the file of --crl-ca-file',
    cure: 'put the certificate of the CA into crl.deviceCa of the chart; if it is there, find out who answers at --crl-url',
  },
  'HR-CRL-026': {
    title: 'ListUnreadable',
    cause: 'what is served for this issuer is not a complete CRL',
    cure: 'find out who answers at --crl-url: a proxy, or a CRL server of another version',
  },
  'HR-CRL-027': {
    title: 'ListTooShort',
    cause:
      'a list of this issuer may run out before the offlineBudget of the Device: a site that is cut off for so long would let nobody in',
    cure: 'raise crl.validity of the chart to at least 8/7 of the longest offlineBudget, or lower spec.offlineBudget',
  },
  'HR-CRL-028': {
    title: 'CaFileUnreadable',
    cause: 'the file of --crl-ca-file holds no certificate that reads',
    cure: 'put the CA certificates of the devices there in PEM (crl.deviceCa of the chart)',
  },
  'HR-CRL-029': {
    title: 'CaOfOthers',
    cause:
      'the certificate was made by a CA of others (enrollment: Existing), and a list of revoked certificates is made by the CA that signed them',
    cure: 'let the device enrol by EST; if it is revoked before that, have the other CA revoke it too. The ban at the broker and the EST server need no list',
  },
  'HR-CRL-030': {
    title: 'NotServed',
    cause: 'lists are under /crl/<namespace>/<issuer>.crl (DER) and .pem, of a ClusterIssuer under /crl/<issuer>.crl and .pem',
    cure: 'use one of these paths',
  },
  'HR-CRL-031': {
    title: 'NotReady',
    cause: 'the ledger and the issuers are being read',
    cure: 'ask again in a few seconds',
  },
} as const;

export type CrlCode = keyof typeof ERRORS;

export type Problem = { code: CrlCode /** In words, more exact than the table's cause. Never anything of a Secret. */; found?: string };

/** `HR-CRL-003 SecretForbidden: what was found. Cure: …` */
export function explain({ code, found }: Problem): string {
  const { title, cause, cure } = ERRORS[code];
  return `${code} ${title}: ${found ?? cause}. Cure: ${cure}`;
}
