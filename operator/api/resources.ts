// Every kind Hedgerow talks about, its own first.
import type { ResourceType } from './meta.ts';

export const GROUP = 'hedgerow.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

const own = (kind: string, plural: string): ResourceType => ({ group: GROUP, version: VERSION, plural, kind, namespaced: true });
const foreign = (group: string, version: string, kind: string, plural: string, namespaced = true): ResourceType => ({ group, version, plural, kind, namespaced });

export const DEVICES = own('Device', 'devices');
export const SEGMENT_POLICIES = own('SegmentPolicy', 'segmentpolicies');
export const FIRMWARE_RELEASES = own('FirmwareRelease', 'firmwarereleases');
export const INTERVENTIONS = own('Intervention', 'interventions');
export const CERTIFICATE_LEDGERS = own('CertificateLedger', 'certificateledgers');
export const FIRMWARE_WAVES = own('FirmwareWave', 'firmwarewaves');

export const CERTIFICATE_REQUESTS = foreign('cert-manager.io', 'v1', 'CertificateRequest', 'certificaterequests');
export const CERTIFICATES = foreign('cert-manager.io', 'v1', 'Certificate', 'certificates');
export const ISSUERS = foreign('cert-manager.io', 'v1', 'Issuer', 'issuers');
export const CLUSTER_ISSUERS = foreign('cert-manager.io', 'v1', 'ClusterIssuer', 'clusterissuers', false);
export const NETWORK_POLICIES = foreign('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies');
export const NAMESPACES = foreign('', 'v1', 'Namespace', 'namespaces', false);
export const PODS = foreign('', 'v1', 'Pod', 'pods');
export const SECRETS = foreign('', 'v1', 'Secret', 'secrets');
export const CONFIG_MAPS = foreign('', 'v1', 'ConfigMap', 'configmaps');
export const JOBS = foreign('batch', 'v1', 'Job', 'jobs');
export const LEASES = foreign('coordination.k8s.io', 'v1', 'Lease', 'leases');
export const EVENTS = foreign('events.k8s.io', 'v1', 'Event', 'events');
export const CLUSTER_ROLES = foreign('rbac.authorization.k8s.io', 'v1', 'ClusterRole', 'clusterroles', false);
export const CLUSTER_ROLE_BINDINGS = foreign('rbac.authorization.k8s.io', 'v1', 'ClusterRoleBinding', 'clusterrolebindings', false);
export const CUSTOM_RESOURCE_DEFINITIONS = foreign('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions', false);

/** `group/version`, or just the version for the core group. */
export function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}
