import { describe, expect, it } from 'vitest';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import type { KubeClient } from '../kube/client.ts';
import { egress, printEgress } from './egress.ts';
import { listen, typed } from './testing/heard.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const policy = (namespace: string, name: string, spec: Partial<SegmentPolicySpec>) => ({
  metadata: { name, namespace, generation: 3 },
  spec: { trust: 2, intraSegment: 'Isolated', egress: 'Aggregates', mode: 'Enforce', ...spec },
});
const hears = (topic: string) => ({ topics: { subscribe: [{ topic, qosMax: 1 as const }] } });
const FLEET = [
  policy('berlin', 'sensors', {
    function: 'room-sensor',
    telemetry: { window: '5m', groupBy: 'zone', minGroup: 8, pseudonyms: true },
    acceptFrom: [
      ...['lights', 'uplink'].map((segment) => ({ segment, topics: [{ topic: 'dt/{segment}/#', action: 'subscribe' as const }] })),
      { segment: 'scada', topics: [{ topic: 'spBv1.0/{segment}/#', action: 'subscribe' as const }] },
    ],
  }),
  policy('berlin', 'lights', { egress: 'None', ...hears('dt/sensors.berlin/#') }),
  policy('berlin', 'scada', hears('spBv1.0/sensors.berlin/DDATA/#')),
  policy('berlin', 'cameras', { egress: 'Raw', rawEgress: { justification: 'ticket 4711', expires: '2026-12-01T00:00:00Z' } }),
  policy('berlin', 'doors', { egress: 'Raw', rawEgress: { justification: 'ticket 4710', expires: '2026-11-01T00:00:00Z' } }),
  policy('berlin', 'uplink', {
    trust: 3,
    topics: { publish: [{ topic: 'agg/berlin/#', qosMax: 1, retain: false }], ...hears('dt/sensors.berlin/#').topics },
  }),
  policy('berlin', 'office', hears('agg/berlin/#')),
  policy('berlin', 'wrong', { trust: 4 }),
  policy('paris', 'sensors', {}),
];
const NAMESPACES = ['berlin', 'paris'].map((name) => ({ metadata: { name } }));

async function recordOf(namespace: string | undefined, json: boolean) {
  const client = {
    list: async ({ plural }: { plural: string }) => (plural === 'namespaces' ? NAMESPACES : FLEET),
  } as unknown as KubeClient;
  const { heard, output } = listen();
  const code = await printEgress({ client, ...(namespace === undefined ? {} : { namespace }), json, clock: { now: () => NOW } }, output);
  return { ...heard, code };
}

describe('the record of what may leave', () => {
  it('says of each segment what leaves, where to, of how many devices, by which name, and until when it waits', async () => {
    const { out } = await recordOf('berlin', true);
    const { at, sites } = JSON.parse(out);
    expect(at).toBe('2026-11-26T12:00:00.000Z');
    expect(sites.map(({ site }: { site: string }) => site)).toEqual(['berlin']);
    const segments = Object.fromEntries(sites[0].segments.map((one: { segment: string }) => [one.segment, one]));
    expect(segments.sensors).toEqual({
      segment: 'sensors',
      purpose: 'room-sensor',
      generation: 3,
      refused: [],
      egress: 'Aggregates',
      leaves: [
        { type: 'Alert', topic: 'alert/berlin/sensors/<kind>' },
        { type: 'Security', topic: 'alert/berlin/site/security' },
        { type: 'Trend', topic: 'agg/berlin/sensors/<group>/<metric>' },
      ],
      devicesNamedBy: 'pseudonym',
      groups: { by: 'zone', atLeastDevices: 8, windowSeconds: 300 },
      checkedBySchema: [],
      keptAtTheSiteSeconds: { trends: 2_592_000, alerts: 7_776_000, security: 31_536_000 },
      hearsDirectly: [
        { segment: 'lights.berlin', topics: ['dt/sensors.berlin/#'] },
        { segment: 'scada.berlin', topics: ['spBv1.0/sensors.berlin/DDATA/#'] },
      ],
    });
    expect(segments.lights.leaves).toEqual([]);
  });

  it('of raw data the reason and the end, and nothing of them when their time is over', async () => {
    const { out } = await recordOf('berlin', true);
    const raw = JSON.parse(out).sites[0].segments.map(({ segment, egress: level, raw: said }: Record<string, unknown>) => [
      segment,
      level,
      said,
    ]);
    expect(raw).toContainEqual(['cameras', 'Raw', { reason: 'ticket 4711', until: '2026-12-01T00:00:00.000Z' }]);
    expect(raw).toContainEqual(['doors', 'Aggregates', undefined]);
  });

  it('names who speaks for the site, who hears it, and of which policies nothing is in force', async () => {
    const [site] = JSON.parse((await recordOf('berlin', true)).out).sites;
    expect([site.speaks, site.hears, site.notInForce]).toEqual([['uplink.berlin'], ['office.berlin'], ['wrong']]);
  });

  it('the same for people', async () => {
    const { out, code } = await recordOf(undefined, false);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^always leaves +Health to agg\/berlin\/site\/health, DataLoss to alert\/berlin\/site\/loss, Erased to alert\/berlin\/site\/erased$/m,
    );
    expect(out).toMatch(/cameras\n {2}egress +Raw \(generation 3\)\n/);
    expect(out).toMatch(/ {2}raw data +until 2026-12-01T00:00:00\.000Z: ticket 4711\n/);
    expect(out).toMatch(/lights\n {2}egress +None \(generation 3\)\n {2}leaves +nothing\n {2}kept at the site +trends 30 d/);
    expect(out).toMatch(/ {2}groups +by zone, at least 8 devices, a trend in 300 s\n/);
  });

  it('of a namespace without policies there is none', async () => {
    expect(await recordOf('lyon', false)).toEqual({ out: '', err: 'no SegmentPolicies in lyon\n', code: 0 });
    expect((await typed(egress, 'egress', '-A', '-n', 'berlin')).code).toBe(2);
  });
});
