// Device: one thing of the fleet. From this manifest follow its certificate, its place in a segment, its MQTT rights and its firmware record.
import { type Static, Type } from 'typebox';
import { DEFAULT_DURATION } from './duration.ts';
import { conditions, label, objectName, observedGeneration, steps } from './fields.ts';
import { AGE, conditionColumn, type KindDefinition, type KindObject } from './kind.ts';
import { DEVICES } from './resources.ts';
import { choice, count, duration, flag, list, malformed, map, object, rule, text, time } from './schema.ts';

const hardware = object('What the thing is. Release selectors and artifacts match on it.', {
  model: Type.Optional(plain('Model as its maker calls it, for example tmp-2.')),
  revision: Type.Optional(plain('Hardware revision, for example "1.3".')),
  serial: Type.Optional(
    plain('Serial number, unique in the namespace: a second Device with the same one is stalled, the first is not touched.'),
  ),
});

const est = object('EST: what the device proves itself with the first time. Default: Token.', {
  bootstrap: choice(
    ['Manufacturer', 'Token'],
    'Manufacturer: its factory certificate (IDevID), whose serial number is spec.hardware.serial and whose CA the SegmentPolicy names. Token: a one-time secret, kept as a hash in the Secret hedgerow-est-tokens of this namespace.',
  ),
});

const existing = object("Existing: the certificate that the device has from another CA. Public: never the device's key.", {
  certificate: text(
    'The one certificate in PEM, without its chain. It counts until the device has enrolled by EST with it, or until it expires; it is not on our CRL.',
    { max: 16384, min: 1 },
  ),
});

const issuerRef = object("The cert-manager issuer of this device's certificates. Default: the operator's (--default-issuer).", {
  name: objectName('Name of the Issuer (in this namespace) or ClusterIssuer.'),
  kind: choice(['Issuer', 'ClusterIssuer'], 'Issuer or ClusterIssuer. Default: Issuer.', { default: 'Issuer' }),
});

