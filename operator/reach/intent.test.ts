import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createIntent, type Intent } from './reach.ts';
import { anyObject, DEVICES, fleet, identityOf, intentOf, type Json, NAMESPACES, policy, table } from './testing/fleet.ts';

const all = (intent: Intent) => ({
  pairs: intent.pairs(),
  edges: intent.edges(),
  refused: intent.refused(),
  devices: intent.devices(),
  table: table(intent),
});

describe('the count of pairs', () => {
  it('by multiplication is that of asking about every two devices', () => {
    let met = 0;
    fc.assert(
      fc.property(fleet, (objects) => {
        const intent = intentOf(objects);
        const devices = NAMESPACES.flatMap((namespace) => DEVICES.map((name) => `${namespace}/${name}`));
        const pairs = devices.flatMap((from) => devices.flatMap((to) => (from === to ? [] : [[from, to] as const])));
        const count = (means: 'ports' | 'topics' | 'any') =>
          pairs.filter(([from, to]) => {
            const ask = (port: boolean) =>
              port ? intent.can({ device: from }, { device: to }, { port: 'ANY' }).allowed : byTopic(intent, from, to);
            return means === 'ports' ? ask(true) : means === 'topics' ? ask(false) : ask(true) || ask(false);
          }).length;
        const { byPorts, byTopics, any } = intent.pairs();
        expect({ byPorts, byTopics, any }).toEqual({ byPorts: count('ports'), byTopics: count('topics'), any: count('any') });
        if (byTopics > 0) met++;
      }),
      { numRuns: 1000 },
    );
    expect(met).toBeGreaterThan(40);
  }, 60_000);

  /** Without the ports: what the device may publish and the other may subscribe to, filled in and laid over each other. */
  function byTopic(intent: Intent, from: string, to: string): boolean {
    const filters = (device: string, action: 'publish' | 'subscribe') =>
      intent
        .topicsOf(device)
        .filter((right) => right.action === action)
        .map(({ filter }) => filter.replaceAll('{device}', device.split('/').reverse().join('.')));
    return filters(from, 'publish').some((one) => filters(to, 'subscribe').some((other) => overlap(one.split('/'), other.split('/'))));
  }
  function overlap([x, ...a]: string[], [y, ...b]: string[]): boolean {
    if (x === '#' || y === '#') return true;
    if (x === undefined || y === undefined) return x === y || (x ?? y) === '#';
    return (x === y || x === '+' || y === '+') && overlap(a, b);
  }
});

