import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readGatewayConfig } from '../api/gateway-config.ts';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import { explain } from './errors.ts';
import { gatewayConfigOf } from './gateway-config.ts';
import { buildModel, type PolicyFacts } from './model.ts';
import { fleet, NOW, policyOf } from './testing/fleet.ts';

const modelOf = (policies: readonly PolicyFacts[], now = NOW) => buildModel({ policies, maxTrust: () => 3, pods: () => [], now });

/** As the gateway reads what was made of these policies. */
function readOf(policies: readonly PolicyFacts[], now = NOW, site = 'berlin') {
  const compiled = gatewayConfigOf(modelOf(policies, now), site);
  if ('refused' in compiled) throw new Error(explain(compiled.refused));
  const read = readGatewayConfig(compiled.text);
  if ('code' in read) throw new Error(read.message);
  return read;
}
const segmentOf = (spec: Partial<SegmentPolicySpec>, now = NOW) => readOf([policyOf('sensors', 'berlin', spec)], now).segments[0];
const refusedOf = (spec: Partial<SegmentPolicySpec>) =>
  modelOf([policyOf('sensors', 'berlin', spec)])
    .verdicts.get('berlin/sensors')
    ?.refused.map(({ code, path }) => [code, path]);

const CLIMATE = { type: 'object', properties: { celsius: { type: 'number' } } };
const PAYLOAD: NonNullable<SegmentPolicySpec['payload']> = {
  schemas: [{ topic: 'dt/{segment}/{device}/climate', schema: CLIMATE }],
  onViolation: 'Alert',
};
const payload = (topic: string, schema: Record<string, unknown>): Partial<SegmentPolicySpec> => ({
  payload: { schemas: [{ topic, schema }], onViolation: 'Drop' },
});
const TELEMETRY = { window: '60s', minGroup: 5, pseudonyms: true };
const RETENTION = { trends: '720h', alerts: '2160h', security: '8760h' };

describe('what a gateway is told', () => {
  it('of a policy that says nothing about it: every default', () => {
    expect(readOf([policyOf('sensors', 'berlin', {})])).toEqual({
      version: 1,
      site: 'berlin',
      segments: [
        {
          name: 'sensors.berlin',
          egress: 'Aggregates',
          pseudonyms: true,
          schemas: [],
          onViolation: 'Drop',
          maxBytes: 65_536,
          replay: { window: 64, maxSkewMs: 120_000 },
          triggers: [],
          windowMs: 60_000,
          minGroup: 5,
          detect: [],
          rules: [],
          retentionMs: { trend: 2_592_000_000, alert: 7_776_000_000, security: 31_536_000_000 },
        },
      ],
    });
  });

  it('names as on the wire, times in ms, what an API server leaves out of lists filled in', () => {
    const rule = { name: 'hot', stream: 'climate', field: 'celsius', above: 30, command: { name: 'fan' } };
    const detect = { stream: 'climate', field: 'celsius', min: -40, max: 85, peers: true, pattern: false };
    const spec = {
      payload: { ...PAYLOAD, replay: { window: 128, maxSkew: '5m' } },
      telemetry: { window: '5m', groupBy: 'zone', minGroup: 8, pseudonyms: false, detect: [detect] },
      localRules: [rule],
      limits: { maxPacket: '16KiB' },
      quarantine: { triggers: ['SchemaFlood', 'LimitExceeded', 'ReplayDetected'] },
      egress: 'Alerts',
    } as unknown as Partial<SegmentPolicySpec>;
    expect(segmentOf(spec)).toMatchObject({
      egress: 'Alerts',
      pseudonyms: false,
      schemas: [{ topic: 'dt/sensors.berlin/+/climate', schema: CLIMATE }],
      onViolation: 'Alert',
      maxBytes: 16_384,
      replay: { window: 128, maxSkewMs: 300_000 },
      triggers: ['ReplayDetected', 'SchemaFlood'],
      windowMs: 300_000,
      groupBy: 'zone',
      minGroup: 8,
      detect: [{ stream: 'climate', field: 'celsius', range: { min: -40, max: 85 }, peers: true }],
      rules: [{ name: 'hot', when: 'above', limit: 30, back: 30, forMs: 0, validMs: 60_000, atMost: 60 }],
    });
  });

  it('that devices speak Sparkplug only where a policy says so', () => {
    const of = (format?: 'Envelope' | 'SparkplugB') =>
      segmentOf({ payload: { onViolation: 'Drop', ...(format === undefined ? {} : { format }) } })?.format;
    expect([of('SparkplugB'), of('Envelope'), of()]).toEqual(['SparkplugB', undefined, undefined]);
    expect(refusedOf({ payload: { onViolation: 'Drop', format: 'SparkplugA' } } as never)).toEqual([['HR-SEG-008', '']]);
  });

  it('only of its own site', () => {
    const policies = [policyOf('sensors', 'berlin', {}), policyOf('sensors', 'paris', {}), policyOf('sensors', 'ber', {})];
    expect(readOf(policies).segments.map(({ name }) => name)).toEqual(['sensors.berlin']);
    expect(readOf(policies, NOW, 'lyon')).toEqual({ version: 1, site: 'lyon', segments: [] });
  });

  it('of any policies reads at the gateway, and does not depend on their order', () => {
    fc.assert(
      fc.property(fleet, (policies) => {
        const texts = [policies, policies.toReversed()].map((some) => gatewayConfigOf(modelOf(some), 'berlin'));
        expect(texts[0]).toEqual(texts[1]);
        const inForce = policies.filter(({ namespace, spec }) => namespace === 'berlin' && (spec.trust ?? 2) <= 3);
        expect(readOf(policies).segments).toHaveLength(inForce.length);
      }),
      { numRuns: 100 },
    );
  });

  it('the same bytes whatever the order of fields in a schema', () => {
    const texts = [
      { type: 'object', minProperties: 1 },
      { minProperties: 1, type: 'object' },
    ].map((schema) => gatewayConfigOf(modelOf([policyOf('sensors', 'berlin', payload('dt/{segment}/{device}/x', schema))]), 'berlin'));
    expect(texts[0]).toEqual(texts[1]);
  });

  it('not at all when it does not fit into a ConfigMap', () => {
    const large = { description: 'x'.repeat(32_000) };
    const policies = Array.from({ length: 40 }, (_, i) => policyOf(`s${i}`, 'berlin', payload('dt/{segment}/{device}/x', large)));
    expect(gatewayConfigOf(modelOf(policies), 'berlin')).toEqual({
      refused: { code: 'HR-SEG-017', path: '', found: expect.stringContaining('40 segments of namespace berlin') },
    });
  });
});

