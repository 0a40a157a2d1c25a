import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GatewayConfig, type GatewaySegment, MAX_GATEWAY_CONFIG_BYTES } from '../../../operator/api/gateway-config.ts';
import { createTracks } from '../replay/tracks.ts';
import { createCore } from './core.ts';
import { createDetectors, type Finding } from './detectors.ts';
import type { Accepted, Event } from './event.ts';

const NOW = 1_790_000_000_000;
const segment = (detect: GatewaySegment['detect'] = []): GatewaySegment => ({
  ...{ name: 'office.berlin', egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 16_384 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: 60_000, minGroup: 5, detect, rules: [] },
  retentionMs: { trend: 1, alert: 1, security: 1 },
});
const config = (...segments: GatewaySegment[]): GatewayConfig => ({ version: 1, site: 'berlin', segments });
const RANGED = config(segment([{ stream: 'climate', field: 'celsius', range: { min: -40, max: 85 } }]));

function makeCore(of: GatewayConfig) {
  const findings: Finding[] = [];
  const detectors = createDetectors((finding) => void findings.push(finding));
  return { core: createCore({ tracks: createTracks({ maxDevices: 100 }), stations: [detectors], config: of }), detectors, findings };
}

let seq = 0;
const message = (value: number, more: Partial<Accepted> = {}): Accepted => {
  seq += 1;
  const atMs = NOW + seq * 1_000;
  return {
    ...{ kind: 'message', device: 'thermo-1.berlin', segment: 'office.berlin', stream: 'climate', group: '', boot: 1, seq, atMs },
    ...{ backfill: false, heardMs: atMs, readings: [['celsius', value]], ...more },
  };
};

describe('the core', () => {
  it('accepts a message once, and hands it on once', () => {
    const { core, findings } = makeCore(RANGED);
    const hot = message(100);
    expect(core.offer(hot)).toBeUndefined();
    expect(core.offer(hot)).toBe('HR-GW-202');
    expect(findings.map(({ device, field, seq: of, alert }) => [device, field, of, alert.kind])).toEqual([
      ['thermo-1.berlin', 'celsius', hot.seq, 'range'],
    ]);
  });

  it('takes nothing of a segment that no policy has', () => {
    const { core } = makeCore(RANGED);
    expect(core.offer(message(1, { segment: 'lab.berlin' }))).toBe('HR-GW-302');
  });

  it('goes on under another configuration with what it has learned', () => {
    const { core, findings } = makeCore(config(segment()));
    const first = message(100);
    core.offer(first);
    core.configure(RANGED);
    expect(core.offer(first)).toBe('HR-GW-202');
    core.offer(message(100));
    expect(findings.map(({ alert }) => alert.kind)).toEqual(['range']);
  });

  it('keeps nothing of peers that no policy compares any more', () => {
    const { core, detectors } = makeCore(config(segment([{ stream: 'climate', field: 'celsius', peers: true }])));
    core.offer(message(20));
    expect([...detectors.snapshot()].join()).toContain('"peers"');
    core.configure(RANGED);
    expect([...detectors.snapshot()].join()).not.toContain('"peers"');
  });

  it('forgets a device whole', () => {
    const { core, detectors } = makeCore(RANGED);
    core.offer(message(20));
    core.offer(message(20, { device: 'other.berlin' }));
    core.forget('thermo-1.berlin');
    expect(detectors.series).toBe(1);
    expect(core.parts.flatMap((part) => [...part.snapshot()]).join('\n')).not.toContain('thermo-1');
  });

  it('watches so many series of a device that makes up names, and no more', () => {
    const { core, detectors } = makeCore(RANGED);
    for (let at = 0; at < 200; at++) core.offer(message(1, { stream: `s${at}` }));
    expect([detectors.series, detectors.unwatched]).toEqual([128, 72]);
  });
});

const event = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({ value: fc.double({ min: -50, max: 100, noNaN: true }), device: fc.constantFrom('a.berlin', 'b.berlin') }),
  },
  { weight: 1, arbitrary: fc.record({ tickMs: fc.integer({ min: 1, max: 3_600_000 }) }) },
);

it('a core that is written and read at any time gives what one gives that never was', () => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 150, maxLength: 300 }), fc.nat(300), (given, cut) => {
      seq = 0;
      const peers = config(segment([{ stream: 'climate', field: 'celsius', range: { min: -40, max: 85 }, peers: true }]));
      const events = given.map((one): Event => {
        if ('tickMs' in one) return { kind: 'tick', nowMs: NOW + seq * 1_000 + one.tickMs, elapsedMs: one.tickMs };
        return message(one.value, { device: one.device });
      });
      const whole = makeCore(peers);
      for (const one of events) whole.core.offer(one);
      const [early, late] = [makeCore(peers), makeCore(config())];
      for (const one of events.slice(0, cut)) early.core.offer(one);
      for (const [at, part] of early.core.parts.entries()) late.core.parts[at]?.restore(part.snapshot());
      for (const one of events.slice(cut)) late.core.offer(one);
      expect([...early.findings, ...late.findings]).toEqual(whole.findings);
      expect(late.core.config).toEqual(peers);
    }),
    { numRuns: 30 },
  );
});

it('a configuration that a snapshot holds damaged leaves the one in force', () => {
  const { core } = makeCore(RANGED);
  for (const text of ['{', '{}', ' '.repeat(MAX_GATEWAY_CONFIG_BYTES + 1)]) core.parts[0]?.restore([text]);
  expect(core.config).toBe(RANGED);
});
