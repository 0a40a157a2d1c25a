// What was tried at the broker, and what a SegmentPolicy says of it.
import { describe, expect, it } from 'vitest';
import type { SegmentPolicyStatus } from '../api/segment-policy.ts';
import { notProbed, type Standing } from '../probe/probe.ts';
import { buildModel } from './model.ts';
import { summarise } from './summary.ts';
import { NOW, policyOf } from './testing/fleet.ts';

const PASSED: Standing = { state: 'passed', reason: 'Probed', message: 'tried' };
const FAILED: Standing = { state: 'failed', reason: 'ProbeFailed', message: 'HR-PRB-001 ProbeOpen: # is open' };
const PENDING: Standing = { state: 'pending' };
const STALE: Standing = { state: 'unknown', reason: 'ProbeStale', message: 'too long ago' };

type Given = { pods?: boolean; probe: Standing; before?: SegmentPolicyStatus | undefined; generation?: number; refused?: boolean };

function statusOf({ pods = false, probe, before, generation = 1, refused = false }: Given): SegmentPolicyStatus {
  const workloads = pods ? { workloads: [{ podSelector: { matchLabels: { app: 'a' } } }] } : {};
  const policy = { ...policyOf('sensors', 'berlin', { ...workloads, trust: 2 }), generation };
  const verdict = buildModel({ policies: [policy], maxTrust: () => 3, pods: () => [], now: NOW }).verdicts.get('berlin/sensors');
  if (verdict === undefined) throw new Error('no verdict');
  return summarise({
    ...{ generation, spec: policy.spec, status: before, verdict, compiled: verdict, probe, excluded: undefined },
    network: { policies: 1, ...(refused ? { refused: { code: 'HR-SEG-020', path: '', found: 'x' } as const } : {}) },
    ...{ devices: 0, enrollment: undefined, pods: 0, gaps: [], reach: { pairs: 0, added: 0, removed: 0, modelDigest: '' } },
    now: `2026-11-26T00:00:0${generation}Z`,
  });
}
const said = (status: SegmentPolicyStatus, type = 'Enforced'): string => {
  const found = status.conditions?.find((condition) => condition.type === type);
  return `${found?.status} ${found?.reason}`;
};

describe('Enforced', () => {
  it.each<[string, Given, string, string]>([
    ['nobody said how to reach the broker', { probe: notProbed() }, 'Unknown NotProbed', 'True Ready'],
    ['it was tried, and there are no pods', { probe: PASSED }, 'True Probed', 'True Ready'],
    [
      'it was tried at the broker, and the network of its pods was not',
      { probe: PASSED, pods: true },
      'Unknown NetworkNotProbed',
      'True Ready',
    ],
    ['something is open', { probe: FAILED }, 'False ProbeFailed', 'False ProbeFailed'],
    ['something is open, whatever is known of the network', { probe: FAILED, pods: true }, 'False ProbeFailed', 'False ProbeFailed'],
    ['the last probe is too old', { probe: STALE }, 'Unknown ProbeStale', 'True Ready'],
    ['it was not tried yet', { probe: PENDING }, 'Unknown NotProbed', 'True Ready'],
    ['after a restart what was found before holds', { probe: PENDING, before: statusOf({ probe: PASSED }) }, 'True Probed', 'True Ready'],
    ['also when it was open', { probe: PENDING, before: statusOf({ probe: FAILED }) }, 'False ProbeFailed', 'False ProbeFailed'],
    ['but not for another text', { probe: PENDING, before: statusOf({ probe: PASSED }), generation: 2 }, 'Unknown NotProbed', 'True Ready'],
    ['nor what was said for another reason', { probe: PENDING, before: statusOf({ probe: STALE }) }, 'Unknown NotProbed', 'True Ready'],
  ])('%s', (_what, given, enforced, ready) => {
    const status = statusOf(given);
    expect([said(status), said(status, 'Ready')]).toEqual([enforced, ready]);
  });

  it('what was tried of the broker is said also where the network was not', () => {
    const found = statusOf({ probe: PASSED, pods: true }).conditions?.find(({ type }) => type === 'Enforced');
    expect(found?.message).toMatch(/^network: 1 NetworkPolicies .* Cure: .* Broker: tried$/);
  });

  it('a probe that finds the same changes nothing in the status', () => {
    const first = statusOf({ probe: PASSED });
    expect(statusOf({ probe: PASSED, before: first })).toEqual(first);
    expect(statusOf({ probe: PENDING, before: first })).toEqual(first);
  });
});
