// Pods in two segments at once. Pure.
import { type Labels, selects } from '../api/label-selector.ts';
import type { LabelSelector } from '../api/segment-policy.ts';
import type { Key } from '../kube/object.ts';

/** Segments of one namespace that have a pod in common, each with the others. */
export function sharedPods(
  pods: Iterable<{ labels: Labels }>,
  segments: readonly { key: Key; selectors: readonly LabelSelector[] }[],
): Map<Key, Key[]> {
  const shared = new Map<Key, Set<Key>>();
  if (segments.length < 2) return new Map();
  for (const pod of pods) {
    const homes = segments.filter(({ selectors }) => selectors.some((selector) => selects(selector, pod.labels)));
    if (homes.length < 2) continue;
    for (const { key } of homes) {
      const others = shared.get(key) ?? new Set();
      for (const other of homes) if (other.key !== key) others.add(other.key);
      shared.set(key, others);
    }
  }
  return new Map([...shared].map(([key, others]) => [key, [...others].sort()]));
}