const identity = object(
  'How the device comes to its certificate.',
  {
    enrollment: choice(
      ['CSR', 'EST', 'Managed', 'Existing'],
      "How the first certificate comes. CSR: from the request in csr, the key stays on the device. EST: the device asks over HTTPS. Managed: cert-manager makes key and certificate in a Secret (gateways, software devices). Existing: another CA's certificate counts until the first re-enrolment. Default: CSR.",
      { default: 'CSR' },
    ),
    csr: Type.Optional(
      text(
        'CSR: the PKCS#10 request in PEM that was made on the device, with exactly the subject O=hedgerow, OU=<segment>.<namespace>, CN=<device>.<namespace> in this order. A changed request is a re-key. Up to 8192 characters are read.',
        { max: 16384 },
      ),
    ),
    est: Type.Optional(est),
    existing: Type.Optional(existing),
    secretName: Type.Optional(objectName('Managed: the Secret in this namespace that cert-manager writes key and certificate to.')),
    issuerRef: Type.Optional(issuerRef),
    duration: duration('How long a certificate is valid, for example 720h. Managed: at least 1h. Default: 720h (30 days).', {
      default: DEFAULT_DURATION,
      code: 'HR-API-007',
    }),
    renewBefore: Type.Optional(
      duration('How long before its end a certificate is renewed. Managed: at least 5m. Default: a third of duration.', {
        code: 'HR-API-007',
      }),
    ),
  },
  {
    // The API server checks a default by the rules before it fills in the defaults inside it.
    default: { enrollment: 'CSR', duration: DEFAULT_DURATION },
    rules: [
      rule(
        'HR-API-005',
        "!has(self.csr) || !self.csr.contains('PRIVATE KEY')",
        'spec.identity.csr holds a private key, which must never leave the device: throw this key away, make a new one there and paste only the CERTIFICATE REQUEST',
        '.csr',
      ),
      rule(
        'HR-API-006',
        "!has(self.csr) || self.csr.contains('PRIVATE KEY') || self.csr.matches('^\\\\s*-----BEGIN CERTIFICATE REQUEST-----')",
        'spec.identity.csr is not a PKCS#10 request in PEM: paste the whole file that openssl req -new wrote, beginning with -----BEGIN CERTIFICATE REQUEST-----',
        '.csr',
      ),
      rule(
        'HR-API-006',
        "self.enrollment == 'Managed' || !has(self.secretName)",
        'spec.identity.secretName goes with enrollment: Managed only; otherwise the key stays on the device and there is no Secret: remove it',
        '.secretName',
      ),
      rule(
        'HR-API-006',
        "self.enrollment != 'Managed' || has(self.secretName)",
        'enrollment: Managed needs spec.identity.secretName, the Secret that cert-manager writes key and certificate to',
      ),
      rule(
        'HR-API-006',
        "self.enrollment == 'CSR' || !has(self.csr)",
        'spec.identity.csr goes with enrollment: CSR only: remove it, or set enrollment: CSR',
        '.csr',
      ),
      rule(
        'HR-API-006',
        "self.enrollment == 'EST' || !has(self.est)",
        'spec.identity.est goes with enrollment: EST only: remove it, or set enrollment: EST',
        '.est',
      ),
      rule(
        'HR-API-005',
        "!has(self.existing) || !self.existing.certificate.contains('PRIVATE KEY')",
        'spec.identity.existing.certificate holds a private key, which must never leave the device: give the device a new key and paste only a CERTIFICATE',
        '.existing',
      ),
      rule(
        'HR-API-006',
        "!has(self.existing) || self.existing.certificate.contains('PRIVATE KEY') || self.existing.certificate.matches('^\\\\s*-----BEGIN CERTIFICATE-----')",
        'spec.identity.existing.certificate is not a certificate in PEM: paste what openssl x509 -in device.crt prints, beginning with -----BEGIN CERTIFICATE-----',
        '.existing',
      ),
      rule(
        'HR-API-006',
        "self.enrollment == 'Existing' || !has(self.existing)",
        'spec.identity.existing goes with enrollment: Existing only: remove it, or set enrollment: Existing',
        '.existing',
      ),
      rule(
        'HR-API-006',
        "self.enrollment != 'Existing' || has(self.existing)",
        'enrollment: Existing needs spec.identity.existing.certificate, the public certificate that the device has',
      ),
      rule(
        'HR-API-007',
        `${malformed('self.duration')} || (duration(self.duration) >= duration('10s') && duration(self.duration) <= duration('43800h'))`,
        'spec.identity.duration is at least 10s and at most 43800h (five years): a revoked certificate is banned until it expires',
        '.duration',
      ),
      rule(
        'HR-API-007',
        `!has(self.renewBefore) || ${malformed('self.renewBefore')} || ${malformed('self.duration')} || (duration(self.renewBefore) > duration('0s') && duration(self.renewBefore) < duration(self.duration))`,
        'spec.identity.renewBefore is longer than 0s and shorter than spec.identity.duration; leave it out for a third of duration',
        '.renewBefore',
      ),
      rule(
        'HR-API-007',
        `self.enrollment != 'Managed' || ${malformed('self.duration')} || duration(self.duration) >= duration('1h')`,
        'for enrollment: Managed cert-manager wants spec.identity.duration of at least 1h',
        '.duration',
      ),
      rule(
        'HR-API-007',
        `self.enrollment != 'Managed' || !has(self.renewBefore) || ${malformed('self.renewBefore')} || duration(self.renewBefore) >= duration('5m')`,
        'for enrollment: Managed cert-manager wants spec.identity.renewBefore of at least 5m',
        '.renewBefore',
      ),
    ],
  },
);

const grant = object("One exception to the segment's topic rights, for this device only.", {
  action: choice(['publish', 'subscribe'], 'publish or subscribe.'),
  topic: text('MQTT topic filter; {device} and {segment} as in a SegmentPolicy.', { max: 256, min: 1 }),
  until: time('When the exception ends (RFC 3339).'),
  reason: text('Why; it is audited.', { max: 512, min: 1 }),
});

/** CEL: seconds of what is left of a certificate when its renewal begins, three times over, because a third is the default. */
const RENEWAL_TRIPLE =
  '(has(self.identity.renewBefore) ? 3 * duration(self.identity.renewBefore).getSeconds() : duration(self.identity.duration).getSeconds())';

const specRules = [
  rule(
    'HR-API-006',
    "!has(self.identity.est) || self.identity.est.bootstrap != 'Manufacturer' || (has(self.hardware) && has(self.hardware.serial))",
    'bootstrap: Manufacturer needs spec.hardware.serial: it is what the factory certificate has to prove',
    '.identity.est',
  ),
  rule(
    'HR-API-007',
    `!has(self.offlineBudget) || ${malformed('self.offlineBudget')} || ${malformed('self.identity.duration')} || (has(self.identity.renewBefore) && ${malformed('self.identity.renewBefore')}) || 3 * duration(self.offlineBudget).getSeconds() <= ${RENEWAL_TRIPLE}`,
    'a certificate could run out while the device is out of touch: spec.offlineBudget is at most spec.identity.renewBefore, which is a third of spec.identity.duration by default',
    '.offlineBudget',
  ),
];