describe('a change', () => {
  it('gives the answers of a new start, whatever came before', () => {
    fc.assert(
      fc.property(fleet, fc.array(fc.tuple(fc.boolean(), anyObject), { minLength: 1, maxLength: 6 }), (objects, changes) => {
        const intent = intentOf(objects);
        intent.pairs();
        const now = new Map(objects.map((object) => [identityOf(object), object]));
        for (const [stays, object] of changes) {
          if (stays) {
            intent.change(object);
            now.set(identityOf(object), object);
          } else {
            intent.remove(object);
            now.delete(identityOf(object));
          }
          // Asked in between, so that what is remembered is used.
          intent.edges();
        }
        expect(all(intent)).toEqual(all(intentOf([...now.values()])));
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});

describe('a fleet of 10,000 devices in 50 segments', () => {
  const name = (i: number): string => `s${i % 50}`;
  const segment = (i: number, more: Json = {}): Json =>
    policy('berlin', name(i), {
      trust: 3,
      topics: { publish: [{ topic: 'dt/{segment}/{device}/#' }] },
      conduits: [{ name: 'up', to: { segment: name(i + 1) }, ports: [{ port: 443 }] }],
      acceptFrom: [{ segment: name(i + 49), ports: [{ port: 443 }] }],
      ...more,
    });
  const objects = [
    ...Array.from({ length: 50 }, (_, i) => segment(i)),
    ...Array.from({ length: 10_000 }, (_, i) => ({
      apiVersion: 'hedgerow.dev/v1alpha1',
      kind: 'Device',
      metadata: { namespace: 'berlin', name: `d${i}` },
      spec: { segment: name(i) },
    })),
  ];

  it('is counted, not listed', () => {
    const intent = intentOf(objects);
    expect(intent.pairs()).toEqual({ devices: 10_000, segments: 50, byPorts: 50 * 200 * 200, byTopics: 0, any: 2_000_000 });
    expect(intent.edges('berlin/d7')).toEqual([{ from: 'berlin/s7', to: 'berlin/s8', ports: ['TCP 443'], topics: [], devicePairs: 200 }]);
    intent.change(segment(7, { intraSegment: 'Allow', conduits: [] }));
    expect(intent.pairs().byPorts).toBe(49 * 200 * 200 + 200 * 199);
  });
});

describe('what nobody should have written', () => {
  it.each<[sentence: string, spec: unknown, why: string]>([
    ['no spec', undefined, 'spec: it is not an object'],
    ['a list of one', { conduits: { name: 'x' } }, 'spec.conduits: it is not a list'],
    ['a conduit to nowhere', { conduits: [{ name: 'x', ports: [{ port: 1 }] }] }, 'spec.conduits[0].to'],
    ['a port that is none', { acceptFrom: [{ segment: 'b', ports: [{ port: 0 }] }] }, 'spec.acceptFrom[0].ports[0]: it is no port'],
    ['half a trust', { trust: 2.5 }, 'spec.trust: it is none of 0 to 4'],
    ['trust as text', { trust: '4' }, 'spec.trust: it is none of 0 to 4'],
    ['a wildcard for the device', { topics: { subscribe: [{ topic: 'dt/{segment}/#' }] } }, 'a wildcard stands where {device} would'],
    ['a # in the middle', { topics: { publish: [{ topic: 'dt/{segment}/#/x' }] } }, 'is no level'],
    ['a topic of the broker', { topics: { subscribe: [{ topic: '$SYS/brokers' }] } }, 'is no level'],
    ['a topic of the firmware', { topics: { publish: [{ topic: 'ota/{segment}/x' }] } }, 'given to every device'],
    ['a subscription that widens', { topics: { subscribe: [{ topic: 'dt/{segment}/{device}/+/#' }] } }, 'ends in +/#'],
    ["another site's aggregates", { topics: { subscribe: [{ topic: 'agg/paris/#' }] } }, 'it is of another site'],
    [
      "somebody else's topics",
      { acceptFrom: [{ segment: 'b', topics: [{ topic: 'dt/c.berlin/#', action: 'subscribe' }] }] },
      'topic of this',
    ],
    ['pods of a whole namespace', { workloads: [{ podSelector: {} }] }, 'it selects every pod'],
  ])('%s: nothing is in force and why is said', (_sentence, spec, why) => {
    const intent = intentOf([{ ...policy('berlin', 'a', {}), spec }]);
    expect(intent.refused().get('berlin/a')?.join('; ')).toContain(why);
    expect(intent.edges()).toEqual([]);
  });

  it('any JSON is read or left out, and opens nothing by itself', () => {
    const word = fc.constantFrom('SegmentPolicy', 'Device', 'Intervention', 'Namespace', 'Pod', 'List', 'spec', 'a', 'berlin');
    const leaf = fc.oneof(word, fc.integer(), fc.constant(null), fc.boolean());
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('tree'), { maxLength: 3 }), tie('node')),
      node: fc.dictionary(fc.constantFrom(...FIELDS), tie('tree'), { maxKeys: 6 }),
    }));
    fc.assert(
      fc.property(fc.constantFrom('SegmentPolicy', 'Device', 'Intervention', 'Namespace', 'Pod'), tree, tree, (kind, metadata, body) => {
        const object = {
          apiVersion: 'hedgerow.dev/v1alpha1',
          kind,
          metadata: { name: 'a', namespace: 'berlin', extra: metadata },
          spec: body,
        };
        const intent = createIntent(
          [
            { source: 'x', object },
            { source: 'y', object: { ...object, metadata } },
          ],
          0,
        );
        expect(intent.pairs().any).toBe(0);
        expect(intent.edges().filter(({ from, to }) => from !== to && !to.includes('/'))).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  }, 60_000);
});

const FIELDS = [
  'name',
  'namespace',
  'labels',
  'trust',
  'conduits',
  'to',
  'segment',
  'cidr',
  'ports',
  'port',
  'acceptFrom',
  'topics',
  'publish',
  'topic',
  'workloads',
  'podSelector',
  'matchLabels',
  'lifecycle',
  'target',
];
