// What a Device hears of its segment. Pure. The words do not change with the generation of the policy: an edit must not rewrite the status of every device.
import { segmentName } from '../api/names.ts';
import { type Key, refOf } from '../kube/object.ts';
import { explain, reasonOf } from './errors.ts';
import type { Verdict } from './model.ts';

export type Membership = { status: 'True' | 'False' | 'Unknown'; reason: string; message: string };

export function membershipOf(segment: Key, verdict: Verdict | undefined | 'unknown'): Membership {
  const { name, namespace = '' } = refOf(segment);
  if (verdict === 'unknown')
    return { status: 'Unknown', reason: 'CachesNotSynced', message: 'the SegmentPolicies were not read from the API server yet' };
  if (verdict === undefined)
    return {
      status: 'False',
      reason: 'SegmentNotFound',
      message: `there is no SegmentPolicy ${name} in namespace ${namespace}; the device keeps its ota/ and recovery/ topics only. Cure: create it, or correct spec.segment`,
    };
  const [first] = verdict.refused;
  if (verdict.segment === undefined && verdict.audited)
    return {
      status: 'False',
      reason: 'SegmentAudited',
      message: `SegmentPolicy ${name} has mode: Audit and nothing of it is in force; the device keeps its ota/ and recovery/ topics only. Cure: set mode: Enforce`,
    };
  if (verdict.segment === undefined)
    return {
      status: 'False',
      reason: first === undefined ? 'SegmentRefused' : reasonOf(first.code),
      message: `SegmentPolicy ${name} is not accepted and nothing of it is in force: ${first === undefined ? '' : explain(first)}`,
    };
  return { status: 'True', reason: 'InSegment', message: `in segment ${segmentName(name, namespace)}` };
}
