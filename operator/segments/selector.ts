// metav1.LabelSelector: one text for selectors that mean the same. Pure.
import { createHash } from 'node:crypto';
import type { LabelSelector } from '../api/segment-policy.ts';

export function selectsEverything(selector: LabelSelector): boolean {
  return Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;
}

/** The same selector with everything in one order, so that the order in a manifest makes no new objects. */
export function canonicalSelector(selector: LabelSelector): LabelSelector {
  const labels = Object.entries(selector.matchLabels ?? {}).sort(byText);
  const expressions = (selector.matchExpressions ?? [])
    .map(({ key, operator, values }) => ({
      key,
      operator,
      ...(values === undefined || values.length === 0 ? {} : { values: [...new Set(values)].sort() }),
    }))
    .sort((a, b) => byText([JSON.stringify(a)], [JSON.stringify(b)]));
  return {
    ...(labels.length === 0 ? {} : { matchLabels: Object.fromEntries(labels) }),
    ...(expressions.length === 0 ? {} : { matchExpressions: expressions }),
  };
}

/** Hex digits of a digest over any JSON value, whatever the order of its fields. */
export function digest(value: unknown, digits: number): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, digits);
}

export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields
    .sort(byText)
    .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`)
    .join(',')}}`;
}

const byText = (a: readonly unknown[], b: readonly unknown[]): number =>
  String(a[0]) < String(b[0]) ? -1 : String(a[0]) > String(b[0]) ? 1 : 0;
