// metav1.LabelSelector: what it selects. Pure.
import type { LabelSelector } from './segment-policy.ts';

export type Labels = Readonly<Record<string, string>>;

/** All requirements hold (AND). An empty selector selects everything (apimachinery labels.Selector). */
export function selects(selector: LabelSelector, labels: Labels): boolean {
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every((requirement) => meets(requirement, labels[requirement.key]))
  );
}

type Requirement = NonNullable<LabelSelector['matchExpressions']>[number];

function meets({ operator, values }: Requirement, value: string | undefined): boolean {
  if (operator === 'Exists') return value !== undefined;
  if (operator === 'DoesNotExist') return value === undefined;
  const among = value !== undefined && (values ?? []).includes(value);
  // NotIn also selects what does not have the label at all (apimachinery).
  return operator === 'In' ? among : !among;
}