const fields = {
  segment: label('Name of a SegmentPolicy in this namespace: the one segment that the device belongs to. Changing it moves the device.'),
  hardware: Type.Optional(hardware),
  identity,
  lifecycle: choice(
    ['Active', 'Quarantined', 'Revoked'],
    'Active: it may what its segment may. Quarantined: only firmware and recovery topics. Revoked: its certificates never work again; it can return with a new key. An Intervention can only make it stricter. Default: Active.',
    { default: 'Active' },
  ),
  offlineBudget: Type.Optional(
    duration(
      'How long the device may be out of touch, for example 72h; at most spec.identity.renewBefore, so that its certificate outlasts it, and at most seven eighths of how long a CRL lasts, where the chart makes them. A device that was not at the broker for longer says OutOfTouch. As long after its end a certificate may still re-enrol by EST. Default: 0s.',
      {
        code: 'HR-API-007',
      },
    ),
  ),
  firmware: Type.Optional(
    object('How the device takes part in rollouts.', {
      hold: flag('true: stay out of rollouts. Default: false.', { default: false }),
      pin: Type.Optional(
        text('Stay at this version of the component app, for example 2.3.1. Default: empty, follow the releases.', { max: 64 }),
      ),
      bootKey: Type.Optional(
        text(
          'Public key with which the bootloader signs what it started (PEM, P-256 or Ed25519): a success without such a report does not count. Default: none, a success is the word of the image.',
          { max: 1024 },
        ),
      ),
    }),
  ),
  grants: Type.Optional(list("Exceptions to the segment's topic rights. Default: none.", grant, { max: 16 })),
};
const spec = object('What is wanted of the device.', fields, { rules: specRules });

const firmwareRecord = object('What runs as one component.', {
  version: text('Version that the device reported after booting it.', { max: 64 }),
  digest: text('Digest of the running image, sha256:<64 hex digits>.', { max: 80 }),
  securityCounter: Type.Optional(count('Anti-rollback counter of the running image.')),
  release: Type.Optional(text('FirmwareRelease of the last attempt, <namespace>/<name>.', { max: 317 })),
  releaseUid: Type.Optional(text('Its uid.', { max: 64 })),
  step: Type.Optional(
    count('Step of the release in which the device ended: waves in their order, a wave that grows has several.', { max: 4096 }),
  ),
  attempt: Type.Optional(count('How often the device was offered it.')),
  result: Type.Optional(
    choice(
      ['Confirmed', 'Rejected', 'Failed', 'RolledBack', 'TimedOut', 'Lost', 'Cancelled', 'Reverted'],
      'How the last attempt ended. Confirmed: booted and reported with the digest of the release. Cancelled: told to stop before it booted. Reverted: told to go back, and it did.',
    ),
  ),
  code: Type.Optional(count('Error code of the device, docs/reference/firmware-protocol.md.', { max: 16 })),
  proof: Type.Optional(choice(['Proven', 'Unproven'], 'Of Confirmed: by a report of the bootloader, or by the word of the image only.')),
  endedAt: Type.Optional(time('When the last attempt ended, RFC 3339.')),
  previous: Type.Optional(
    object('Of Confirmed: the image that ran before, which a Revert starts again.', {
      version: text('Its version.', { max: 64 }),
      digest: text('Its digest, sha256:<64 hex digits>.', { max: 80 }),
      securityCounter: count('Its anti-rollback counter.'),
    }),
  ),
  confirmedAt: Type.Optional(time('When the device confirmed it, RFC 3339.')),
});

export type FirmwareRecord = Static<typeof firmwareRecord>;

