// The one table of what the API has and nothing honours yet. Each row becomes a CEL rule of the CRD, so that such a field is refused and never silently
// ignored. Whoever makes a field work deletes its row here, and its case in test/api/bad-manifests.ts.
import { DEVICES, FIRMWARE_RELEASES, INTERVENTIONS, SEGMENT_POLICIES } from './resources.ts';
import { type Rule, rule } from './schema.ts';

export type NotSupported = {
  kind: string;
  /** Schema node that the rule stands on: property names, `[]` for the items of a list; empty for the whole object. */
  at: string;
  /** What the message names. */
  path: string;
  /** CEL over that node: true where the field is used. */
  used: string;
  cure: string;
};

const REMOVE = 'remove it';
const device = row(DEVICES.kind);
const segment = row(SEGMENT_POLICIES.kind);
const intervention = row(INTERVENTIONS.kind);

export const NOT_SUPPORTED_YET: readonly NotSupported[] = [
  device('spec', 'grants', 'has(self.grants) && self.grants.size() > 0', 'remove it and put the topic into the SegmentPolicy'),

  segment(
    'spec.workloads[]',
    'namespaceSelector',
    'has(self.namespaceSelector)',
    'remove it and write a SegmentPolicy in the namespace of the pods',
  ),
  segment('spec', 'networks', 'has(self.networks) && self.networks.size() > 0', REMOVE),
  segment('spec.conduits[].to', 'workload', 'has(self.workload)', 'give the pods a SegmentPolicy and lead the conduit to that segment'),
  segment('spec', 'payload', 'has(self.payload)', `${REMOVE}; payloads are not checked`),
  segment('spec', 'egress other than Aggregates', "self.egress != 'Aggregates'", 'remove it; nothing leaves the site by Hedgerow'),
  segment(
    'spec.quarantine',
    'triggers ReplayDetected and SchemaFlood',
    "has(self.triggers) && self.triggers.exists(t, t in ['ReplayDetected', 'SchemaFlood'])",
    'remove them and quarantine by an Intervention or by spec.lifecycle of the Device; payloads are not checked',
  ),
  segment('spec.quarantine', 'release: Automatic', "self.release == 'Automatic'", 'use release: Manual'),

  ...['Pause', 'Approve', 'Abort', 'Rollback'].map((action) =>
    intervention('spec', `action: ${action}`, `self.action == '${action}'`, 'use action: Quarantine, Revoke or Rotate on a Device'),
  ),
  intervention(
    'spec.target',
    'kind: SegmentPolicy',
    "self.kind == 'SegmentPolicy'",
    'make one Intervention for each Device of the segment',
  ),
  intervention('spec.target', 'kind: FirmwareRelease', "self.kind == 'FirmwareRelease'", 'use kind: Device'),

  {
    kind: FIRMWARE_RELEASES.kind,
    at: '',
    path: 'FirmwareRelease',
    used: 'true',
    cure: 'nothing rolls firmware out yet; keep the manifest out of the cluster',
  },
];

export function notSupportedRule(entry: NotSupported): Rule {
  return rule('HR-API-001', `!(${entry.used})`, `not supported yet: ${entry.path}; ${entry.cure}`);
}

function row(kind: string) {
  return (at: string, field: string, used: string, cure: string): NotSupported => ({
    kind,
    at,
    path: `${at}.${field}`,
    used,
    cure,
  });
}
