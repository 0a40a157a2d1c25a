// One manifest for each row of operator/api/not-supported-yet.ts: good but for the field that nothing honours yet. Key: kind and path, as the row names them.
import { artifact, conduit, device, intervention, release, segment } from './manifests.ts';
import type { Manifest } from './server.ts';

const DEVICE_WINDOW = { cron: '0 1 * * *', duration: '4h', tz: 'Device' };

const rollout = (more: object): Manifest => release({ rollout: { waves: [{ name: 'all' }], ...more } });

export const NOT_SUPPORTED: Readonly<Record<string, Manifest>> = {
  'Device spec.grants': device({
    grants: [{ action: 'publish', topic: 'dt/{segment}/{device}/x', until: '2026-12-01T00:00:00Z', reason: 'ticket 4711' }],
  }),

  'FirmwareRelease spec.rollout.mode: DownloadOnly': rollout({ mode: 'DownloadOnly' }),

  'SegmentPolicy spec.workloads[].namespaceSelector': segment({
    workloads: [{ podSelector: { matchLabels: { app: 'x' } }, namespaceSelector: { matchLabels: { floor: '3' } } }],
  }),
  'SegmentPolicy spec.networks': segment({ networks: [{ cidr: '10.20.0.0/16' }] }),
  'SegmentPolicy spec.conduits[].to.workload': conduit({ to: { workload: { podSelector: { matchLabels: { app: 'db' } } } } }),
  'SegmentPolicy spec.quarantine.release: Automatic': segment({ quarantine: { release: 'Automatic' } }),

  'Intervention spec.target.kind: SegmentPolicy': intervention({ target: { kind: 'SegmentPolicy', name: 'office-sensors' } }),

  'FirmwareRelease spec.trust.provenance.required: true': release({
    trust: { policyRef: { name: 'firmware-root' }, envelope: '{}', provenance: { required: true } },
  }),
  'FirmwareRelease spec.rollout.gates.analysis': rollout({
    gates: { analysis: [{ name: 'crashes', prometheus: { query: 'crashes' }, success: 'r < 0.01' }] },
  }),
  'FirmwareRelease spec.rollback.to': release({ rollback: { to: { release: 'app-2-3-0' } } }),
  'FirmwareRelease spec.artifacts[].baseDigest': release({ artifacts: [artifact({ baseDigest: `sha256:${'a'.repeat(64)}` })] }),
  'FirmwareRelease spec.distribution.perSiteBandwidth': release({ distribution: { perSiteBandwidth: '20Mbit' } }),
  'FirmwareRelease spec.distribution.prefetch: Never': release({ distribution: { prefetch: 'Never' } }),
  'FirmwareRelease spec.rollout.mode: Soft': rollout({ mode: 'Soft' }),
  'FirmwareRelease spec.rollout.windows.download[].tz: Device': rollout({ windows: { download: [DEVICE_WINDOW] } }),
  'FirmwareRelease spec.rollout.windows.install[].tz: Device': rollout({ windows: { install: [DEVICE_WINDOW] } }),
  'FirmwareRelease spec.historyLimit other than 10': release({ historyLimit: 3 }),
};