const status = object('What is true of the device. Written by the operator only, and only when a state changes.', {
  observedGeneration: Type.Optional(observedGeneration),
  identity: Type.Optional(
    object('The newest certificate and, when revoked, what was done.', {
      serialNumber: Type.Optional(text('Serial number of the certificate, hexadecimal.', { max: 128 })),
      fingerprint: Type.Optional(text('SHA-256 of the certificate (DER), hexadecimal.', { max: 128 })),
      notBefore: Type.Optional(time('Start of its validity, RFC 3339.')),
      notAfter: Type.Optional(time('End of its validity, RFC 3339.')),
      renewAt: Type.Optional(time('When it will be renewed, RFC 3339.')),
      issuer: Type.Optional(text('Issuer that signed it, <kind>/<namespace>/<name>.', { max: 512 })),
      replacedKey: Type.Optional(
        text(
          'SHA-256 of the key in spec.identity.csr that this certificate took the place of by EST, hexadecimal: that request is not certified again.',
          { max: 128 },
        ),
      ),
      revokedAt: Type.Optional(time('When the identity was first seen revoked, RFC 3339.')),
      revocationSteps: Type.Optional(
        steps(
          'What was done to revoke it, as the world shows it: Ledger (recorded), Broker (banned, its session gone), Rights (no rules of its own left there), Crl (on the list of its issuer; only where the operator follows lists).',
        ),
      ),
    }),
  ),
  move: Type.Optional(
    object('The last move into another segment.', {
      from: list(
        'Segments that certificates of the device still named, <segment>.<namespace>.',
        text('One segment, <segment>.<namespace>.', { max: 130 }),
        {
          max: 16,
        },
      ),
      to: text('The segment of the manifest, <segment>.<namespace>.', { max: 130 }),
      steps: steps(
        'What was seen done, in this order: RightsMoved (the broker gives the rights of the new segment and no others), CertificateIssued, CertificateInUse, OldCertificatesOver (revoked or expired), Done.',
      ),
    }),
  ),
  rotation: Type.Optional(
    object('How far the newest Rotate has come that stands for the device. Absent without one.', {
      requestedAt: time('When the newest Intervention with action Rotate was created, RFC 3339.'),
      compromisedAt: Type.Optional(time('When the newest one was created that says compromised, RFC 3339.')),
      steps: Type.Optional(
        steps(
          'Ledger and Broker: the certificates of compromised keys are revoked and banned. Certificate: the device has a new certificate.',
        ),
      ),
    }),
  ),
  certificate: Type.Optional(
    text('The certificate chain in PEM; public. Enrollment CSR and EST: install it on the device.', { max: 65536 }),
  ),
  firmware: Type.Optional(map('What runs on the device, by component.', firmwareRecord, { max: 16 })),
  conditions: Type.Optional(conditions),
});

export const deviceKind: KindDefinition = {
  resource: DEVICES,
  singular: 'device',
  shortNames: ['dev'],
  selectable: ['.spec.segment', '.spec.lifecycle'],
  description:
    'A Device is one thing of the fleet: its certificate from cert-manager, its MQTT identity at the broker, its place in one segment, its firmware record. Its name on the wire is <device>.<namespace>.',
  spec,
  status,
  columns: [
    { name: 'Segment', type: 'string', description: 'The segment that the device belongs to.', jsonPath: '.spec.segment' },
    conditionColumn('Ready', 'Ready', 'status', 'Certified, in its segment and authorized at the broker.'),
    conditionColumn('Reason', 'Ready', 'reason', 'Why it is or is not Ready.'),
    { name: 'Expires', type: 'string', description: 'When its certificate ends.', jsonPath: '.status.identity.notAfter' },
    { name: 'Lifecycle', type: 'string', description: 'Lifecycle that its manifest asks for.', jsonPath: '.spec.lifecycle' },
    AGE,
    {
      name: 'Enrollment',
      type: 'string',
      description: 'How its first certificate comes.',
      jsonPath: '.spec.identity.enrollment',
      wide: true,
    },
    { name: 'Serial', type: 'string', description: 'Serial number of the hardware.', jsonPath: '.spec.hardware.serial', wide: true },
    { name: 'Model', type: 'string', description: 'Model of the hardware.', jsonPath: '.spec.hardware.model', wide: true },
    { ...conditionColumn('Message', 'Ready', 'message', 'What Ready says, in a sentence.'), wide: true },
  ],
};

export type Device = KindObject<typeof spec, typeof status>;
export type DeviceStatus = Static<typeof status>;

/** Printable text without control characters: it appears in messages and logs. */
function plain(description: string) {
  return text(description, {
    max: 64,
    min: 1,
    pattern: '^[A-Za-z0-9]([A-Za-z0-9 ._:/+-]*[A-Za-z0-9])?$',
    code: 'HR-API-015',
    cure: 'use letters, digits, spaces and . _ : / + - and begin and end with a letter or digit',
  });
}
