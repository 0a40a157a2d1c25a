// Names on the wire and on objects. `<device>.<namespace>` is the certificate's CN, the MQTT client id and `{device}` in topics.

export const LABEL_MANAGED_BY = 'app.kubernetes.io/managed-by';
export const MANAGED_BY = 'hedgerow';
/** On a Namespace, set by its administrator: deny for the whole namespace. */
export const LABEL_SITE = 'hedgerow.dev/site';
/** On a Namespace, set by its administrator: the highest trust a SegmentPolicy there may have (default 3). */
export const LABEL_MAX_TRUST = 'hedgerow.dev/max-trust';
export const LABEL_SEGMENT = 'hedgerow.dev/segment';
export const FIELD_MANAGER = 'hedgerow';

/** X.509 allows 64 characters for CN and OU (RFC 5280, upper bounds). */
export const MAX_WIRE_NAME = 64;

export function deviceName(device: string, namespace: string): string {
  return `${device}.${namespace}`;
}

export function segmentName(segment: string, namespace: string): string {
  return `${segment}.${namespace}`;
}

/** `thermo-17.berlin` → its parts; undefined when there is not exactly one dot. */
export function splitWireName(name: string): { name: string; namespace: string } | undefined {
  const [first, second, ...rest] = name.split('.');
  return first === undefined || second === undefined || first === '' || second === '' || rest.length > 0 ? undefined : { name: first, namespace: second };
}
