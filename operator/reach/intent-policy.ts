// A SegmentPolicy as it was meant: which of its texts holds, and what that one asks for and accepts. Read strictly, from whatever stands in the manifest. Pure.
// Written from segmentation-edge.md 2.2 and design/api.md, not from the code that compiles policies: each is to find the other's mistakes.

import { gatewayProblems } from '../api/gateway-text.ts';
import { parseCidr } from './addresses.ts';
import { type Action, filterFault, isOfSites, mixesDevices } from './intent-filter.ts';
import { isObject, type LabelSelector, readSelector } from './label-selector.ts';
import { isProtocol } from './ports.ts';

/** A way out: to a segment, or to addresses outside the cluster. */
export type Way = {
  path: string;
  name: string;
  to: { segment: string } | { cidr: string };
  /** Each as `TCP 8883`. */
  ports: readonly string[];
  /** ms since the epoch; one that cannot be read is over. */
  ends: number;
  justified: boolean;
};
/** What is let in: from whom, and to which ports and topics. */
export type Acceptance = {
  path: string;
  from: string;
  ports: readonly string[];
  topics: readonly { path: string; action: Action; filter: string }[];
};
/** A topic that the policy wants for its devices. Its own name is filled in. */
export type Wish = {
  path: string;
  action: Action;
  written: string;
  filter: string;
  /** Whose topics: its own, those of `<segment>.<namespace>`, or everybody's. */
  of: 'self' | 'all' | string;
  justified: boolean;
};

/** A segment in force. */
export type Zone = {
  /** `<namespace>/<name>` */
  key: string;
  /** `<name>.<namespace>` */
  wireName: string;
  namespace: string;
  trust: number;
  /** Members may reach each other. */
  open: boolean;
  workloads: readonly LabelSelector[];
  ways: readonly Way[];
  accepts: readonly Acceptance[];
  wishes: readonly Wish[];
  /** Raw data of its devices may leave the site before this time. */
  rawEnds: number;
};

export type PolicyReading = {
  key: string;
  zone: Zone | undefined;
  /** Why the text as written does not hold, each in a sentence. */
  refused: readonly string[];
  audited: boolean;
  /** Nothing is in force and these pods are shut all the same: a refused policy closes, it never opens. */
  shut: readonly LabelSelector[];
};

/** `maxTrust`: the highest trust that the namespace allows, -1 when its label cannot be read. */
export function readSegmentPolicy(namespace: string, name: string, object: Record<string, unknown>, maxTrust: number): PolicyReading {
  const key = `${namespace}/${name}`;
  const [spec, before] = [object.spec, lastGood(object)];
  const now = readText(namespace, name, spec, maxTrust);
  const audited = isObject(spec) && spec.mode === 'Audit';
  if (now.zone !== undefined && !audited) return { key, zone: now.zone, refused: [], audited, shut: [] };
  // What was enforced last stays, as long as the namespace still allows it.
  const old = before === undefined ? undefined : readText(namespace, name, before, maxTrust).zone;
  if (old !== undefined) return { key, zone: old, refused: now.faults, audited, shut: [] };
  const texts = [...(audited ? [] : [spec]), before];
  return { key, zone: undefined, refused: now.faults, audited, shut: texts.flatMap((text) => selectorsOf(text)) };
}

function lastGood({ status }: Record<string, unknown>): unknown {
  const accepted = isObject(status) && isObject(status.accepted) ? status.accepted.spec : undefined;
  return isObject(accepted) && accepted.mode !== 'Audit' ? accepted : undefined;
}

type Home = { namespace: string; name: string; wireName: string; fault(path: string, why: string): undefined };