describe('a text that a gateway could not keep', () => {
  it.each<[string, Partial<SegmentPolicySpec>, [string, string][]]>([
    ['a schema that is none', payload('dt/{segment}/{device}/x', { type: 'nummer' }), [['HR-SEG-006', 'spec.payload.schemas[0].schema']]],
    ['a schema for the topics of others', payload('dt/doors.berlin/+/x', {}), [['HR-SEG-006', 'spec.payload.schemas[0].topic']]],
    ['a schema for what is no telemetry', payload('cmd/{segment}/{device}/x', {}), [['HR-SEG-006', 'spec.payload.schemas[0].topic']]],
    [
      'a rule whose command is never valid',
      {
        localRules: [{ name: 'a', stream: 's', field: '', above: 1, for: '0s', validFor: '0s', atMost: 1, command: { name: 'fan' } }],
      },
      [['HR-SEG-007', 'spec.localRules[0]']],
    ],
    ['a window of no time', { telemetry: { ...TELEMETRY, window: '0s' } }, [['HR-SEG-008', 'spec.telemetry.window']]],
    ['a window of two days', { telemetry: { ...TELEMETRY, window: '48h' } }, [['HR-SEG-008', 'spec.telemetry.window']]],
    ['no time to keep alerts', { retention: { ...RETENTION, alerts: '0s' } }, [['HR-SEG-008', 'spec.retention.alerts']]],
    ['raw data without an end', { egress: 'Raw' }, [['HR-SEG-008', 'spec.rawEgress.expires']]],
    [
      'raw data until a time that is none',
      { egress: 'Raw', rawEgress: { justification: 'x', expires: 'tomorrow' } },
      [['HR-SEG-008', 'spec.rawEgress.expires']],
    ],
  ])('%s is refused', (_what, spec, findings) => {
    expect(refusedOf(spec)).toEqual(findings);
  });

  it('changes nothing: the last good text stays with the gateway, and without one it is told nothing of the segment', () => {
    const good = policyOf('sensors', 'berlin', { payload: PAYLOAD });
    const bad = { ...good, generation: 2, spec: { ...good.spec, ...payload('dt/{segment}/{device}/x', { type: 'nummer' }) } };
    expect(readOf([bad]).segments).toEqual([]);
    expect(readOf([{ ...bad, lastGood: { generation: 1, spec: good.spec } }])).toEqual(readOf([good]));
  });

  it('nor does one that is only audited', () => {
    const good = policyOf('sensors', 'berlin', {});
    const audited = { ...good, generation: 2, spec: { ...good.spec, egress: 'Alerts' as const, mode: 'Audit' as const } };
    expect(readOf([audited]).segments).toEqual([]);
    expect(readOf([{ ...audited, lastGood: { generation: 1, spec: good.spec } }])).toEqual(readOf([good]));
  });
});
