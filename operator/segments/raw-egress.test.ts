import { describe, expect, it } from 'vitest';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import { brokerOf } from '../broker/testing/text.ts';
import { createIntent } from '../reach/reach.ts';
import { buildModel, type PolicyFacts, rightsOf } from './model.ts';
import { NOW, policyOf } from './testing/fleet.ts';

const modelOf = (policies: readonly PolicyFacts[], now: number) => buildModel({ policies, maxTrust: () => 3, pods: () => [], now });
const END = '2026-11-25T00:00:00Z';
const END_MS = Date.parse(END);

const uplink = (namespace: string): PolicyFacts =>
  policyOf('uplink', namespace, {
    trust: 3,
    topics: { publish: ['agg', 'alert', 'raw'].map((word) => ({ topic: `${word}/${namespace}/#`, qosMax: 1, retain: false })) },
  });
const sensors = (spec: Partial<SegmentPolicySpec>): PolicyFacts => policyOf('sensors', 'berlin', spec);
const RAW: Partial<SegmentPolicySpec> = { egress: 'Raw', rawEgress: { justification: 'ticket 4711', expires: END } };
const FLEET = (spec: Partial<SegmentPolicySpec>) => [sensors(spec), uplink('berlin'), uplink('paris')];

const published = (policies: readonly PolicyFacts[], now: number) =>
  Object.fromEntries(rightsOf(modelOf(policies, now)).map(({ segment, publish }) => [segment, publish.map(({ topic }) => topic)]));

describe('the right to publish raw data at the hub', () => {
  it.each<[string, Partial<SegmentPolicySpec>, number, boolean]>([
    ['no policy says Raw', {}, NOW, false],
    ['a policy of the site says Raw', RAW, NOW, true],
    ['a moment before its end', RAW, END_MS - 1, true],
    ['at its end', RAW, END_MS, false],
    ['the policy is only audited', { ...RAW, mode: 'Audit' }, NOW, false],
    ['the policy is refused', { ...RAW, trust: 4 }, NOW, false],
  ])('%s', (_when, spec, now, has) => {
    const rights = published(FLEET(spec), now);
    expect(rights['uplink.berlin']).toEqual(['agg/berlin/#', 'alert/berlin/#', ...(has ? ['raw/berlin/#'] : [])]);
    expect(rights['uplink.paris']).toEqual(['agg/paris/#', 'alert/paris/#']);
  });

  it('is what the second reading says was meant', () => {
    const kind = (name: string, namespace: string, kind: string, spec: object) => ({
      source: name,
      object: { apiVersion: 'hedgerow.dev/v1alpha1', kind, metadata: { name, namespace }, spec },
    });
    const objects = [
      kind('gw', 'berlin', 'Device', { segment: 'uplink' }),
      ...FLEET(RAW).map(({ name, namespace, spec }) => kind(name, namespace, 'SegmentPolicy', spec)),
    ];
    for (const now of [NOW, END_MS]) {
      const intent = createIntent(objects, now);
      expect(intent.may('berlin/gw', 'publish', 'raw/berlin/sensors/t/climate').allowed).toBe(now < END_MS);
      expect(intent.may('berlin/gw', 'publish', 'agg/berlin/sensors/all/celsius').allowed).toBe(true);
      expect(intent.may('berlin/gw', 'publish', 'agg/paris/sensors/all/celsius').allowed).toBe(false);
    }
  });

  it("as for aggregates and alerts, the broker's text lets a gateway speak for its own site only, and nobody else for it", () => {
    const may = (now: number, segment: string, topic: string) =>
      brokerOf(rightsOf(modelOf(FLEET(RAW), now)))({ device: `gw.${segment.split('.')[1]}`, segment, action: 'publish', topic });
    for (const word of ['agg', 'alert', 'raw']) {
      expect(may(NOW, 'uplink.berlin', `${word}/berlin/sensors/x`)).toBe(true);
      expect(may(END_MS, 'uplink.berlin', `${word}/berlin/sensors/x`)).toBe(word !== 'raw');
      const foreign = [`${word}/paris/sensors/x`, `${word}/berlin-2/sensors/x`, `${word}/sensors/x`, `${word}/uplink.berlin/x`];
      for (const topic of foreign) expect([topic, may(NOW, 'uplink.berlin', topic)]).toEqual([topic, false]);
      expect(may(NOW, 'sensors.berlin', `${word}/berlin/sensors/x`)).toBe(false);
      expect(may(NOW, 'uplink.paris', `${word}/berlin/sensors/x`)).toBe(false);
    }
  });

  it('is waited for aloud, and its end is a time at which the model changes by itself', () => {
    expect(modelOf(FLEET({}), NOW).verdicts.get('berlin/uplink')?.partly).toEqual([expect.stringContaining('raw/berlin/# waits for')]);
    expect(modelOf(FLEET(RAW), NOW).nextExpiry).toBe(END_MS);
    expect(modelOf(FLEET(RAW), END_MS).nextExpiry).toBeUndefined();
  });
});

it('what the gateway is told of Raw ends with it', () => {
  const told = (now: number) => modelOf(FLEET(RAW), now).verdicts.get('berlin/sensors')?.segment?.gateway;
  expect(told(NOW)).toMatchObject({ egress: 'Raw', rawUntil: '2026-11-25T00:00:00.000Z' });
  expect(told(END_MS)).toMatchObject({ egress: 'Aggregates' });
  expect(told(END_MS)).not.toHaveProperty('rawUntil');
});
