// What an EST client may be told. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-EST-001': {
    title: 'CredentialsMissing',
    status: 401,
    cause: 'the client showed neither a client certificate nor a one-time token',
    cure: 'to enrol, give the token by HTTP Basic (user <device>.<namespace>) or connect with the factory certificate; to re-enrol, connect with the current certificate',
  },
  'HR-EST-002': {
    title: 'CredentialsRefused',
    status: 401,
    cause: 'there is no such Device that enrols by token, it has no token, or the token is another one',
    cure: 'see that the Device has enrollment: EST with bootstrap: Token, and give it a new token',
  },
  'HR-EST-003': {
    title: 'TokenExpired',
    status: 401,
    cause: 'the one-time token has expired',
    cure: 'give the Device a new token',
  },
  'HR-EST-004': {
    title: 'TokenUsed',
    status: 401,
    cause: 'the one-time token was used already, for another request',
    cure: 'repeat the very request that it was used for, or give the Device a new token; if nobody of yours used it, find out who did',
  },
  'HR-EST-005': {
    title: 'WrongEnrolment',
    status: 403,
    cause: 'the Device does not enrol in this way',
    cure: 'set spec.identity.enrollment and spec.identity.est.bootstrap of the Device to the way that the device uses',
  },
  'HR-EST-006': {
    title: 'DeviceRevoked',
    status: 403,
    cause: 'the Device is revoked',
    cure: 'set it Active again if that is meant, and enrol it with a new key',
  },
  'HR-EST-010': {
    title: 'IssuerNotAccepted',
    status: 403,
    cause: 'the client certificate is not signed by a CA of this fleet',
    cure: 'connect with the certificate that was issued to this device; a CA of the same name does not do',
  },
  'HR-EST-011': {
    title: 'CertificateUnknown',
    status: 403,
    cause: 'the client certificate is not in the ledger for a Device that exists: Hedgerow did not issue it, or forgot it after it expired',
    cure: 'enrol the device again by a token or its factory certificate',
  },
  'HR-EST-012': {
    title: 'CertificateRevoked',
    status: 403,
    cause: 'the client certificate is revoked',
    cure: 'make a new key and enrol the device by a token or its factory certificate',
  },
  'HR-EST-013': {
    title: 'CertificateExpired',
    status: 403,
    cause: 'the client certificate expired longer ago than spec.offlineBudget of its Device allows',
    cure: 'enrol the device again by a token or its factory certificate',
  },
  'HR-EST-014': {
    title: 'CertificateNotYetValid',
    status: 403,
    cause: 'the client certificate begins in the future',
    cure: 'compare the clocks of the EST server and of the issuer',
  },
  'HR-EST-015': {
    title: 'CertificateNotForClients',
    status: 403,
    cause: 'the client certificate is not one for a device: its subject or its usages are others',
    cure: 'connect with the certificate that was issued to this device',
  },
  'HR-EST-020': {
    title: 'ManufacturerNotSet',
    status: 403,
    cause: 'the segment of the Device names no CA of a manufacturer that can be read',
    cure: 'set spec.enrollment.manufacturerCA of the SegmentPolicy to a Secret that est.manufacturerSecrets of the chart lists, with CA certificates in PEM',
  },
  'HR-EST-021': {
    title: 'ManufacturerNotAccepted',
    status: 403,
    cause: 'the factory certificate does not lead to the CA that the segment of the Device names, or is not valid now',
    cure: 'see which CA signed it; put that CA into the Secret if it is the right one; let the device send its intermediate certificates',
  },
  'HR-EST-022': {
    title: 'SerialNotProved',
    status: 403,
    cause: 'the serial numbers in the subject and in the HardwareModuleName (RFC 4108) of the factory certificate are missing or differ',
    cure: 'ask the manufacturer for a certificate as IEEE 802.1AR wants it, or enrol by token',
  },
  'HR-EST-023': {
    title: 'SerialMismatch',
    status: 403,
    cause: 'the serial number of the factory certificate is not spec.hardware.serial of the Device',
    cure: 'correct spec.hardware.serial, or let the device ask for its own name',
  },
  'HR-EST-024': {
    title: 'OtherFactoryCertificate',
    status: 403,
    cause: 'the Device stands for another factory certificate with this serial number: of another manufacturer, or with another key',
    cure: 'if the device that the Device stands for is gone for good, delete the Device; if two devices have one serial number, ask the manufacturer',
  },
  'HR-EST-025': {
    title: 'SegmentNotFound',
    status: 403,
    cause: 'no SegmentPolicy takes a device with this serial number of this manufacturer',
    cure: 'add the serial number to a list of spec.enrollment.serials, or make the Device',
  },
  'HR-EST-026': {
    title: 'SegmentAmbiguous',
    status: 403,
    cause: 'more than one SegmentPolicy would take the device',
    cure: 'take its serial number from all lists but one, or let the device name its segment: OU=<segment>.<namespace> in the request',
  },
  'HR-EST-030': {
    title: 'BodyMalformed',
    status: 400,
    cause: 'the body is not one PKCS#10 request in base64 (RFC 8951 §3.1)',
    cure: 'send openssl req -outform DER | base64 and nothing else',
  },
  'HR-EST-031': {
    title: 'BodyTooLarge',
    status: 413,
    cause: 'the body is larger than any request that could be accepted',
    cure: 'send one PKCS#10 request without extra attributes',
  },
  'HR-EST-032': {
    title: 'WrongContentType',
    status: 415,
    cause: 'the content type is not application/pkcs10',
    cure: 'send Content-Type: application/pkcs10',
  },
  'HR-EST-033': {
    title: 'RequestRefused',
    status: 400,
    cause: 'the PKCS#10 request is not one that this Device may have signed; the reason has a code of its own',
    cure: 'follow that reason',
  },
  'HR-EST-034': {
    title: 'NotServed',
    status: 404,
    cause: 'this server has cacerts, csrattrs, simpleenroll and simplereenroll under /.well-known/est/',
    cure: 'use one of these paths, without a CA label',
  },
  'HR-EST-035': {
    title: 'WrongMethod',
    status: 405,
    cause: 'cacerts and csrattrs are read with GET, simpleenroll and simplereenroll written with POST',
    cure: 'use the other method',
  },
  'HR-EST-036': {
    title: 'NoAnchorMessage',
    status: 404,
    cause: 'no signed message about the CAs of the broker was given to this server',
    cure: 'set trust.enabled of the chart, or --trust-message-file; the operator makes the message',
  },
  'HR-EST-040': {
    title: 'TooManyRequests',
    status: 429,
    cause: 'this address or this Device asks too often, or has too many requests under way',
    cure: 'wait as long as Retry-After says',
  },
  'HR-EST-041': {
    title: 'Working',
    status: 202,
    cause: 'the request was accepted and the certificate is not made yet',
    cure: 'repeat the same request after the time that Retry-After says',
  },
  'HR-EST-042': {
    title: 'IssuanceRefused',
    status: 403,
    cause: 'the operator or the issuer refused the request; the message says why',
    cure: 'follow the message; the Device and its CertificateRequests show more',
  },
  'HR-EST-043': {
    title: 'NotReady',
    status: 503,
    cause: 'the EST server cannot reach the API server, or has not read the ledger and the Devices yet',
    cure: 'wait; if it lasts, see the log of the EST server',
  },
} as const;

export type EstCode = keyof typeof ERRORS;

/** What the client is told: `code: found. Cure: …`, with the HTTP status of the code. */
export type Refusal = { code: EstCode; message: string; retryAfterSeconds?: number };

/** `found` replaces the cause of the table where it can be more exact. */
export function refuse(code: EstCode, found?: string, retryAfterSeconds?: number): Refusal {
  const message = `${code}: ${found ?? ERRORS[code].cause}. Cure: ${ERRORS[code].cure}`;
  return { code, message, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
}

export function statusOf(refusal: Refusal): number {
  return ERRORS[refusal.code].status;
}
