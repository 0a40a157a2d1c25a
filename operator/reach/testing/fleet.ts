// Small random fleets of manifests for property tests: policies of up to four segments, devices, interventions and pods.
import fc from 'fast-check';
import { createIntent, type Intent, type Means, type Party } from '../reach.ts';

export type Json = Record<string, unknown>;
export const NOW = Date.parse('2026-11-26T12:00:00Z');
export const NAMESPACES = ['berlin', 'paris'];
export const NAMES = ['a', 'b'];
const PORTS = [80, 443];
export const DEVICES = ['t1', 't2'];
const API = 'hedgerow.dev/v1alpha1';

export const intentOf = (objects: readonly unknown[], now = NOW): Intent =>
  createIntent(
    objects.map((object) => ({ source: 'test', object })),
    now,
  );

export const policy = (namespace: string, name: string, spec: Json): Json => ({
  apiVersion: API,
  kind: 'SegmentPolicy',
  metadata: { namespace, name },
  spec,
});
export const device = (namespace: string, name: string, spec: Json): Json => ({
  apiVersion: API,
  kind: 'Device',
  metadata: { namespace, name },
  spec,
});
export const intervention = (namespace: string, target: string, spec: Json): Json => ({
  apiVersion: API,
  kind: 'Intervention',
  metadata: { namespace, name: `${target}-x` },
  spec: { target: { kind: 'Device', name: target }, ...spec },
});
export const pod = (namespace: string, name: string, labels: Json): Json => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace, name, labels },
  spec: { containers: [{ name: 'c' }] },
});

const ports = fc.uniqueArray(fc.constantFrom(...PORTS), { minLength: 1, maxLength: 2 }).map((list) => list.map((port) => ({ port })));
const peer = fc.record({ namespace: fc.constantFrom(...NAMESPACES), segment: fc.constantFrom(...NAMES) });
const BELOW = ['x', '+/x', '{device}/x', '{device}/#', '#', 't1.berlin/x', 't2.paris/#'];
const whose = fc.oneof(
  { weight: 3, arbitrary: fc.constant('{segment}') },
  { weight: 1, arbitrary: fc.constant('+') },
  { weight: 2, arbitrary: peer.map(({ namespace, segment }) => `${segment}.${namespace}`) },
);
const wish = fc.record({
  topic: fc.tuple(whose, fc.constantFrom(...BELOW)).map(([of, below]) => `dt/${of}/${below}`),
  justification: fc.constantFrom('', 'because'),
});
export const conduit = fc.record({
  to: peer,
  ports,
  expires: fc.constantFrom('2026-11-26T12:00:00Z', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'),
  justification: fc.constantFrom('', 'because'),
});
const spec = fc.record({
  trust: fc.constantFrom(0, 1, 2, 2, 3, 3, 3, 3, 3, 4),
  intraSegment: fc.constantFrom('Isolated', 'Allow', 'Allow', 'Allow'),
  workloads: fc.oneof(
    fc.constant([]),
    fc.constantFrom(...NAMES).map((app) => [{ podSelector: { matchLabels: { app } } }]),
  ),
  conduits: fc.array(conduit, { maxLength: 3 }).map((list) => list.map((one, i) => ({ name: `c${i}`, ...one }))),
  topics: fc.record({ publish: fc.array(wish, { minLength: 1, maxLength: 4 }), subscribe: fc.array(wish, { minLength: 1, maxLength: 4 }) }),
  acceptFrom: fc.array(
    fc.record({
      namespace: fc.constantFrom(...NAMESPACES),
      segment: fc.constantFrom(...NAMES),
      ports,
      topics: fc.array(
        fc.record({
          topic: fc.constantFrom(...BELOW).map((below) => `dt/{segment}/${below}`),
          action: fc.constantFrom('publish', 'subscribe'),
        }),
        { maxLength: 3 },
      ),
    }),
    { minLength: 1, maxLength: 4 },
  ),
});

const at = fc.record({ namespace: fc.constantFrom(...NAMESPACES), name: fc.constantFrom(...NAMES) });
export const anyPolicy = fc.tuple(at, spec).map(([{ namespace, name }, one]) => policy(namespace, name, one));
const anyDevice = fc
  .tuple(
    fc.constantFrom(...NAMESPACES),
    fc.constantFrom(...DEVICES),
    fc.constantFrom(...NAMES),
    fc.constantFrom('Active', 'Active', 'Active', 'Active', 'Active', 'Quarantined', 'Revoked'),
  )
  .map(([namespace, name, segment, lifecycle]) => device(namespace, name, { segment, lifecycle }));
const anyIntervention = fc
  .tuple(fc.constantFrom(...NAMESPACES), fc.constantFrom(...DEVICES), fc.constantFrom('Quarantine', 'Revoke', 'Rotate'))
  .map(([namespace, target, action]) => intervention(namespace, target, { action }));
const anyPod = fc
  .tuple(fc.constantFrom(...NAMESPACES), fc.constantFrom(...NAMES), fc.constantFrom(...NAMES))
  .map(([namespace, name, app]) => pod(namespace, name, { app }));
const anyNamespace = fc.tuple(fc.constantFrom(...NAMESPACES), fc.constantFrom(undefined, '2', '4', 'high')).map(([name, trust]) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: trust === undefined ? {} : { 'hedgerow.dev/max-trust': trust } },
}));

export const identityOf = (object: Json): string => {
  const { namespace = '', name } = object.metadata as { namespace?: string; name: string };
  return `${String(object.kind)} ${namespace}/${name}`;
};

/** Any object that may stand in a fleet. */
export const anyObject: fc.Arbitrary<Json> = fc.oneof(
  { weight: 4, arbitrary: anyPolicy },
  { weight: 3, arbitrary: anyDevice },
  anyIntervention,
  anyPod,
  anyNamespace,
);

/** No two of one name. */
export const fleet: fc.Arbitrary<Json[]> = fc
  .tuple(
    fc.uniqueArray(anyPolicy, { minLength: 3, maxLength: 4, selector: identityOf }),
    fc.uniqueArray(anyDevice, { minLength: 3, maxLength: 4, selector: identityOf }),
    fc.uniqueArray(fc.oneof(anyIntervention, anyPod, anyNamespace), { maxLength: 3, selector: identityOf }),
  )
  .map((parts) => parts.flat());

const SEGMENTS: Party[] = NAMESPACES.flatMap((namespace) => NAMES.map((name) => ({ segment: `${namespace}/${name}` })));
const ALL_DEVICES: Party[] = NAMESPACES.flatMap((namespace) => DEVICES.map((name) => ({ device: `${namespace}/${name}` })));
const TOPICS = ['dt/a.berlin/x', 'dt/a.berlin/t1.berlin/x', 'dt/b.paris/t2.paris/y', 'dt/b.berlin/t1.paris/x'];
const MEANS: Means[] = [{ port: 'TCP 80' }, { port: 'TCP 443' }, ...TOPICS.map((topic) => ({ topic })), {}];

/** Every question that there is about such a fleet, and its answer: the truth table. */
export function table(intent: Intent): Map<string, boolean> {
  const answers = new Map<string, boolean>();
  for (const parties of [SEGMENTS, ALL_DEVICES])
    for (const from of parties)
      for (const to of parties)
        for (const means of MEANS) answers.set(JSON.stringify([from, to, means]), intent.can(from, to, means).allowed);
  return answers;
}

/** Questions that `table` answers with yes. */
export const reached = (intent: Intent): string[] => [...table(intent)].flatMap(([question, yes]) => (yes ? [question] : []));
