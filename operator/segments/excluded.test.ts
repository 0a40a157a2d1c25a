import { describe, expect, it } from 'vitest';
import { networkNotProbed, notProbed } from '../probe/probe.ts';
import { exclusionSaid, gapsOf } from './gaps.ts';
import { buildModel } from './model.ts';
import { summarise } from './summary.ts';
import { NOW, policyOf } from './testing/fleet.ts';

const policy = policyOf('sensors', 'berlin', { topics: { publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }] } });
const model = buildModel({ policies: [policy], maxTrust: () => 3, pods: () => [], now: NOW });
const verdict = model.verdicts.get('berlin/sensors');
if (verdict?.segment === undefined) throw new Error('the policy is not in force');
const { segment } = verdict;
const excluded = { reason: 'RuleBudgetSpent', message: 'HR-BRK-031: sensors.berlin would need 2 rules more. Cure: remove policies' };
const gapsWith = (why: typeof excluded | undefined) =>
  gapsOf({ segment, model, broker: { port: 8883, peers: [] }, excluded: why, widening: [], onHostNetwork: [] });
const statusWith = (why: typeof excluded | undefined) =>
  summarise({
    ...{ generation: 1, spec: policy.spec, status: undefined, verdict, compiled: verdict, network: { policies: 0 }, excluded: why },
    ...{
      probe: notProbed(),
      networkProbe: networkNotProbed(),
      gateway: 'none',
      devices: 3,
      enrollment: undefined,
      pods: 0,
      gaps: gapsWith(why),
      reach: { pairs: 0, added: 0, removed: 0, modelDigest: '' },
      now: '2026-11-26T00:00:00Z',
    },
  });

describe('a segment that the text of the broker leaves out', () => {
  it('is a gap with what to do about it, has no rules there, and is not enforced', () => {
    const status = statusWith(excluded);
    expect(status.gaps).toMatchObject([{ surface: 'broker', reason: 'RuleBudgetSpent', mitigation: excluded.message }]);
    expect(status.counts?.brokerRules).toBe(0);
    for (const type of ['Enforced', 'Ready'])
      expect(status.conditions?.find((condition) => condition.type === type)).toMatchObject({ status: 'False', reason: 'RuleBudgetSpent' });
  });

  it('otherwise there is no such gap, and its rights are counted', () => {
    expect(statusWith(undefined).gaps).toBeUndefined();
    expect(statusWith(undefined).counts?.brokerRules).toBe(1);
  });

  it('its status remembers it until the broker was looked at again', () => {
    expect(exclusionSaid(gapsWith(excluded))).toEqual(excluded);
    expect([exclusionSaid(gapsWith(undefined)), exclusionSaid(undefined)]).toEqual([undefined, undefined]);
  });
});
