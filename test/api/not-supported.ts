// One manifest for each row of operator/api/not-supported-yet.ts: good but for the field that nothing honours yet. Key: kind and path, as the row names them.
import { conduit, device, intervention, release, segment } from './manifests.ts';
import type { Manifest } from './server.ts';

const FIRMWARE = { kind: 'FirmwareRelease', name: 'app-2-4-0' };

export const NOT_SUPPORTED: Readonly<Record<string, Manifest>> = {
  'Device spec.grants': device({
    grants: [{ action: 'publish', topic: 'dt/{segment}/{device}/x', until: '2026-12-01T00:00:00Z', reason: 'ticket 4711' }],
  }),

  'FirmwareRelease spec.rollout.mode: DownloadOnly': release({ rollout: { waves: [{ name: 'all' }], mode: 'DownloadOnly' } }),

  'SegmentPolicy spec.workloads[].namespaceSelector': segment({
    workloads: [{ podSelector: { matchLabels: { app: 'x' } }, namespaceSelector: { matchLabels: { floor: '3' } } }],
  }),
  'SegmentPolicy spec.networks': segment({ networks: [{ cidr: '10.20.0.0/16' }] }),
  'SegmentPolicy spec.conduits[].to.workload': conduit({ to: { workload: { podSelector: { matchLabels: { app: 'db' } } } } }),
  'SegmentPolicy spec.payload': segment({ payload: { onViolation: 'Drop' } }),
  'SegmentPolicy spec.egress other than Aggregates': segment({ egress: 'Alerts' }),
  'SegmentPolicy spec.quarantine.triggers ReplayDetected and SchemaFlood': segment({ quarantine: { triggers: ['ReplayDetected'] } }),
  'SegmentPolicy spec.quarantine.release: Automatic': segment({ quarantine: { release: 'Automatic' } }),

  'Intervention spec.action: Pause': intervention({ action: 'Pause', target: FIRMWARE }),
  'Intervention spec.action: Approve': intervention({ action: 'Approve', target: FIRMWARE }),
  'Intervention spec.action: Abort': intervention({ action: 'Abort', target: FIRMWARE }),
  'Intervention spec.action: Rollback': intervention({ action: 'Rollback', target: FIRMWARE }),
  'Intervention spec.target.kind: SegmentPolicy': intervention({ target: { kind: 'SegmentPolicy', name: 'office-sensors' } }),
  'Intervention spec.target.kind: FirmwareRelease': intervention({ action: 'Pause', target: FIRMWARE }),

  'FirmwareRelease FirmwareRelease': release(),
};
