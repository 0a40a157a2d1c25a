// Who may reach whom, straight from the text of the SegmentPolicies: what the cluster has to agree with. Written apart from the operator's own model on purpose.
// Rules: design/segmentation (both sides grant, deny by default, site denies all).

type Port = { protocol?: string; port: number };
/** What of a SegmentPolicy concerns pods. */
export type PolicyText = {
  kind: string;
  metadata: { name: string; namespace: string };
  spec: {
    intraSegment?: string;
    workloads?: { podSelector: { matchLabels?: Record<string, string> } }[];
    conduits?: { name: string; to: { namespace?: string; segment?: string }; ports: Port[] }[];
    acceptFrom?: { namespace?: string; segment: string; ports?: Port[] }[];
  };
};
export type Endpoint = { namespace: string; labels: Record<string, string> };
export type Rules = {
  policies: readonly PolicyText[];
  /** Segments whose policy was deleted while their pods stayed: shut. */
  gone: readonly PolicyText[];
  /** Namespaces that are labelled as sites. */
  sites: ReadonlySet<string>;
};

/** May `from` open a TCP connection to `to` on this port? */
export function mayReach(from: Endpoint, to: Endpoint, port: number, rules: Rules): boolean {
  const source = segmentOf(from, rules);
  const target = segmentOf(to, rules);
  if (source === undefined && target === undefined) return !rules.sites.has(from.namespace) && !rules.sites.has(to.namespace);
  // Of a segment and a pod without one, neither side can grant the other anything.
  if (source === undefined || target === undefined) return false;
  if (rules.gone.includes(source) || rules.gone.includes(target)) return false;
  return source === target ? source.spec.intraSegment === 'Allow' : conduit(source, target, port);
}

/** Pods of a living segment reach the broker; others only where nothing shuts them. */
export function mayReachBroker(from: Endpoint, rules: Rules): boolean {
  const segment = segmentOf(from, rules);
  return segment === undefined ? !rules.sites.has(from.namespace) : !rules.gone.includes(segment);
}

/** Whatever else is outside the cluster: nobody was granted it. */
export function mayReachOutside(from: Endpoint, rules: Rules): boolean {
  return segmentOf(from, rules) === undefined && !rules.sites.has(from.namespace);
}

function conduit(source: PolicyText, target: PolicyText, port: number): boolean {
  const leads = (source.spec.conduits ?? []).some(
    ({ to, ports }) =>
      to.segment === target.metadata.name && (to.namespace ?? source.metadata.namespace) === target.metadata.namespace && has(ports, port),
  );
  const accepts = (target.spec.acceptFrom ?? []).some(
    ({ namespace, segment, ports = [] }) =>
      segment === source.metadata.name && (namespace ?? target.metadata.namespace) === source.metadata.namespace && has(ports, port),
  );
  return leads && accepts;
}

const has = (ports: readonly Port[], port: number): boolean => ports.some((one) => one.port === port && (one.protocol ?? 'TCP') === 'TCP');

function segmentOf(end: Endpoint, { policies, gone }: Rules): PolicyText | undefined {
  return [...policies, ...gone].find(
    ({ metadata, spec }) =>
      metadata.namespace === end.namespace && (spec.workloads ?? []).some(({ podSelector }) => selects(podSelector, end.labels)),
  );
}

function selects(selector: { matchLabels?: Record<string, string> }, labels: Record<string, string>): boolean {
  if (Object.keys(selector).some((key) => key !== 'matchLabels')) throw new Error('the oracle knows matchLabels only');
  return Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
}
