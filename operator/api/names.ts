// The names that cross a border: certificate subject, MQTT client id, topics, labels. One place, because a difference of one character is a hole.

/** `<device>.<namespace>`: the CN of the certificate, the MQTT client id and the `{device}` of every topic. */
export function deviceName(device: string, namespace: string): string {
  return `${device}.${namespace}`;
}

/** `<segment>.<namespace>`: the OU of the certificate and the `{segment}` of every topic. */
export function segmentName(segment: string, namespace: string): string {
  return `${segment}.${namespace}`;
}

/** X.509's upper bound for CN and OU (ub-common-name, RFC 5280 appendix A.1). */
export const MAX_WIRE_NAME = 64;

/** RFC 1123 label, at most 62 characters: the broker's expression for `clientid_override` has `[a-z0-9-]{1,62}` on both sides of the dot. */
export const LABEL_PATTERN = '^[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?$';
export const MAX_LABEL = 62;

/** On a namespace, by its administrator: this is a site, deny everything for every pod in it. */
export const LABEL_SITE = 'hedgerow.dev/site';
/** On a namespace, by its administrator: the highest `spec.trust` of a SegmentPolicy in it; without the label 3. */
export const LABEL_MAX_TRUST = 'hedgerow.dev/max-trust';
export const DEFAULT_MAX_TRUST = 3;

/** On a pod that runs as a Device, by whoever writes its manifest: the name of the Device in its namespace. */
export const LABEL_DEVICE = 'hedgerow.dev/device';

/** On everything Hedgerow makes (the recommended labels of Kubernetes). */
export const LABEL_MANAGED_BY = 'app.kubernetes.io/managed-by';
export const MANAGED_BY = 'hedgerow';

/** The one field manager of everything Hedgerow applies. */
export const FIELD_MANAGER = 'hedgerow';

/** An Intervention that the operator makes by itself is called `<device>-limit-exceeded`: one name for one cause. */
export const AUTOMATIC_SUFFIX = '-limit-exceeded';

/** On a Device that the operator made just in time, value `jit` (docs/adr/0011-just-in-time.md). */
export const LABEL_ORIGIN = 'hedgerow.dev/origin';
export const ORIGIN_JIT = 'jit';
/** On such a Device: the SegmentPolicy that let it in; SHA-256 of the manufacturer's CA certificate; SHA-256 of the key of its factory certificate; uid of the request that it was made for. */
export const ANNOTATION_REGISTERED_BY = 'hedgerow.dev/registered-by';
export const ANNOTATION_MANUFACTURER_CA = 'hedgerow.dev/manufacturer-ca';
export const ANNOTATION_FACTORY_KEY = 'hedgerow.dev/factory-key';
export const ANNOTATION_REGISTRATION = 'hedgerow.dev/registration';

/** The one name in the certificate of a site's directive key, a URI: devices of that namespace obey it, and no others (docs/reference/firmware-protocol.md). */
export const siteUri = (namespace: string): string => `urn:hedgerow:firmware:directive:${namespace}`;

/** On a CertificateRequest of the driver of a rollout: which of its two certificates it is for. */
export const LABEL_DRIVER_CERTIFICATE = 'hedgerow.dev/driver-certificate';
/** On what is made for a FirmwareWave: its uid as a label, `<namespace>/<name>` as an annotation. */
export const LABEL_WAVE_UID = 'hedgerow.dev/wave-uid';
export const ANNOTATION_WAVE = 'hedgerow.dev/wave';

/** The segment of the drivers of rollouts at the broker. A namespace cannot begin with a hyphen (RFC 1123), so no Device and no SegmentPolicy can ever have such a name. */
export const ROLLOUT_SEGMENT = '-rollout.-hedgerow';
const ROLLOUT_CLIENT = /^-rollout-[0-9a-f]{16}[.]-hedgerow$/;
/** The client id of a driver: bound to its key (`spki`: SHA-256 of the SubjectPublicKeyInfo, lower hex), so that no driver can ask for the name of another. */
export const rolloutClient = (spki: string): string => `-rollout-${spki.slice(0, 16)}.-hedgerow`;
/** The client by which the operator hears what devices say of their firmware; also its segment. */
export const LISTENER = '-listener.-hedgerow';
/** Clients and segments of Hedgerow itself. */
export const isOwnName = (name: string): boolean => name.endsWith('.-hedgerow');
export const isRolloutClient = (client: string): boolean => ROLLOUT_CLIENT.test(client);
