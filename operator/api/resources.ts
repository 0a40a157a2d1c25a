// Where the kinds that Hedgerow reads or writes live in the API server.
import type { ResourceType } from './meta.ts';

export const GROUP = 'hedgerow.dev';
const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** `cert-manager.io/v1`, `v1`: what stands in an object's `apiVersion`. */
export function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

export const DEVICES: ResourceType = ours('devices', 'Device');
export const SEGMENT_POLICIES: ResourceType = ours('segmentpolicies', 'SegmentPolicy');
export const FIRMWARE_RELEASES: ResourceType = ours('firmwarereleases', 'FirmwareRelease');
export const INTERVENTIONS: ResourceType = ours('interventions', 'Intervention');
export const CERTIFICATE_LEDGERS: ResourceType = ours('certificateledgers', 'CertificateLedger');
export const FIRMWARE_WAVES: ResourceType = ours('firmwarewaves', 'FirmwareWave');

export const CERTIFICATE_REQUESTS: ResourceType = namespaced('cert-manager.io', 'v1', 'certificaterequests', 'CertificateRequest');
export const CERTIFICATES: ResourceType = namespaced('cert-manager.io', 'v1', 'certificates', 'Certificate');
export const ISSUERS: ResourceType = namespaced('cert-manager.io', 'v1', 'issuers', 'Issuer');
export const CLUSTER_ISSUERS: ResourceType = cluster('cert-manager.io', 'v1', 'clusterissuers', 'ClusterIssuer');

export const NETWORK_POLICIES: ResourceType = namespaced('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy');
export const CLUSTER_NETWORK_POLICIES: ResourceType = cluster(
  'policy.networking.k8s.io',
  'v1alpha2',
  'clusternetworkpolicies',
  'ClusterNetworkPolicy',
);
export const NAMESPACES: ResourceType = cluster('', 'v1', 'namespaces', 'Namespace');
export const JOBS: ResourceType = namespaced('batch', 'v1', 'jobs', 'Job');
export const PODS: ResourceType = namespaced('', 'v1', 'pods', 'Pod');
export const CONFIG_MAPS: ResourceType = namespaced('', 'v1', 'configmaps', 'ConfigMap');
export const SECRETS: ResourceType = namespaced('', 'v1', 'secrets', 'Secret');
export const EVENTS: ResourceType = namespaced('events.k8s.io', 'v1', 'events', 'Event');
export const LEASES: ResourceType = namespaced('coordination.k8s.io', 'v1', 'leases', 'Lease');

export const CLUSTER_ROLES: ResourceType = cluster('rbac.authorization.k8s.io', 'v1', 'clusterroles', 'ClusterRole');
export const CLUSTER_ROLE_BINDINGS: ResourceType = cluster('rbac.authorization.k8s.io', 'v1', 'clusterrolebindings', 'ClusterRoleBinding');

function ours(plural: string, kind: string): ResourceType {
  return namespaced(GROUP, VERSION, plural, kind);
}

function namespaced(group: string, version: string, plural: string, kind: string): ResourceType {
  return { group, version, plural, kind, namespaced: true };
}

function cluster(group: string, version: string, plural: string, kind: string): ResourceType {
  return { group, version, plural, kind, namespaced: false };
}
