import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { egressAt, type GatewayConfig, type GatewaySegment, MAX_GATEWAY_CONFIG_BYTES, readGatewayConfig } from './gateway-config.ts';

const SEGMENT: GatewaySegment = {
  name: 'office-sensors.berlin',
  egress: 'Aggregates',
  pseudonyms: true,
  schemas: [{ topic: 'dt/office-sensors.berlin/+/climate', schema: { type: 'object', properties: { celsius: { type: 'number' } } } }],
  onViolation: 'Alert',
  maxBytes: 16_384,
  replay: { window: 64, maxSkewMs: 120_000 },
  triggers: ['ReplayDetected'],
  windowMs: 60_000,
  groupBy: 'zone',
  minGroup: 5,
  detect: [{ stream: 'climate', field: 'celsius', range: { min: -40, max: 85 }, peers: true }],
  rules: [],
  retentionMs: { trend: 1, alert: 2, security: 3 },
};
const CONFIG: GatewayConfig = { version: 1, site: 'berlin', segments: [SEGMENT] };
const text = (segment: object, config: object = {}) => JSON.stringify({ ...CONFIG, segments: [{ ...SEGMENT, ...segment }], ...config });
const REFUSED = { code: 'HR-API-036', message: expect.stringMatching(/^gateway\.json is not taken: /) };

describe('readGatewayConfig', () => {
  it('reads what the operator writes', () => {
    expect(readGatewayConfig(JSON.stringify(CONFIG))).toEqual(CONFIG);
    expect(readGatewayConfig('{"version":1,"site":"berlin","segments":[]}')).toEqual({ ...CONFIG, segments: [] });
  });

  it.each([
    ['no JSON', '{'],
    ['another version', text({}, { version: 2 })],
    ['a field that it does not know: it could narrow what may leave', text({ egressOfNight: 'None' })],
    ['a field that it does not know within another', text({ replay: { window: 64, maxSkewMs: 1, strict: true } })],
    ['a level of egress that is none', text({ egress: 'Everything' })],
    ['a segment of another site', text({ name: 'office-sensors.hamburg' })],
    ['a segment without a name before the dot', text({ name: '.berlin' })],
    ['two segments of one name', JSON.stringify({ ...CONFIG, segments: [SEGMENT, SEGMENT] })],
    ['Raw without an end', text({ egress: 'Raw' })],
    ['Raw with an end that is no time', text({ egress: 'Raw', rawUntil: 'tomorrow' })],
    ['an end without Raw', text({ rawUntil: '2026-12-01T00:00:00Z' })],
    ['a value that is told twice how it is watched', text({ detect: [SEGMENT.detect[0], SEGMENT.detect[0]] })],
    ['groups of nobody', text({ minGroup: 0 })],
    ['a number that is text', text({ windowMs: '60000' })],
    ['more than a ConfigMap holds', ' '.repeat(MAX_GATEWAY_CONFIG_BYTES) + JSON.stringify(CONFIG)],
  ])('does not take %s', (_what, refused) => {
    expect(readGatewayConfig(refused)).toEqual(REFUSED);
  });

  it('never throws, and gives back nothing of what it refuses', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(readGatewayConfig(json)).toEqual(REFUSED);
      }),
    );
    const answer = readGatewayConfig(text({ onViolation: 'hunter2' }));
    expect(JSON.stringify(answer)).not.toContain('hunter2');
  });
});

it('Raw ends when it said it would', () => {
  const raw = { egress: 'Raw', rawUntil: '2026-12-01T00:00:00Z' } as const;
  const endMs = Date.parse(raw.rawUntil);
  expect([endMs - 1, endMs].map((nowMs) => egressAt(raw, nowMs))).toEqual(['Raw', 'Aggregates']);
  expect(egressAt({ egress: 'None' }, endMs)).toBe('None');
});
