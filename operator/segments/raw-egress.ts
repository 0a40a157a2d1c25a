// Raw data leave a site with a reason and until a time, and the right to publish them at the hub's broker goes with it. Pure.
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import type { Verdict } from './model.ts';

export type RawEgress = { open: boolean; endMs: number; justification: string };

export function rawEgressOf({ egress, rawEgress }: SegmentPolicySpec, nowMs: number): RawEgress | undefined {
  if (egress !== 'Raw' || rawEgress === undefined) return undefined;
  const endMs = Date.parse(rawEgress.expires);
  return { open: nowMs < endMs, endMs, justification: rawEgress.justification };
}

const isRaw = ({ topic }: { topic: string }): boolean => topic.startsWith('raw/');

/** Whoever may publish raw/<namespace>/ may do so only while a policy of the namespace says Raw. */
export function withholdRaw(verdicts: ReadonlyMap<string, Verdict>): void {
  const open = new Set([...verdicts.values()].flatMap(({ segment }) => (segment?.raw?.open === true ? [segment.namespace] : [])));
  for (const { segment, partly } of verdicts.values()) {
    if (segment === undefined || open.has(segment.namespace) || !segment.rights.publish.some(isRaw)) continue;
    const held = segment.rights.publish.filter(isRaw).map(({ topic }) => topic);
    segment.rights.publish = segment.rights.publish.filter((right) => !isRaw(right));
    partly.push(`publish ${held.join(', ')} waits for a SegmentPolicy of this namespace with egress: Raw`);
  }
}
