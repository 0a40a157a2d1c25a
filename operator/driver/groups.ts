// The groups of which only so many devices may be down at one time: by a label, or the site as a whole.
import type { Budget, OfferRow } from '../firmware/firmware.ts';
import type { Plan } from './plan.ts';
import type { DeviceFacts, Row } from './row.ts';
import type { Sets } from './sets.ts';

/** A group is within its site: two sites with the same label have two groups. Sizes are of all Devices there, whether or not they are in the release. */
export function createGroups({ policy }: Plan) {
  const known = new Map<string, readonly (string | undefined)[]>();
  const sizes = policy.disruption.map(() => new Map<string, number>());
  const budgets: Budget[] = policy.disruption.map(({ maxUnavailable }, at) => ({ maxUnavailable, sizes: sizes[at] ?? new Map() }));
  const valuesOf = ({ candidate }: DeviceFacts): (string | undefined)[] =>
    policy.disruption.map(({ groupBy }) => (groupBy === 'site' ? candidate.namespace : candidate.labels[groupBy]));

  function count(values: readonly (string | undefined)[], by: 1 | -1): void {
    for (const [at, value] of values.entries()) if (value !== undefined) sizes[at]?.set(value, (sizes[at].get(value) ?? 0) + by);
  }
  function forget(uid: string): void {
    count(known.get(uid) ?? [], -1);
    known.delete(uid);
  }
  const row = ({ uid }: Row, lane: OfferRow['lane']): OfferRow => ({ uid, lane, groups: known.get(uid) ?? [] });
  return {
    budgets: budgets as readonly Budget[],
    set(facts: DeviceFacts): void {
      if (budgets.length === 0) return;
      const values = valuesOf(facts);
      forget(facts.candidate.uid);
      known.set(facts.candidate.uid, values);
      count(values, 1);
    },
    forget,
    row,
    /** Who is at work, and who was lost and has not been heard of since. */
    down(sets: Sets): OfferRow[] {
      if (budgets.length === 0) return [];
      const lost = [...sets.lost].filter(({ heard, end }) => heard === undefined || heard.at <= (end?.at ?? 0));
      return [...[...sets.busy].map((one) => row(one, 'Busy')), ...lost.map((one) => row(one, 'Down'))];
    },
  };
}

export type Groups = ReturnType<typeof createGroups>;
