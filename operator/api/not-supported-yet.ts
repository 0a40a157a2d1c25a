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
const release = row(FIRMWARE_RELEASES.kind);

export const NOT_SUPPORTED_YET: readonly NotSupported[] = [
  device('spec', 'grants', 'has(self.grants) && self.grants.size() > 0', 'remove it and put the topic into the SegmentPolicy'),

  {
    kind: FIRMWARE_RELEASES.kind,
    at: 'spec.rollout',
    path: 'spec.rollout.mode: DownloadOnly',
    used: "self.mode == 'DownloadOnly'",
    cure: 'use windows.install: devices download before, and start the image when a window opens',
  },

  segment(
    'spec.workloads[]',
    'namespaceSelector',
    'has(self.namespaceSelector)',
    'remove it and write a SegmentPolicy in the namespace of the pods',
  ),
  segment('spec', 'networks', 'has(self.networks) && self.networks.size() > 0', REMOVE),
  segment('spec.conduits[].to', 'workload', 'has(self.workload)', 'give the pods a SegmentPolicy and lead the conduit to that segment'),
  segment('spec.quarantine', 'release: Automatic', "self.release == 'Automatic'", 'use release: Manual'),

  intervention(
    'spec.target',
    'kind: SegmentPolicy',
    "self.kind == 'SegmentPolicy'",
    'make one Intervention for each Device of the segment',
  ),

  release(
    'spec.trust.provenance',
    'required: true',
    'self.required',
    'remove it; attestations are not looked at, the release keys vouch for the build',
  ),
  release('spec.rollout.gates', 'analysis', 'has(self.analysis) && self.analysis.size() > 0', `${REMOVE}; gates count devices`),
  release('spec.rollback', 'to', 'has(self.to)', 'remove it; devices go back to the version before'),
  release(
    'spec.artifacts[]',
    'baseDigest',
    'has(self.baseDigest)',
    'leave the delta out of the manifest and of the statement; devices get whole images',
  ),
  release(
    'spec.distribution',
    'perSiteBandwidth',
    'has(self.perSiteBandwidth)',
    'remove it; spread downloads by distribution.jitter and rollout.pace',
  ),
  release('spec.rollout', 'mode: Soft', "self.mode == 'Soft'", 'use mode: Normal'),
  ...['download', 'install'].map((which) =>
    release(
      `spec.rollout.windows.${which}[]`,
      'tz: Device',
      "self.tz == 'Device'",
      'name the time zone, for example Europe/Berlin; devices in several zones need a FirmwareRelease for each zone',
    ),
  ),
  release(
    'spec.distribution',
    'prefetch: Never',
    "self.prefetch == 'Never'",
    'remove it; an artifacts server fetches what a release names',
  ),
  release(
    'spec',
    'historyLimit other than 10',
    'self.historyLimit != 10',
    'remove it; nothing removes FirmwareWaves before their release is deleted',
  ),
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
