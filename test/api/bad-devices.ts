// Devices that the API server refuses, each for one reason.
import type { BadManifest } from './bad-manifest.ts';
import { CSR, device, identity, LONG_NAMESPACE } from './manifests.ts';

const LABEL =
  'HR-API-002: names are RFC 1123 labels of at most 62 characters: a-z, 0-9 and -, starting and ending with a letter or digit; dots separate name and namespace in certificates and are not allowed here';
const NAME =
  'HR-API-002: metadata.name must be an RFC 1123 label of at most 62 characters: use a-z, 0-9 and - only, and start and end with a letter or digit (a dot would separate name and namespace in the certificate)';
const KEY_IN_MANIFEST =
  'HR-API-005: spec.identity.csr holds a private key, which must never leave the device: throw this key away, make a new one there and paste only the CERTIFICATE REQUEST';
const BUDGET =
  'HR-API-007: a certificate could run out while the device is out of touch: spec.offlineBudget is at most spec.identity.renewBefore, which is a third of spec.identity.duration by default';
const NO_REQUEST =
  'HR-API-006: spec.identity.csr is not a PKCS#10 request in PEM: paste the whole file that openssl req -new wrote, beginning with -----BEGIN CERTIFICATE REQUEST-----';
const OBJECT_NAME = 'HR-API-015: this is the name of a Kubernetes object: a-z, 0-9, - and dots, starting and ending with a letter or digit';
const NO_DURATION = 'HR-API-007: a duration is written in hours, minutes and seconds, for example 720h, 90m or 1h30m; there are no days';
const DURATION_RANGE =
  'HR-API-007: spec.identity.duration is at least 10s and at most 43800h (five years): a revoked certificate is banned until it expires';
const RENEWAL =
  'HR-API-007: spec.identity.renewBefore is longer than 0s and shorter than spec.identity.duration; leave it out for a third of duration';
const PLAIN = 'HR-API-015: use letters, digits, spaces and . _ : / + - and begin and end with a letter or digit';
const SHORTER = 'characters, the limit is 64: shorten the name or the namespace: it becomes the CN or OU of certificates';
const long = (length: number): string => 'x'.repeat(length);
/** The form of a key and no key. */
const CERTIFICATE = CSR.replaceAll(' REQUEST', '');
const KEY = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n';

