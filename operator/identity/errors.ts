// What can go wrong between a Device and its certificate. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-ID-001': {
    title: 'CsrMissing',
    cause: 'enrollment is CSR and spec.identity.csr is empty',
    cure: 'make a key and a request on the device and put the request into spec.identity.csr',
  },
  'HR-ID-002': {
    title: 'CsrNotPem',
    cause: 'spec.identity.csr is not exactly one PEM block of type CERTIFICATE REQUEST',
    cure: 'paste the file that openssl wrote, nothing before or after it',
  },
  'HR-ID-003': {
    title: 'CsrTooLarge',
    cause: 'spec.identity.csr is longer than any request that Hedgerow could accept',
    cure: 'make a plain request without extra attributes',
  },
  'HR-ID-004': {
    title: 'CsrMalformed',
    cause: 'the PEM block does not hold a PKCS#10 request in strict DER (RFC 2986)',
    cure: 'make the request again',
  },
  'HR-ID-005': {
    title: 'CsrSignatureInvalid',
    cause: 'the signature of the request does not verify with the key in it, so nobody has proved to hold that key',
    cure: 'make the request on the device with its own key and do not edit it afterwards',
  },
  'HR-ID-006': {
    title: 'CsrKeyUnsupported',
    cause: 'the key is not P-256, P-384, Ed25519 or RSA, or is not encoded in its usual form',
    cure: 'make a P-256 key',
  },
  'HR-ID-007': {
    title: 'CsrKeyWeak',
    cause: 'the RSA key has fewer than 3072 or more than 8192 bits, or an unusual exponent',
    cure: 'make a P-256 key, or RSA with 3072 bits',
  },
  'HR-ID-008': {
    title: 'CsrSignatureAlgorithmUnsupported',
    cause: 'the request is not signed with SHA-256, SHA-384, SHA-512 or Ed25519, by the algorithm of its key',
    cure: 'sign the request with SHA-256',
  },
  'HR-ID-009': {
    title: 'CsrSubjectMismatch',
    cause: 'the subject is not exactly the one that Hedgerow dictates; the issuer would sign it as it stands',
    cure: 'make the request with exactly this subject, in this order',
  },
  'HR-ID-010': {
    title: 'CsrExtensionRefused',
    cause: 'the request asks for an extension other than exactly KeyUsage digitalSignature together with ExtendedKeyUsage clientAuth',
    cure: 'make the request without extensions; Hedgerow adds the usages',
  },
  'HR-ID-011': {
    title: 'CsrAttributeRefused',
    cause: 'the request carries an attribute other than one extensionRequest (a challengePassword would be a secret in Git)',
    cure: 'make the request without attributes',
  },
  'HR-ID-012': {
    title: 'NameNotCertifiable',
    cause:
      'the names of device, segment and namespace do not make a common name and an organizational unit of RFC 1123 labels with at most 64 characters (X.520)',
    cure: 'use shorter names of a-z, 0-9 and -',
  },
  'HR-ID-020': {
    title: 'IssuerNotFound',
    cause: 'the cert-manager issuer does not exist',
    cure: 'create it, or set spec.identity.issuerRef; the Device goes on by itself when it appears',
  },
  'HR-ID-021': {
    title: 'IssuerNotReady',
    cause: 'the cert-manager issuer is not Ready',
    cure: 'see the conditions of the issuer; the Device goes on by itself',
  },
  'HR-ID-022': {
    title: 'ApproverOpen',
    cause: 'an identity other than Hedgerow may approve requests to the issuer of the devices, so it could mint devices',
    cure: "narrow cert-manager's approveSignerNames (or the ClusterRole named) so that it leaves this issuer out, or accept the identity with --accept-approver",
  },
  'HR-ID-023': {
    title: 'RequestDenied',
    cause: 'somebody denied the CertificateRequest of this Device',
    cure: 'find out who and why (another approver such as approver-policy must leave this issuer out); it is tried again with a new request',
  },
  'HR-ID-024': {
    title: 'RequestFailed',
    cause: 'cert-manager could not sign the request',
    cure: 'see the message; it is tried again with a new request',
  },
  'HR-ID-025': {
    title: 'ForeignRequest',
    cause: 'a CertificateRequest with the name of ours exists and was not made by Hedgerow for this Device',
    cure: 'delete that CertificateRequest and take the right to create such from whoever made it',
  },
  'HR-ID-026': {
    title: 'CertificateNotAsAsked',
    cause: 'the issuer signed something else than what was asked, so the certificate was not handed out',
    cure: 'use an issuer that signs subject, key, usages and duration as asked, then delete the CertificateRequest named',
  },
  'HR-ID-030': {
    title: 'DuplicateSerial',
    cause: 'another Device of the namespace has the same spec.hardware.serial and was first',
    cure: 'correct the serial number, or delete the other Device if it is gone',
  },
  'HR-ID-031': {
    title: 'DuplicateKey',
    cause: 'another Device has the same public key and was first: a key belongs to one device',
    cure: 'make a new key and request on this device, or delete the other Device before it has a certificate',
  },
  'HR-ID-032': {
    title: 'KeyRevoked',
    cause: 'a certificate of this key was revoked; a revoked key is never certified again',
    cure: 'make a new key and request on the device',
  },
  'HR-ID-033': {
    title: 'KeyStillCertified',
    cause: 'this key has a valid certificate already and gets the next one only inside the renewal window of that one',
    cure: 'make a new key and request on the device, or wait for the renewal window',
  },
  'HR-ID-034': {
    title: 'CertificateLost',
    cause:
      'the ledger says that a certificate was issued for this key, but neither status.certificate nor a CertificateRequest holds it any more',
    cure: 'make a new key and request on the device; nothing needs to be done if the device has its certificate: it is renewed inside its window',
  },
  'HR-ID-040': {
    title: 'LedgerBroken',
    cause: 'a page of the certificate ledger does not read, so nothing can be issued or revoked safely',
    cure: 'restore the CertificateLedger object named from a backup or correct the entry named; it is read again by itself',
  },
  'HR-ID-041': {
    title: 'LedgerNotLoaded',
    cause: 'the certificate ledger was not read from the API server yet',
    cure: 'wait; if it lasts, see whether the operator may list certificateledgers in its namespace',
  },
  'HR-ID-050': {
    title: 'CertificateNameTaken',
    cause: 'a cert-manager Certificate with the name of the Device exists and does not belong to it',
    cure: 'rename or delete that Certificate',
  },
  'HR-ID-051': {
    title: 'ManagedSpecInvalid',
    cause: 'cert-manager cannot make this certificate: duration is at least 1h, renewBefore at least 5m and shorter than duration',
    cure: 'correct spec.identity.duration and spec.identity.renewBefore',
  },
  'HR-ID-052': {
    title: 'ManagedRequestRefused',
    cause: 'a CertificateRequest for the Certificate of this Device is not what Hedgerow asked for, so it was not approved',
    cure: 'delete that CertificateRequest and take the right to create such from whoever made it',
  },
  'HR-ID-061': {
    title: 'AwaitingEnrolment',
    cause: 'the device has not enrolled by EST yet',
    cure: 'let the device enrol (docs/guides/enrol-by-est.md); it goes on by itself',
  },
  'HR-ID-062': {
    title: 'CertificateExpired',
    cause: 'the certificate of the device has expired and the device did not re-enrol by EST',
    cure: 'let the device re-enrol with it while spec.offlineBudget lasts; after that give it a new token, or let it prove itself by its factory certificate again',
  },
  'HR-ID-063': {
    title: 'EstRequestRefused',
    cause: 'a CertificateRequest of the EST server is not what it may ask for, so it was denied',
    cure: 'let the device ask again; if it lasts, give operator and EST server the same version and the same --default-issuer',
  },
  'HR-ID-064': {
    title: 'NoEstServer',
    cause: 'the Device is to enrol by EST, and the operator was told of no EST server whose requests it may approve',
    cure: 'install the chart with est.enabled (the operator then runs with --est-account), or use spec.identity.enrollment CSR or Managed',
  },
  'HR-ID-065': {
    title: 'NewKeyNeeded',
    cause: 'the keys of the device were given up, because they are in other hands, and it did not enrol with a new one yet',
    cure: 'make a new key on the device and give it a new token (kubectl hedgerow token), or let it prove itself by its factory certificate again',
  },
  'HR-ID-066': {
    title: 'RenewalOverdue',
    cause: 'half of the time between the begin of the renewal and the end of the certificate has gone by, and there is no new one',
    cure: 'see the conditions of the Device',
  },
  'HR-ID-070': {
    title: 'ExistingMissing',
    cause: 'enrollment is Existing and spec.identity.existing.certificate is empty',
    cure: 'put the public certificate that the device has into spec.identity.existing.certificate (never its key)',
  },
  'HR-ID-071': {
    title: 'ExistingMalformed',
    cause: 'spec.identity.existing.certificate is not exactly one PEM block of type CERTIFICATE that reads as X.509',
    cure: 'paste the certificate of the device alone, without its chain: openssl x509 -in device.crt',
  },
  'HR-ID-072': {
    title: 'ExistingKeyWeak',
    cause: 'the key of the certificate is not P-256, P-384, P-521, Ed25519 or RSA of 2048 to 8192 bits with a usual exponent',
    cure: 'enrol the device with a new key: spec.identity.enrollment EST with a token, or CSR',
  },
  'HR-ID-073': {
    title: 'ExistingNotForClients',
    cause: 'the certificate is that of a CA, or its usages leave out digital signature or client auth',
    cure: 'name the certificate with which the device connects as a client, or enrol the device by EST with a token',
  },
  'HR-ID-074': {
    title: 'ExistingNamesAnother',
    cause:
      'the subject of the certificate has O=hedgerow and is not exactly O=hedgerow, OU=<segment>.<namespace>, CN=<device>.<namespace> of this Device: at the broker it would be another one',
    cure: 'name the certificate of this very device; one with a subject of another kind is fine',
  },
  'HR-ID-075': {
    title: 'ExistingExpired',
    cause: 'the certificate in spec.identity.existing has expired and the device did not enrol by EST with it',
    cure: 'set spec.identity to enrollment: EST with bootstrap Token and give the device a token: kubectl hedgerow token',
  },
  'HR-ID-076': {
    title: 'ExistingNotValidYet',
    cause: 'the certificate in spec.identity.existing is not valid yet',
    cure: 'wait; it is recorded when it begins',
  },
  'HR-ID-080': {
    title: 'RegistrationUnproved',
    cause:
      'the request does not prove which device it is for: its factory certificate, the way to the CA of it, or the name does not agree with the rest',
    cure: 'let the device ask again; if it lasts, give operator and EST server the same version, and compare their clocks',
  },
  'HR-ID-081': {
    title: 'RegistrationNotOffered',
    cause: 'the SegmentPolicy takes no device without a manifest',
    cure: 'set spec.enrollment.serials of the SegmentPolicy, or make the Device',
  },
  'HR-ID-082': {
    title: 'ManufacturerNotPinned',
    cause: 'the factory certificate leads to a CA whose fingerprint the SegmentPolicy does not name',
    cure: 'add the fingerprint to spec.enrollment.manufacturerCA.sha256 if that CA is the one of your manufacturer',
  },
  'HR-ID-083': {
    title: 'SerialNotListed',
    cause: 'the serial number of the device is on no list of the SegmentPolicy',
    cure: 'add it to one of the ConfigMaps of spec.enrollment.serials if the device is yours; the device may ask again after a minute',
  },
  'HR-ID-084': {
    title: 'SerialListedTwice',
    cause:
      'the serial number stands more than once on the lists of the SegmentPolicy, so one of two devices would come in by the place of the other',
    cure: 'find out which entry is wrong and remove it',
  },
  'HR-ID-085': {
    title: 'AlreadyRegistered',
    cause: 'a Device stands for this serial number of this manufacturer, and for another factory certificate; or the name is taken',
    cure: 'delete that Device if its device is gone for good; if two devices have one serial number, ask the manufacturer',
  },
  'HR-ID-086': {
    title: 'ApprovalNeeded',
    cause: 'the SegmentPolicy has a person approve each device (approval: Manual, or the serial number is known by a pattern only)',
    cure: 'apply the manifest that the Event on the SegmentPolicy shows; the device then enrols by itself',
  },
  'HR-ID-087': {
    title: 'MaximumReached',
    cause: 'the SegmentPolicy has made as many Devices as spec.enrollment.maximum allows',
    cure: 'raise spec.enrollment.maximum if more devices are meant to come in, or delete Devices that are gone for good',
  },
  'HR-ID-088': {
    title: 'SerialListUnreadable',
    cause: 'a list of serial numbers of the SegmentPolicy cannot be read, so no device comes in by this policy',
    cure: 'make the ConfigMap with one serial number a line under the key that spec.enrollment.serials names, under a name that est.serialLists of the chart lists; it is read again within a minute',
  },
  'HR-ID-090': {
    title: 'CaNotTrustedYet',
    cause:
      'a certificate is signed by a CA that the broker was not seen to trust yet; a device keeps the one that it has, and waits ten seconds at most where it has none',
    cure: 'nothing, it goes on by itself as soon as the broker has the new bundle; if it lasts, see HR-BRK-022 in the log of the operator',
  },
  'HR-ID-091': {
    title: 'DriverUnknown',
    cause:
      'a certificate for the driver of a rollout was asked for by another user than the ServiceAccount of rollouts, or outside of the namespace of the operator',
    cure: 'if this was a driver, give its ServiceAccount to --rollout-account; otherwise find out who acts in its name',
  },
  'HR-ID-092': {
    title: 'DriverWithoutWave',
    cause: 'the driver names no FirmwareWave that is under way, or is none of its drivers',
    cure: 'nothing where the wave has just ended; a driver begins with the Job of a FirmwareWave and not by hand',
  },
  'HR-ID-093': {
    title: 'DriverRequestUnlike',
    cause: 'the request is not exactly what drivers ask for: issuer, usages, duration, no CA, one P-256 or Ed25519 key',
    cure: 'give operator and Job the same issuers (--mqtt-issuer, --directive-issuer), both of one version',
  },
} as const;

export type IdentityCode = keyof typeof ERRORS;

/** The condition reason of a code, for example `CsrSubjectMismatch`. */
export function reasonOf(code: IdentityCode): string {
  return ERRORS[code].title;
}

/** `HR-ID-009: <what was found>. <cure>`: one line a person can act on. `cure` replaces the table's when it can be more exact. */
export function explain(code: IdentityCode, found?: string, cure?: string): string {
  return `${code}: ${found ?? ERRORS[code].cause}. Cure: ${cure ?? ERRORS[code].cure}`;
}
