// The generated parts of docs/reference/<kind>.md: fields as tables, and what is refused. The prose around them is written by hand.
import { objectSchema, type Structural } from '../../operator/api/crd.ts';
import type { KindDefinition } from '../../operator/api/kind.ts';
import { NOT_SUPPORTED_YET } from '../../operator/api/not-supported-yet.ts';
import type { Rule } from '../../operator/api/schema.ts';
import { inCell, inMarkdown } from './markdown.ts';

/** Parts by marker name: `spec`, `status`, `refused`. */
export function kindParts(kind: KindDefinition): Map<string, string> {
  const { properties = {} } = objectSchema(kind);
  const table = (part: 'spec' | 'status'): string => {
    const schema = properties[part];
    if (schema === undefined) throw new Error(`${kind.resource.kind} has no ${part}`);
    const rows = fieldsOf(schema, part, kind.resource.kind).map(({ path, type, meaning }) => `| \`${path}\` | ${type} | ${meaning} |`);
    return ['| Field | Type | Meaning |', '|---|---|---|', ...rows].join('\n');
  };
  return new Map([
    ['spec', table('spec')],
    ['status', table('status')],
    ['refused', refusals(kind)],
  ]);
}

type Field = { path: string; type: string; meaning: string };

function fieldsOf(schema: Structural, path: string, kind: string): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
    const at = `${path}.${name}`;
    const required = schema.required?.includes(name) ? ', required' : '';
    const notes = notSupported(kind, at);
    const field = { path: at, type: typeOf(child) + required, meaning: [inCell(child.description ?? ''), ...notes].join(' ') };
    if (isSelector(child) || name === 'conditions') return [field];
    if (child.items !== undefined) return [field, ...fieldsOf(child.items, `${at}[]`, kind)];
    if (child.additionalProperties !== undefined) return [field, ...fieldsOf(child.additionalProperties, `${at}.*`, kind)];
    return [field, ...fieldsOf(child, at, kind)];
  });
}

function typeOf(schema: Structural): string {
  const { type, items, minimum, maximum } = schema;
  if (schema.enum !== undefined) return `one of ${(schema.enum as unknown[]).map((value) => `\`${value}\``).join(' ')}`;
  if (isSelector(schema)) return 'label selector';
  if (type === 'array') return items === undefined || items.properties !== undefined ? 'list' : `list of ${typeOf(items)}`;
  if (type === 'object') return schema.additionalProperties === undefined ? 'object' : 'map';
  if (schema.format === 'date-time') return 'time';
  if (rulesOf(schema).some(({ message }) => message.startsWith('HR-API-007'))) return 'duration';
  if (type !== 'integer') return type;
  return maximum === undefined ? 'integer' : `integer, ${minimum ?? 0} to ${maximum}`;
}

const isSelector = ({ properties }: Structural): boolean => properties?.matchLabels !== undefined;

function notSupported(kind: string, path: string): string[] {
  return NOT_SUPPORTED_YET.filter(
    (row) => row.kind === kind && (row.path === path || /^(: | other)/.test(row.path.slice(path.length))) && row.path.startsWith(path),
  ).map((row) =>
    row.path === path ? '**Not supported yet.**' : `**${row.path.slice(path.length).replace(/^: /, '').trim()}: not supported yet.**`,
  );
}

/** Every message of the kind's rules, each once, with the first place where it is given. What is not supported yet stands in the tables of fields. */
function refusals(kind: KindDefinition): string {
  const found = new Map<string, string>();
  const walk = (schema: Structural, path: string): void => {
    for (const { message, fieldPath = '' } of rulesOf(schema)) {
      const text = message.replace(/: topic of spec\.topics\.\w+: /, ': ');
      if (!text.startsWith('HR-API-001') && !found.has(text)) found.set(text, `${path}${fieldPath}`);
    }
    for (const [name, child] of Object.entries(schema.properties ?? {})) walk(child, path === '' ? name : `${path}.${name}`);
    if (schema.items !== undefined) walk(schema.items, `${path}[]`);
    if (schema.additionalProperties !== undefined) walk(schema.additionalProperties, `${path}.*`);
  };
  walk(objectSchema(kind), '');
  const lines = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([message, path]) => `- \`${path}\`: ${inMarkdown(message)}`);
  return lines.length === 0 ? 'No rules of its own.' : lines.join('\n');
}

const rulesOf = (schema: Structural): Rule[] => (schema['x-kubernetes-validations'] as Rule[] | undefined) ?? [];