export const BAD_DEVICES: readonly BadManifest[] = [
  ['a name with a dot, which would look like name and namespace', device({}, { name: 'thermo.17' }), [NAME], 'onlyServer'],
  ['a name of 63 characters', device({}, { name: long(63) }), [NAME], 'onlyServer'],
  [
    'a name that is too long together with its namespace',
    device({}, { name: long(55) }),
    [`HR-API-002: ${long(55)}.api-table has 65 ${SHORTER}`],
    'onlyServer',
  ],
  [
    'a namespace of 63 characters',
    device({}, { namespace: LONG_NAMESPACE, name: 'a' }),
    ['HR-API-002: the namespace has more than 62 characters: use a namespace with a shorter name'],
    'onlyServer',
  ],
  [
    'a segment whose name is too long together with the namespace',
    device({ segment: long(55) }),
    [`HR-API-002: ${long(55)}.api-table has 65 ${SHORTER}`],
    'onlyServer',
  ],
  ['no segment', { ...device(), spec: {} }, ['spec.segment: Required value']],
  ['a segment in capitals', device({ segment: 'Office' }), [`spec.segment: ${LABEL}`]],
  ['a segment with a dot', device({ segment: 'office.berlin' }), [`spec.segment: ${LABEL}`]],
  ['a segment that would be a wildcard', device({ segment: '+' }), [`spec.segment: ${LABEL}`]],
  ['a segment that would open a level', device({ segment: 'office/#' }), [`spec.segment: ${LABEL}`]],
  ['a segment of 63 characters', device({ segment: long(63) }), ['spec.segment: Too long: may not be more than 62 bytes']],
  [
    'an empty segment',
    device({ segment: '' }),
    [`spec.segment: ${LABEL}`, 'spec.segment: spec.segment in body should be at least 1 chars long'],
  ],
  [
    'a field that does not exist',
    device({ csr: CSR }),
    ['Device in version "v1alpha1" cannot be handled as a Device: strict decoding error: unknown field "spec.csr"'],
  ],
  [
    'a way of enrollment that does not exist',
    identity({ enrollment: 'Magic' }),
    ['spec.identity.enrollment: Unsupported value: "Magic": supported values: "CSR", "EST", "Managed", "Existing"'],
  ],
  ['a private key in the place of the request', identity({ csr: KEY }), [`spec.identity.csr: ${KEY_IN_MANIFEST}`], 'onlyServer'],
  [
    'an encrypted private key in the place of the request',
    identity({ csr: KEY.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE') }),
    [`spec.identity.csr: ${KEY_IN_MANIFEST}`],
    'onlyServer',
  ],
  ['a request with a private key behind it', identity({ csr: CSR + KEY }), [`spec.identity.csr: ${KEY_IN_MANIFEST}`], 'onlyServer'],
  [
    'a request in DER, base64 without its lines',
    identity({ csr: 'MIIBCTCBsAIBADBOMREwDwYDVQQK' }),
    [`spec.identity.csr: ${NO_REQUEST}`],
    'onlyServer',
  ],
  [
    'a certificate in the place of the request',
    identity({ csr: CSR.replaceAll(' REQUEST', '') }),
    [`spec.identity.csr: ${NO_REQUEST}`],
    'onlyServer',
  ],
  ['an empty request', identity({ csr: '' }), [`spec.identity.csr: ${NO_REQUEST}`], 'onlyServer'],
  [
    'a request of more than 16384 characters',
    identity({ csr: CSR.replace('MIIB', long(16_384)) }),
    ['spec.identity.csr: Too long: may not be more than 16384 bytes'],
  ],
  [
    'a Secret for a key that stays on the device',
    identity({ csr: CSR, secretName: 'thermo-17-tls' }),
    [
      'spec.identity.secretName: HR-API-006: spec.identity.secretName goes with enrollment: Managed only; otherwise the key stays on the device and there is no Secret: remove it',
    ],
    'onlyServer',
  ],
  [
    'Managed without a Secret',
    identity({ enrollment: 'Managed' }),
    [
      'spec.identity: HR-API-006: enrollment: Managed needs spec.identity.secretName, the Secret that cert-manager writes key and certificate to',
    ],
    'onlyServer',
  ],
  [
    'a proof for EST beside a request',
    identity({ csr: CSR, est: { bootstrap: 'Token' } }),
    ['spec.identity.est: HR-API-006: spec.identity.est goes with enrollment: EST only: remove it, or set enrollment: EST'],
    'onlyServer',
  ],
  [
    'a factory certificate without a serial number to prove',
    identity({ enrollment: 'EST', est: { bootstrap: 'Manufacturer' } }),
    ['spec.identity.est: HR-API-006: bootstrap: Manufacturer needs spec.hardware.serial: it is what the factory certificate has to prove'],
    'onlyServer',
  ],
  [
    'an existing certificate with its private key',
    identity({ enrollment: 'Existing', existing: { certificate: `${CERTIFICATE}${KEY}` } }),
    [
      'spec.identity.existing: HR-API-005: spec.identity.existing.certificate holds a private key, which must never leave the device: give the device a new key and paste only a CERTIFICATE',
    ],
    'onlyServer',
  ],
  [
    'a request in the place of the existing certificate',
    identity({ enrollment: 'Existing', existing: { certificate: CSR } }),
    [
      'spec.identity.existing: HR-API-006: spec.identity.existing.certificate is not a certificate in PEM: paste what openssl x509 -in device.crt prints, beginning with -----BEGIN CERTIFICATE-----',
    ],
    'onlyServer',
  ],
  [
    'Existing without a certificate',
    identity({ enrollment: 'Existing' }),
    [
      'spec.identity: HR-API-006: enrollment: Existing needs spec.identity.existing.certificate, the public certificate that the device has',
    ],
    'onlyServer',
  ],
  [
    'an existing certificate beside a request',
    identity({ csr: CSR, existing: { certificate: CERTIFICATE } }),
    [
      'spec.identity.existing: HR-API-006: spec.identity.existing goes with enrollment: Existing only: remove it, or set enrollment: Existing',
    ],
    'onlyServer',
  ],
  ['a budget that outlasts the certificate', device({ offlineBudget: '241h' }), [`spec.offlineBudget: ${BUDGET}`], 'onlyServer'],
  [
    'a budget longer than the renewal that was asked for',
    device({ offlineBudget: '25h', identity: { renewBefore: '24h' } }),
    [`spec.offlineBudget: ${BUDGET}`],
    'onlyServer',
  ],
  [
    'Managed with a request',
    identity({ enrollment: 'Managed', secretName: 'thermo-17-tls', csr: CSR }),
    ['spec.identity.csr: HR-API-006: spec.identity.csr goes with enrollment: CSR only: remove it, or set enrollment: CSR'],
    'onlyServer',
  ],
  [
    'a Secret whose name is none',
    identity({ enrollment: 'Managed', secretName: 'Thermo_17' }),
    [`spec.identity.secretName: ${OBJECT_NAME}`],
  ],
  ['a duration in days', identity({ duration: '30d' }), [`spec.identity.duration: ${NO_DURATION}`]],
  ['a negative duration', identity({ duration: '-1h' }), [`spec.identity.duration: ${NO_DURATION}`]],
  ['a duration with a fraction', identity({ duration: '1.5h' }), [`spec.identity.duration: ${NO_DURATION}`]],
  ['a duration without a unit', identity({ duration: '720' }), [`spec.identity.duration: ${NO_DURATION}`]],
  [
    'a duration that is a number',
    identity({ duration: 720 }),
    ['spec.identity.duration: spec.identity.duration in body must be of type string: "integer"'],
  ],
  ['a duration of five seconds', identity({ duration: '5s' }), [`spec.identity.duration: ${DURATION_RANGE}`], 'onlyServer'],
  ['a duration of more than five years', identity({ duration: '43801h' }), [`spec.identity.duration: ${DURATION_RANGE}`], 'onlyServer'],
  ['renewal after the end', identity({ duration: '24h', renewBefore: '24h' }), [`spec.identity.renewBefore: ${RENEWAL}`], 'onlyServer'],
  ['renewal at the last instant', identity({ renewBefore: '0s' }), [`spec.identity.renewBefore: ${RENEWAL}`], 'onlyServer'],
  ['a renewal that is no duration', identity({ renewBefore: 'soon' }), [`spec.identity.renewBefore: ${NO_DURATION}`]],
  [
    'Managed for less than an hour',
    identity({ enrollment: 'Managed', secretName: 's', duration: '30m' }),
    ['spec.identity.duration: HR-API-007: for enrollment: Managed cert-manager wants spec.identity.duration of at least 1h'],
    'onlyServer',
  ],
  [
    'Managed with a renewal of a minute',
    identity({ enrollment: 'Managed', secretName: 's', renewBefore: '1m' }),
    ['spec.identity.renewBefore: HR-API-007: for enrollment: Managed cert-manager wants spec.identity.renewBefore of at least 5m'],
    'onlyServer',
  ],
  [
    'an issuer of another kind',
    identity({ issuerRef: { name: 'site-ca', kind: 'VaultIssuer' } }),
    ['spec.identity.issuerRef.kind: Unsupported value: "VaultIssuer": supported values: "Issuer", "ClusterIssuer"'],
  ],
  ['an issuer without a name', identity({ issuerRef: { kind: 'Issuer' } }), ['spec.identity.issuerRef.name: Required value']],
  ['an issuer whose name is none', identity({ issuerRef: { name: '../site-ca' } }), [`spec.identity.issuerRef.name: ${OBJECT_NAME}`]],
  [
    'a lifecycle that does not exist',
    device({ lifecycle: 'Retired' }),
    ['spec.lifecycle: Unsupported value: "Retired": supported values: "Active", "Quarantined", "Revoked"'],
  ],
  ['a serial number with a line break', device({ hardware: { serial: 'A1\nB2' } }), [`spec.hardware.serial: ${PLAIN}`]],
  [
    'a model of more than 64 characters',
    device({ hardware: { model: long(65) } }),
    ['spec.hardware.model: Too long: may not be more than 64 bytes'],
  ],
  ['a model that is markup', device({ hardware: { model: '<b>tmp-2</b>' } }), [`spec.hardware.model: ${PLAIN}`]],
  [
    'a revision that is a number',
    device({ hardware: { revision: 1.3 } }),
    ['spec.hardware.revision: spec.hardware.revision in body must be of type string: "number"'],
  ],
];
