// Fields that several kinds share.
import { Type } from 'typebox';
import { LABEL_PATTERN, MAX_LABEL } from './names.ts';
import { choice, count, list, map, object, rule, text, time } from './schema.ts';

/** `metav1.Condition` as a list that merges by type, so that several writers could own different conditions. */
export const conditions = list(
  'What is true of this object now. `kubectl wait --for=condition=Ready` waits for the summary; `Reconciling` and `Stalled` follow kstatus.',
  object('One condition.', {
    type: text('Name of the condition, for example Ready.', { max: 316, min: 1 }),
    status: choice(['True', 'False', 'Unknown'], 'True, False or Unknown.'),
    reason: text('One constant word for why, equal to the reason of the Event about it.', { max: 1024, min: 1 }),
    message: text('The same for people, with the cure where something is wrong.', { max: 32768 }),
    lastTransitionTime: time('When status last flipped (RFC 3339). It does not move when only the message changes.'),
    observedGeneration: Type.Optional(count('metadata.generation of the object that this condition is about.')),
  }),
  { max: 64, keys: ['type'] },
);

export const observedGeneration = count('metadata.generation of the object that this status is about.');

export function label(description: string) {
  return text(description, {
    max: MAX_LABEL,
    min: 1,
    pattern: LABEL_PATTERN,
    code: 'HR-API-002',
    cure: 'names are RFC 1123 labels of at most 62 characters: a-z, 0-9 and -, starting and ending with a letter or digit; dots separate name and namespace in certificates and are not allowed here',
  });
}

/** A name of somebody else's object (Secret, ConfigMap, issuer): RFC 1123 subdomain. */
export function objectName(description: string) {
  return text(description, {
    max: 253,
    min: 1,
    pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
    code: 'HR-API-015',
    cure: 'this is the name of a Kubernetes object: a-z, 0-9, - and dots, starting and ending with a letter or digit',
  });
}

/** One history of what was done and when. */
export function steps(description: string) {
  return list(
    description,
    object('One step.', {
      step: text('Name of the step.', { max: 63, min: 1 }),
      at: time('When it was first seen done (RFC 3339). History, never a reason to skip a step.'),
    }),
    { max: 32, keys: ['step'] },
  );
}

const matchLabels = map('Labels that must all be there with exactly these values.', text('Value of the label.', { max: 63 }), { max: 16 });

const matchExpressions = list(
  'Requirements that must all hold.',
  object(
    'One requirement.',
    {
      key: text('Key of the label.', { max: 317, min: 1 }),
      operator: choice(['In', 'NotIn', 'Exists', 'DoesNotExist'], 'How key and values relate.'),
      values: Type.Optional(
        list('Values for In and NotIn; empty for Exists and DoesNotExist.', text('One value.', { max: 63 }), { max: 16 }),
      ),
    },
    {
      rules: [
        rule(
          'HR-API-015',
          "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
          'In and NotIn need values, Exists and DoesNotExist take none',
        ),
      ],
    },
  ),
  { max: 16 },
);

/** `metav1.LabelSelector`. */
export function labelSelector(description: string, rules: Parameters<typeof object>[2] = {}) {
  return object(
    description,
    { matchLabels: Type.Optional(matchLabels), matchExpressions: Type.Optional(matchExpressions) },
    { atomic: true, ...rules },
  );
}

/** CEL: a selector that names at least one label, so that it cannot mean "everything". */
export const SELECTS_SOMETHING =
  '(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && self.matchExpressions.size() > 0)';