function readText(namespace: string, name: string, spec: unknown, maxTrust: number): { zone: Zone | undefined; faults: string[] } {
  const faults: string[] = [];
  const fault = (path: string, why: string): undefined => void faults.push(`${path}: ${why}`);
  if (!isObject(spec)) return { zone: undefined, faults: ['spec: it is not an object'] };
  const home: Home = { namespace, name, wireName: `${name}.${namespace}`, fault };
  const trust = spec.trust ?? 2;
  const isTrust = typeof trust === 'number' && [0, 1, 2, 3, 4].includes(trust);
  if (!isTrust) fault('spec.trust', 'it is none of 0 to 4');
  else if (trust > maxTrust) fault('spec.trust', `${trust} is above ${maxTrust}, the highest trust of namespace ${namespace}`);
  const intra = spec.intraSegment ?? 'Isolated';
  if (intra !== 'Isolated' && intra !== 'Allow') fault('spec.intraSegment', 'it is neither Isolated nor Allow');
  const zone: Zone = {
    key: `${namespace}/${name}`,
    wireName: home.wireName,
    namespace,
    trust: isTrust ? trust : 0,
    // Nobody initiates into trust 0, its own members included.
    open: intra === 'Allow' && trust !== 0,
    workloads: each(spec.workloads, 'spec.workloads', home, readWorkload),
    ways: each(spec.conduits, 'spec.conduits', home, readWay),
    accepts: each(spec.acceptFrom, 'spec.acceptFrom', home, readAcceptance),
    wishes: readWishes(spec.topics, { ...home, trust: isTrust ? trust : 0 }, intra !== 'Allow'),
    rawEnds: rawEnd(spec),
  };
  for (const { path, problem } of gatewayProblems(spec, home.wireName)) fault(path === '' ? 'spec' : path, problem);
  return { zone: faults.length === 0 ? zone : undefined, faults };
}

/** Without a time that can be read it is over before it begins. */
function rawEnd({ egress, rawEgress }: Record<string, unknown>): number {
  const ends =
    egress === 'Raw' && isObject(rawEgress) && typeof rawEgress.expires === 'string' ? Date.parse(rawEgress.expires) : Number.NaN;
  return Number.isNaN(ends) ? Number.NEGATIVE_INFINITY : ends;
}

function readWorkload(entry: Record<string, unknown>, path: string, home: Home): LabelSelector | undefined {
  if (entry.namespaceSelector !== undefined) home.fault(`${path}.namespaceSelector`, 'it is not supported');
  const selector = readSelector(entry.podSelector ?? {});
  if (typeof selector === 'string') return home.fault(`${path}.podSelector`, selector);
  // The deny for a whole namespace belongs to its administrator.
  if (selector.length === 0) return home.fault(`${path}.podSelector`, 'it selects every pod of the namespace');
  return selector;
}

function selectorsOf(spec: unknown): LabelSelector[] {
  const entries: unknown[] = isObject(spec) && Array.isArray(spec.workloads) ? spec.workloads : [];
  return entries.flatMap((entry) => {
    const selector = isObject(entry) ? readSelector(entry.podSelector ?? {}) : '';
    return typeof selector === 'string' || selector.length === 0 ? [] : [selector];
  });
}

function readWay(entry: Record<string, unknown>, path: string, home: Home): Way | undefined {
  const target = isObject(entry.to) ? entry.to : {};
  const to = readTarget(target, home);
  if (to === undefined) return home.fault(`${path}.to`, 'it leads neither to a segment nor to addresses');
  const { name, expires } = entry;
  const end = typeof expires === 'string' ? Date.parse(expires) : Number.NaN;
  return {
    path,
    name: typeof name === 'string' ? name : '',
    to,
    ports: each(entry.ports, `${path}.ports`, home, readPort),
    ends: expires === undefined ? Number.POSITIVE_INFINITY : Number.isNaN(end) ? Number.NEGATIVE_INFINITY : end,
    justified: isJustified(entry),
  };
}

function readTarget({ namespace, segment, cidr, workload }: Record<string, unknown>, home: Home): Way['to'] | undefined {
  if (workload !== undefined) return undefined;
  if (typeof cidr === 'string') return segment === undefined && parseCidr(cidr) !== undefined ? { cidr } : undefined;
  if (typeof segment !== 'string' || cidr !== undefined) return undefined;
  return { segment: `${typeof namespace === 'string' ? namespace : home.namespace}/${segment}` };
}

