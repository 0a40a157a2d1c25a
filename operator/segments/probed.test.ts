// What was tried at the broker, and what a SegmentPolicy says of it.
import { describe, expect, it } from 'vitest';
import type { SegmentPolicyStatus } from '../api/segment-policy.ts';
import { networkNotProbed, notProbed, type Standing } from '../probe/probe.ts';
import { type Gap, gapsOf, isNetworkTried } from './gaps.ts';
import { buildModel } from './model.ts';
import { summarise } from './summary.ts';
import { NOW, policyOf } from './testing/fleet.ts';

const PASSED: Standing = { state: 'passed', reason: 'Probed', message: 'tried' };
const FAILED: Standing = { state: 'failed', reason: 'ProbeFailed', message: 'HR-PRB-001 ProbeOpen: # is open' };
const PENDING: Standing = { state: 'pending' };
const NETWORK: Standing = { state: 'passed', reason: 'Probed', message: 'tried in the network' };
const NO_NODES: Standing = { state: 'unknown', reason: 'NoNodes', message: 'HR-PRB-021 NoNodes: none. Cure: see' };
const BOTH = (): SegmentPolicyStatus => statusOf({ probe: PASSED, pods: true, network: NETWORK });
const STALE: Standing = { state: 'unknown', reason: 'ProbeStale', message: 'too long ago' };

type Given = {
  pods?: boolean;
  probe: Standing;
  network?: Standing;
  before?: SegmentPolicyStatus | undefined;
  generation?: number;
  refused?: boolean;
};

function statusOf({
  pods = false,
  probe,
  network = networkNotProbed(),
  before,
  generation = 1,
  refused = false,
}: Given): SegmentPolicyStatus {
  const workloads = pods ? { workloads: [{ podSelector: { matchLabels: { app: 'a' } } }] } : {};
  const policy = { ...policyOf('sensors', 'berlin', { ...workloads, trust: 2 }), generation };
  const verdict = buildModel({ policies: [policy], maxTrust: () => 3, pods: () => [], now: NOW }).verdicts.get('berlin/sensors');
  if (verdict === undefined) throw new Error('no verdict');
  return summarise({
    ...{
      generation,
      spec: policy.spec,
      status: before,
      verdict,
      compiled: verdict,
      probe,
      networkProbe: network,
      excluded: undefined,
      gateway: 'none',
    },
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
    ['both were tried', { probe: PASSED, pods: true, network: NETWORK }, 'True Probed', 'True Ready'],
    [
      'the network was tried and the broker was not',
      { probe: notProbed(), pods: true, network: NETWORK },
      'Unknown NotProbed',
      'True Ready',
    ],
    ['there are no nodes', { probe: PASSED, pods: true, network: NO_NODES }, 'Unknown NoNodes', 'True Ready'],
    ['the network is open', { probe: PASSED, pods: true, network: FAILED }, 'False ProbeFailed', 'False ProbeFailed'],
    [
      'the network is open, and nothing is known of the broker yet',
      { probe: PENDING, pods: true, network: FAILED },
      'False ProbeFailed',
      'False ProbeFailed',
    ],
    ['the network is open, and it has no pods', { probe: PASSED, network: FAILED }, 'True Probed', 'True Ready'],
    ['the network was not tried yet', { probe: PASSED, pods: true, network: PENDING }, 'Unknown NotProbed', 'True Ready'],
    [
      'the network was not tried yet by this process',
      { probe: PASSED, pods: true, network: PENDING, before: BOTH() },
      'True Probed',
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
    expect(found?.message).toMatch(/^tried · HR-PRB-020 NetworkNotProbed: .* Cure: /);
  });

  it('the gap NotProbed goes when the network was tried, and after a restart stays as the status has it', () => {
    const [gap] = gapsWith(false).filter(({ reason }) => reason === 'NotProbed');
    expect([gap?.surface, gapsWith(true).some(({ reason }) => reason === 'NotProbed')]).toEqual(['network', false]);
    expect([isNetworkTried(NETWORK, undefined), isNetworkTried(NO_NODES, gapsWith(true)), isNetworkTried(FAILED, gapsWith(true))]).toEqual([
      true,
      false,
      false,
    ]);
    expect([isNetworkTried(PENDING, gapsWith(true)), isNetworkTried(PENDING, gapsWith(false)), isNetworkTried(PENDING, undefined)]).toEqual(
      [true, false, false],
    );
  });

  it('a probe that finds the same changes nothing in the status', () => {
    const first = statusOf({ probe: PASSED });
    expect(statusOf({ probe: PASSED, before: first })).toEqual(first);
    expect(statusOf({ probe: PENDING, before: first })).toEqual(first);
  });
});

function gapsWith(networkTried: boolean): Gap[] {
  const policy = policyOf('sensors', 'berlin', { trust: 2, workloads: [{ podSelector: { matchLabels: { app: 'a' } } }] });
  const model = buildModel({ policies: [policy], maxTrust: () => 3, pods: () => [], now: NOW });
  const segment = model.verdicts.get('berlin/sensors')?.segment;
  if (segment === undefined) throw new Error('not in force');
  return gapsOf({ segment, model, broker: { port: 8883, peers: [] }, excluded: undefined, widening: [], onHostNetwork: [], networkTried });
}
