// Intervention: what a person (or an automatic rule) does by hand and GitOps must not undo.
import { type Static, Type } from 'typebox';
import { conditions, label, objectName, observedGeneration, steps } from './fields.ts';
import { digest } from './firmware-artifact.ts';
import { AGE, conditionColumn, type KindDefinition, type KindObject } from './kind.ts';
import { INTERVENTIONS } from './resources.ts';
import { choice, count, flag, object, rule, text, time } from './schema.ts';

const target = object(
  'What the action is done to, in this namespace.',
  {
    kind: choice(['Device', 'SegmentPolicy', 'FirmwareRelease'], 'Device, SegmentPolicy (all its devices) or FirmwareRelease.'),
    name: objectName('Name of the object. It need not exist yet: an intervention on a name holds as soon as such an object appears.'),
  },
  {
    rules: [
      rule(
        'HR-API-002',
        "self.kind == 'FirmwareRelease' || (self.name.size() <= 62 && !self.name.contains('.'))",
        'names of Devices and SegmentPolicies are RFC 1123 labels of at most 62 characters, without dots',
        '.name',
      ),
    ],
  },
);

const spec = object(
  'What is to be done. Immutable: the list of interventions is the first page of the audit.',
  {
    target,
    action: choice(
      ['Quarantine', 'Revoke', 'Rotate', 'Pause', 'Approve', 'Abort', 'Rollback'],
      'Device and SegmentPolicy: Quarantine (only firmware and recovery topics), Revoke (for ever), Rotate (new key and certificate). FirmwareRelease: Pause, Approve, Abort, Rollback.',
    ),
    requestedBy: text('Who asks for it: the API user that creates the object (kubectl auth whoami); the API server insists.', {
      max: 256,
      min: 1,
    }),
    reason: text('Why, for the audit: what was seen, ticket number.', { max: 1024, min: 1 }),
    compromised: Type.Optional(
      flag(
        'Rotate: true = the key is in other hands. Every certificate that the device has is revoked, its keys are never certified again, and it waits for a new key. Default: false, the device renews and its old certificate stays valid.',
      ),
    ),
    approve: Type.Optional(
      object('Approve: what exactly. An approval of other bytes or of an older text of the release counts for nothing.', {
        wave: label('Wave of the release that may start.'),
        digest: digest('Digest of the release statement, as status.artifact.manifestDigest of the release says it.'),
        generation: count('metadata.generation of the release.', { min: 1 }),
      }),
    ),
    expires: Type.Optional(
      time('When a Quarantine or Pause ends by itself (RFC 3339). Default: never; deleting the object ends it too. A Revoke does not end.'),
    ),
  },
  {
    rules: [
      rule('HR-API-011', 'self == oldSelf', 'an intervention is immutable: delete it and create another one'),
      rule(
        'HR-API-011',
        "self.target.kind == 'FirmwareRelease' ? self.action in ['Pause', 'Approve', 'Abort', 'Rollback'] : self.action in ['Quarantine', 'Revoke', 'Rotate']",
        'this action does not go with this target: Quarantine, Revoke and Rotate go with Device and SegmentPolicy; Pause, Approve, Abort and Rollback with FirmwareRelease',
        '.action',
      ),
      rule(
        'HR-API-011',
        "!has(self.expires) || self.action in ['Quarantine', 'Pause']",
        'only a Quarantine or a Pause ends by itself: remove spec.expires (a revoked device returns with a new key)',
        '.expires',
      ),
      rule(
        'HR-API-011',
        "has(self.approve) == (self.action == 'Approve')",
        'spec.approve goes with action: Approve, and Approve needs it: kubectl hedgerow rollout approve fills it in',
        '.approve',
      ),
      rule(
        'HR-API-011',
        "!has(self.compromised) || self.action == 'Rotate'",
        'spec.compromised goes with action: Rotate only: remove it',
        '.compromised',
      ),
    ],
  },
);

const status = object('What came of it. Written by the operator only.', {
  observedGeneration: Type.Optional(observedGeneration),
  conditions: Type.Optional(conditions),
  steps: Type.Optional(steps('What was done, each repeated whenever the world does not show it.')),
});

export const interventionKind: KindDefinition = {
  resource: INTERVENTIONS,
  singular: 'intervention',
  shortNames: ['iv'],
  selectable: ['.spec.action', '.spec.target.name'],
  description:
    'An Intervention is an incident response by hand: quarantine, revoke, rotate, pause, approve, abort, roll back. It lives outside the manifests in Git, and the stricter of the two holds.',
  spec,
  status,
  columns: [
    { name: 'Action', type: 'string', description: 'What is done.', jsonPath: '.spec.action' },
    { name: 'Kind', type: 'string', description: 'Kind of the target.', jsonPath: '.spec.target.kind' },
    { name: 'Target', type: 'string', description: 'Name of the target.', jsonPath: '.spec.target.name' },
    conditionColumn('Applied', 'Applied', 'status', 'Whether the world shows it.'),
    { name: 'By', type: 'string', description: 'Who asked for it.', jsonPath: '.spec.requestedBy' },
    { name: 'Expires', type: 'string', description: 'When it ends by itself.', jsonPath: '.spec.expires' },
    AGE,
    { name: 'Why', type: 'string', description: 'The reason given.', jsonPath: '.spec.reason', wide: true },
  ],
};

export type Intervention = KindObject<typeof spec, typeof status>;
export type InterventionStatus = Static<typeof status>;