function readPort(entry: Record<string, unknown>, path: string, home: Home): string | undefined {
  const { protocol = 'TCP', port } = entry;
  const good = typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535;
  if (good && typeof protocol === 'string' && isProtocol(protocol)) return `${protocol} ${port}`;
  return home.fault(path, 'it is no port');
}

function readAcceptance(entry: Record<string, unknown>, path: string, home: Home): Acceptance | undefined {
  const { namespace = home.namespace, segment } = entry;
  if (typeof segment !== 'string' || typeof namespace !== 'string') return home.fault(path, 'it names no segment');
  const topics = each(entry.topics, `${path}.topics`, home, (topic, at): Acceptance['topics'][number] | undefined => {
    const { action, topic: written } = topic;
    if ((action !== 'publish' && action !== 'subscribe') || typeof written !== 'string')
      return home.fault(at, 'it has no topic or no action');
    const filter = withPlaceholder(written, home);
    const wrong =
      filterFault(filter, action, home.namespace) ?? (filter.split('/')[1] === '{segment}' ? undefined : 'it is no topic of this segment');
    if (wrong !== undefined) home.fault(at, wrong);
    return { path: at, action, filter: filled(filter, home) };
  });
  return { path, from: `${namespace}/${segment}`, ports: each(entry.ports, `${path}.ports`, home, readPort), topics };
}

const SITE_SPEAKER = 3;

function readWishes(topics: unknown, home: Home & { trust: number }, isolated: boolean): Wish[] {
  if (topics === undefined) return [];
  if (!isObject(topics)) return home.fault('spec.topics', 'it is not an object') ?? [];
  return (['publish', 'subscribe'] as const).flatMap((action) =>
    each(topics[action], `spec.topics.${action}`, home, (entry, path): Wish | undefined => {
      if (typeof entry.topic !== 'string') return home.fault(path, 'it has no topic');
      const filter = withPlaceholder(entry.topic, home);
      const wrong = filterFault(filter, action, home.namespace);
      if (wrong !== undefined) return home.fault(`${path}.topic`, wrong);
      if (action === 'publish' && isOfSites(filter.split('/')[0]) && filter.split('/')[1] !== '{segment}' && home.trust < SITE_SPEAKER)
        return home.fault(`${path}.topic`, `it speaks for the site, and ${home.trust} is less than the trust of a gateway`);
      if (isolated && mixesDevices(filter))
        return home.fault(`${path}.topic`, 'a wildcard stands where {device} would, and the segment is isolated');
      return {
        path: `${path}.topic`,
        action,
        written: entry.topic,
        filter: filled(filter, home),
        of: ownerOf(filter),
        justified: isJustified(entry),
      };
    }),
  );
}

function ownerOf(filter: string): Wish['of'] {
  const [word, whose = ''] = filter.split('/');
  if (whose === '{segment}' || isOfSites(word)) return 'self';
  return whose === '+' || whose === '#' ? 'all' : whose;
}

const isJustified = ({ justification }: Record<string, unknown>): boolean =>
  typeof justification === 'string' && justification.trim() !== '';

/** The own name written out means the same as {segment}. */
function withPlaceholder(written: string, { wireName }: Home): string {
  const levels = written.split('/');
  return levels[1] === wireName ? levels.with(1, '{segment}').join('/') : written;
}

const filled = (filter: string, { wireName }: Home): string =>
  filter
    .split('/')
    .map((level) => (level === '{segment}' ? wireName : level))
    .join('/');

function each<T>(
  list: unknown,
  path: string,
  home: Home,
  read: (entry: Record<string, unknown>, path: string, home: Home) => T | undefined,
): T[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) return home.fault(path, 'it is not a list') ?? [];
  return list.flatMap((entry: unknown, i): T[] => {
    const at = `${path}[${i}]`;
    if (!isObject(entry)) return home.fault(at, 'it is not an object') ?? [];
    const value = read(entry, at, home);
    return value === undefined ? [] : [value];
  });
}
