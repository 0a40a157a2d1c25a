// What the Rotates on one Device come to, and how far one of them has come. Pure.
import type { DeviceStatus } from '../api/device.ts';
import type { InterventionView } from './view.ts';

/**
 * `at`: creation of the newest, as the API server says it; `compromised`: of the newest that says so, with who asked. Times of objects are whole seconds, and a
 * certificate may come after one Rotate and before another of the same second: of those that give keys up each makes the time a millisecond later.
 */
export type Rotation = { at: string; compromised?: { at: string; by: string } };

export function rotationOf(rotates: Iterable<InterventionView>): Rotation | undefined {
  const sorted = [...rotates].sort(oldestFirst);
  const newest = sorted.at(-1);
  if (newest === undefined) return undefined;
  const lost = sorted.findLast((view) => view.compromised);
  if (lost === undefined) return { at: newest.createdAt };
  const alike = sorted.filter((view) => view.compromised && view.createdAt === lost.createdAt).length;
  const at = new Date(Date.parse(lost.createdAt) + alike).toISOString();
  const by = `Intervention ${lost.name} of ${lost.requestedBy}`;
  return { at: Date.parse(at) > Date.parse(newest.createdAt) ? at : newest.createdAt, compromised: { at, by } };
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
