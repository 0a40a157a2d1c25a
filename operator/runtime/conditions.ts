// metav1.Condition lists: pure functions, no clock.
import type { Condition } from '../api/meta.ts';

/** A new list with `next` in it. `lastTransitionTime` is `nowIso` only when the status flips or the condition is new; the order is by type, so that equal lists are equal text. */
export function setCondition(list: readonly Condition[], next: Omit<Condition, 'lastTransitionTime'>, nowIso: string): Condition[] {
  const before = findCondition(list, next.type);
  const lastTransitionTime = before !== undefined && before.status === next.status ? before.lastTransitionTime : nowIso;
  return [...list.filter((condition) => condition.type !== next.type), { ...next, lastTransitionTime }].sort(byType);
}

export function findCondition(list: readonly Condition[] | undefined, type: string): Condition | undefined {
  return list?.find((condition) => condition.type === type);
}

export const isTrue = (list: readonly Condition[] | undefined, type: string): boolean => findCondition(list, type)?.status === 'True';

export function removeCondition(list: readonly Condition[], type: string): Condition[] {
  return list.filter((condition) => condition.type !== type);
}

const byType = (a: Condition, b: Condition): number => (a.type < b.type ? -1 : a.type > b.type ? 1 : 0);
