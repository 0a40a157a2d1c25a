// Interventions, and the operator's own records, that the API server refuses from a person.
import type { BadManifest } from './bad-manifest.ts';
import { DIGEST, intervention, ledger, wave } from './manifests.ts';

const LABEL = 'HR-API-002: names of Devices and SegmentPolicies are RFC 1123 labels of at most 62 characters, without dots';
const OBJECT_NAME = 'HR-API-015: this is the name of a Kubernetes object: a-z, 0-9, - and dots, starting and ending with a letter or digit';
const OPERATOR = 'system:serviceaccount:hedgerow-system:hedgerow';

export const BAD_INTERVENTIONS: readonly BadManifest[] = [
  [
    'an action that does not exist',
    intervention({ action: 'Explode' }),
    [
      'spec.action: Unsupported value: "Explode": supported values: "Quarantine", "Revoke", "Rotate", "Pause", "Approve", "Abort", "Rollback"',
    ],
  ],
  [
    'a target of another kind',
    intervention({ target: { kind: 'Pod', name: 'x' } }),
    ['spec.target.kind: Unsupported value: "Pod": supported values: "Device", "SegmentPolicy", "FirmwareRelease"'],
  ],
  ['a target that is a wildcard', intervention({ target: { kind: 'Device', name: '*' } }), [`spec.target.name: ${OBJECT_NAME}`]],
  [
    'a Device by a name that no Device has',
    intervention({ target: { kind: 'Device', name: 'thermo-17.berlin' } }),
    [`spec.target.name: ${LABEL}`],
    'onlyServer',
  ],
  ['no target', intervention({ target: undefined }), ['spec.target: Required value']],
  ['no reason', intervention({ reason: '' }), ['spec.reason: spec.reason in body should be at least 1 chars long']],
  [
    'an end for a revocation',
    intervention({ action: 'Revoke', expires: '2026-12-01T00:00:00Z' }),
    [
      'spec.expires: HR-API-011: only a Quarantine or a Pause ends by itself: remove spec.expires (a revoked device returns with a new key)',
    ],
    'onlyServer',
  ],
  [
    'a compromised key with an action that knows none',
    intervention({ action: 'Revoke', compromised: true }),
    ['spec.compromised: HR-API-011: spec.compromised goes with action: Rotate only: remove it'],
    'onlyServer',
  ],
  ['an end that is no time', intervention({ expires: 'never' }), ['spec.expires: spec.expires in body must be of type date-time: "never"']],
  [
    'in the name of somebody else',
    intervention({ requestedBy: 'alice@example.org' }),
    ['HR-API-012: spec.requestedBy is alice@example.org but you are admin: set spec.requestedBy to admin'],
    'onlyServer',
  ],
  [
    'an approval in the name of somebody else: nobody approves a release of their own',
    intervention({
      target: { kind: 'FirmwareRelease', name: 'app-2-4-0' },
      action: 'Approve',
      approve: { wave: 'canary', digest: DIGEST, generation: 1 },
      requestedBy: 'alice@example.org',
    }),
    ['HR-API-012: spec.requestedBy is alice@example.org but you are admin: set spec.requestedBy to admin'],
    'onlyServer',
  ],
  ["in nobody's name", intervention({ requestedBy: '' }), ['spec.requestedBy: spec.requestedBy in body should be at least 1 chars long']],
  [
    'a page of the ledger, by the administrator',
    ledger(),
    [
      `HR-API-013: certificateledgers are written by the operator only (${OPERATOR}): act on the Device or make an Intervention; to restore a backup use kubectl --as=${OPERATOR}`,
    ],
    'onlyServer',
  ],
  [
    'a wave of firmware, by the administrator',
    wave(),
    [
      `HR-API-013: firmwarewaves are written by the operator only (${OPERATOR}): act on the Device or make an Intervention; to restore a backup use kubectl --as=${OPERATOR}`,
    ],
    'onlyServer',
  ],
];
