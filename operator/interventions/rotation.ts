// What the Rotates on one Device come to, and how far one of them has come. Pure.
import type { DeviceStatus } from '../api/device.ts';
import type { InterventionView } from './view.ts';

/** `at`: creation of the newest, as the API server says it; `compromised`: of the newest that says so, with who asked. */
export type Rotation = { at: string; compromised?: { at: string; by: string } };

export function rotationOf(rotates: Iterable<InterventionView>): Rotation | undefined {
  const sorted = [...rotates].sort(oldestFirst);
  const newest = sorted.at(-1);
  if (newest === undefined) return undefined;
  const lost = sorted.findLast((view) => view.compromised);
  return {
    at: newest.createdAt,
    ...(lost === undefined ? {} : { compromised: { at: lost.createdAt, by: `Intervention ${lost.name} of ${lost.requestedBy}` } }),
  };
}

/**
 * What of this one the Device's status shows. A newer one includes it: whatever came after the newer came after this one, and keys that the newer gave up include those
 * of this one.
 */
export function stepsDone(view: InterventionView, shown: DeviceStatus['rotation']): { step: string; at: string }[] {
  const steps = shown?.steps ?? [];
  const covers = (at: string | undefined): boolean => at !== undefined && Date.parse(at) >= Date.parse(view.createdAt);
  return steps.filter(({ step }) => {
    if (step === 'Certificate') return covers(shown?.requestedAt);
    return view.compromised && covers(shown?.compromisedAt);
  });
}

function oldestFirst(a: InterventionView, b: InterventionView): number {
  const [first, second] = [Date.parse(a.createdAt), Date.parse(b.createdAt)];
  return first === second ? (a.name < b.name ? -1 : 1) : first - second;
}
