import { describe, expect, it } from 'vitest';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import { networkNotProbed, notProbed } from '../probe/probe.ts';
import { gapsOf } from './gaps.ts';
import { buildModel } from './model.ts';
import { summarise } from './summary.ts';
import { NOW, policyOf } from './testing/fleet.ts';

type Limits = NonNullable<SegmentPolicySpec['limits']>;

type Trigger = 'LimitExceeded' | 'AuthorizationDenials';

function statusOf(limits: Limits | undefined, triggers: Trigger[] = [], events = false) {
  const spec = { ...(limits === undefined ? {} : { limits }), quarantine: { triggers, release: 'Manual' as const } };
  const policy = policyOf('sensors', 'berlin', spec);
  const model = buildModel({ policies: [policy], maxTrust: () => 3, pods: () => [], now: NOW });
  const verdict = model.verdicts.get('berlin/sensors');
  if (verdict?.segment === undefined) throw new Error('the policy is not in force');
  const gaps = gapsOf({
    segment: verdict.segment,
    model,
    broker: { port: 8883, peers: [], events },
    excluded: undefined,
    widening: [],
    onHostNetwork: [],
  });
  return summarise({
    ...{ generation: 1, spec: policy.spec, status: undefined, verdict, compiled: verdict, network: { policies: 0 }, excluded: undefined },
    ...{
      probe: notProbed(),
      networkProbe: networkNotProbed(),
      gateway: 'none',
      devices: 3,
      enrollment: undefined,
      pods: 0,
      gaps,
      reach: { pairs: 0, added: 0, removed: 0, modelDigest: '' },
      now: '2026-11-26T00:00:00Z',
    },
  });
}

describe('a limit that EMQX keeps for no segment of its own', () => {
  const cases: [keyof Limits, string, string][] = [
    ['connectRate', '5/m', 'max_conn_rate of the listener'],
    ['messages', '10/s', 'messages_rate of the listener'],
    ['bytes', '20KiB/s', 'bytes_rate of the listener'],
    ['maxPacket', '16KiB', 'mqtt.max_packet_size'],
  ];
  it.each(cases)('%s is a gap at the broker with its value and what to set instead', (name, value, instead) => {
    expect(statusOf({ [name]: value }).gaps).toEqual([
      {
        surface: 'broker',
        reason: 'LimitPerListener',
        affects: expect.stringContaining(`limits.${name} ${value}: `),
        mitigation: expect.stringContaining(instead),
      },
    ]);
  });

  it('of messages and bytes it says what follows instead, with a trigger and without; of the others nothing follows', () => {
    const limits = { messages: '10/s', bytes: '20KiB/s', connectRate: '5/m', maxPacket: '16KiB' };
    const said = (events: boolean) => statusOf(limits, [], events).gaps?.map(({ affects }) => /LimitExceeded/.exec(affects) !== null);
    expect(said(false)).toEqual([false, true, true, false]);
    expect(said(true)).toEqual([true, true, true, false]);
    expect(statusOf(limits).gaps?.[1]?.affects).toContain('says LimitExceeded within about a minute, and goes on');
    expect(statusOf(limits, ['LimitExceeded']).gaps?.[1]?.affects).toContain('says LimitExceeded and is quarantined within about a minute');
  });

  it('a trigger that waits for events that nobody sends is a gap too', () => {
    expect(statusOf(undefined, ['AuthorizationDenials']).gaps?.map(({ reason }) => reason)).toEqual(['EventsOff']);
    expect(statusOf(undefined, ['AuthorizationDenials'], true).gaps).toBeUndefined();
  });

  it('each is named, in an order that does not change with the manifest', () => {
    const all = { maxPacket: '16KiB', bytes: '20KiB/s', messages: '10/s', connectRate: '5/m' };
    expect(statusOf(all).gaps?.map(({ affects }) => affects.split(':')[0])).toEqual([
      'limits.connectRate 5/m',
      'limits.messages 10/s',
      'limits.bytes 20KiB/s',
      'limits.maxPacket 16KiB',
    ]);
  });

  it('stands in the condition GapsPresent', () => {
    const said = statusOf({ messages: '10/s' }).conditions?.find(({ type }) => type === 'GapsPresent');
    expect(said).toMatchObject({ status: 'True', reason: 'LimitPerListener' });
  });

  it('says nothing where no limit is written', () => {
    for (const limits of [undefined, {}]) expect(statusOf(limits).gaps).toBeUndefined();
  });

  it('of a spec that is refused is not spoken of: the last good one is in force', () => {
    const good = policyOf('sensors', 'berlin', { limits: { messages: '10/s' } });
    const bad = { ...good, generation: 2, spec: { ...good.spec, trust: 4, limits: { messages: '99/s' } } };
    const policies = [{ ...bad, lastGood: { generation: 1, spec: good.spec } }];
    const { segment } = buildModel({ policies, maxTrust: () => 3, pods: () => [], now: NOW }).verdicts.get('berlin/sensors') ?? {};
    expect(segment?.limits).toEqual({ messages: '10/s' });
  });
});
