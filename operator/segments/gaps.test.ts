import { describe, expect, it } from 'vitest';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import { type GapInput, gapsOf } from './gaps.ts';
import { buildModel } from './model.ts';
import { NOW, policyOf } from './testing/fleet.ts';

const WORKLOADS = [{ podSelector: { matchLabels: { app: 'a' } } }];
const PORTS = [{ protocol: 'TCP' as const, port: 443 }];
const IN_CLUSTER = { port: 8883, peers: [{ namespace: 'emqx' }] };

function gaps(spec: Partial<SegmentPolicySpec>, seen: Partial<GapInput> = {}) {
  const model = buildModel({ policies: [policyOf('sensors', 'berlin', spec)], maxTrust: () => 3, pods: () => [], now: NOW });
  const segment = model.verdicts.get('berlin/sensors')?.segment;
  if (segment === undefined) throw new Error('the policy is not in force');
  return gapsOf({ segment, model, broker: IN_CLUSTER, excluded: undefined, widening: [], onHostNetwork: [], ...seen });
}
const reads = (...topics: string[]): Partial<SegmentPolicySpec> => ({
  intraSegment: 'Allow',
  topics: { subscribe: topics.map((topic) => ({ topic, qosMax: 1 })) },
});
const ALWAYS = ['NotProbed', 'ExistingConnections', 'NodeLocalTraffic', 'PodStartRace'];

describe('gaps', () => {
  it.each<[says: string, spec: Partial<SegmentPolicySpec>, seen: Partial<GapInput>, reasons: string[]]>([
    ['a segment without pods asks nothing of the network', {}, {}, []],
    ['pods have those that NetworkPolicy leaves to everybody', { workloads: WORKLOADS }, {}, ALWAYS],
    ['pods with the network of their node', { workloads: WORKLOADS }, { onHostNetwork: ['agent'] }, ['HostNetwork', ...ALWAYS]],
    [
      'a conduit to addresses, which may be translated on the way, or be those of pods',
      { workloads: WORKLOADS, conduits: [{ name: 'out', to: { cidr: '192.0.2.0/24' }, ports: PORTS }] },
      {},
      ['AddressTranslation', 'PodsByAddress', ...ALWAYS],
    ],
    [
      'a broker by address likewise',
      { workloads: WORKLOADS },
      { broker: { port: 8883, peers: [{ cidr: '198.51.100.7/32' }] } },
      ['AddressTranslation', ...ALWAYS],
    ],
    ['a segment that reads telemetry at the broker', reads('dt/{segment}/+/x'), {}, ['DirectTelemetry']],
    ['also where it is Sparkplug', reads('spBv1.0/{segment}/DDATA/+/x'), {}, ['DirectTelemetry']],
    ['a device that reads its own has nobody between it and itself', reads('dt/{segment}/{device}/x'), {}, []],
    ['commands and aggregates are no telemetry', reads('cmd/{segment}/+/x', 'agg/berlin/x', 'dta/{segment}/+/x'), {}, []],
  ])('%s', (_, spec, seen, reasons) => {
    expect(gaps(spec, seen).map(({ reason }) => reason)).toEqual(reasons);
  });

  it('name what they affect', () => {
    const spec = { ...reads('dt/{segment}/+/x'), workloads: WORKLOADS };
    const found = new Map(
      gaps(spec, { onHostNetwork: ['agent', 'proxy'], broker: { port: 8883, peers: [{ cidr: '198.51.100.7/32' }] } }).map((gap) => [
        gap.reason,
        gap,
      ]),
    );
    expect(found.get('HostNetwork')?.affects).toContain('agent, proxy;');
    expect(found.get('AddressTranslation')?.affects).toContain('198.51.100.7/32');
    expect(found.get('DirectTelemetry')).toMatchObject({ surface: 'broker', affects: expect.stringContaining('dt/{segment}/+/x') });
  });

  it('stay within their fields, whatever the names', () => {
    const names = Array.from({ length: 40 }, (_, i) => `${'p'.repeat(250)}${i}`);
    const [gap] = gaps({ workloads: WORKLOADS }, { onHostNetwork: names });
    expect(gap?.affects).toContain(`${names[1]} and 38 more`);
    const long = Array.from({ length: 32 }, (_, i) => `dt/{segment}/+/${'t'.repeat(230)}${i}`);
    for (const { affects, mitigation } of [...gaps({ workloads: WORKLOADS }, { onHostNetwork: names }), ...gaps(reads(...long))])
      for (const text of [affects, mitigation]) expect(text.length).toBeLessThanOrEqual(1024);
  });
});
