// metav1.LabelSelector: read strictly, matched as the API server does (labels.Selector of k8s.io/apimachinery).

type Requirement = { key: string; operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'; values: ReadonlySet<string> };
/** All of them must hold; none = everything matches. */
export type LabelSelector = readonly Requirement[];
export type Labels = ReadonlyMap<string, string>;

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

/** The selector, or in words what is wrong with it. */
export function readSelector(value: unknown): LabelSelector | string {
  if (!isObject(value)) return 'a selector is not an object';
  const unknown = Object.keys(value).find((name) => name !== 'matchLabels' && name !== 'matchExpressions');
  if (unknown !== undefined) return `a selector has the unknown field ${JSON.stringify(unknown.slice(0, 60))}`;
  const { matchLabels = {}, matchExpressions = [] } = value;
  if (matchLabels !== null && !isObject(matchLabels)) return 'matchLabels is not an object';
  if (matchExpressions !== null && !Array.isArray(matchExpressions)) return 'matchExpressions is not a list';
  const selector: Requirement[] = [];
  for (const [key, wanted] of Object.entries(matchLabels ?? {})) {
    if (typeof wanted !== 'string') return `matchLabels: the value of ${JSON.stringify(key.slice(0, 60))} is not a string`;
    selector.push({ key, operator: 'In', values: new Set([wanted]) });
  }
  for (const expression of matchExpressions ?? []) {
    const requirement = readExpression(expression);
    if (typeof requirement === 'string') return requirement;
    selector.push(requirement);
  }
  return selector;
}

function readExpression(value: unknown): Requirement | string {
  if (!isObject(value) || typeof value.key !== 'string' || typeof value.operator !== 'string')
    return 'an entry of matchExpressions has no key or no operator';
  const { key, operator, values = [] } = value;
  if (!OPERATORS.includes(operator)) return `matchExpressions: ${JSON.stringify(operator.slice(0, 20))} is no operator`;
  if (values !== null && (!Array.isArray(values) || !values.every((one) => typeof one === 'string')))
    return 'matchExpressions: values is not a list of strings';
  const listed = new Set<string>(values ?? []);
  if ((operator === 'In' || operator === 'NotIn') !== listed.size > 0)
    return `matchExpressions: ${operator} ${listed.size > 0 ? 'takes no values' : 'needs values'}`;
  return { key, operator: operator as Requirement['operator'], values: listed };
}

export function matches(selector: LabelSelector, labels: Labels): boolean {
  return selector.every(({ key, operator, values }) => {
    const value = labels.get(key);
    switch (operator) {
      case 'In':
        return value !== undefined && values.has(value);
      case 'NotIn':
        return value === undefined || !values.has(value);
      case 'Exists':
        return value !== undefined;
      default:
        return value === undefined;
    }
  });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
