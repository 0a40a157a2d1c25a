// From a kind to its CustomResourceDefinition. Pure; scripts/generate.ts writes the result.
import type { TSchema } from 'typebox';
import type { KindDefinition } from './kind.ts';
import { NOT_SUPPORTED_YET, notSupportedRule } from './not-supported-yet.ts';
import type { Rule } from './schema.ts';

/** A node of a structural schema (apiextensions/v1 JSONSchemaProps), as far as we use it. */
export type Structural = {
  description?: string;
  type: string;
  required?: string[];
  properties?: Record<string, Structural>;
  items?: Structural;
  additionalProperties?: Structural;
  [keyword: string]: unknown;
};

const RULES = 'x-kubernetes-validations';
/** What an API server knows of the keywords we use, in the order they are printed. */
const KEYWORDS = [
  'default',
  'enum',
  'format',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'maxProperties',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-preserve-unknown-fields',
] as const;

/** The CustomResourceDefinition (apiextensions.k8s.io/v1) of a kind. */
export function crdOf(kind: KindDefinition): object {
  const { resource } = kind;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${resource.plural}.${resource.group}` },
    spec: {
      group: resource.group,
      names: {
        kind: resource.kind,
        listKind: `${resource.kind}List`,
        plural: resource.plural,
        singular: kind.singular,
        ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
        categories: ['hedgerow'],
      },
      scope: 'Namespaced',
      versions: [
        {
          name: resource.version,
          served: true,
          storage: true,
          additionalPrinterColumns: kind.columns.map(({ wide, ...column }) => ({ ...column, ...(wide ? { priority: 1 } : {}) })),
          ...(kind.selectable === undefined ? {} : { selectableFields: kind.selectable.map((jsonPath) => ({ jsonPath })) }),
          subresources: { status: {} },
          schema: { openAPIV3Schema: objectSchema(kind) },
        },
      ],
    },
  };
}

/** The schema of the whole object, with the rules of not-supported-yet.ts in their places. */
export function objectSchema(kind: KindDefinition): Structural {
  const schema: Structural = {
    description: kind.description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { description: 'Version of the schema that the object is written in.', type: 'string' },
      kind: { description: 'Kind of the object.', type: 'string' },
      metadata: { type: 'object' },
      spec: structural(kind.spec),
      status: structural(kind.status),
    },
    ...(kind.rules === undefined ? {} : { [RULES]: kind.rules }),
  };
  for (const entry of NOT_SUPPORTED_YET) {
    if (entry.kind !== kind.resource.kind) continue;
    const node = nodeAt(schema, entry.at);
    node[RULES] = [...((node[RULES] as Rule[] | undefined) ?? []), notSupportedRule(entry)];
  }
  return schema;
}

/**
 * TypeBox's JSON schema as an API server takes it: defaulted properties are not required, patterns are CEL rules, `additionalProperties` only in maps.
 * Inside a list a default stays out, and whoever reads the object fills it in: Argo CD compares lists as a whole (a JSON merge patch, RFC 7396), so what the
 * API server adds to an item would look like somebody's change of it, for ever.
 */
export function structural(schema: TSchema, inList = false): Structural {
  const node = schema as Structural & { pattern?: string; 'x-cure'?: string };
  const properties = node.properties;
  const required = (node.required ?? []).filter((name) => properties?.[name]?.default === undefined);
  const rules = [...patternRule(node), ...((node[RULES] as Rule[] | undefined) ?? [])];
  const kept = KEYWORDS.filter((keyword) => node[keyword] !== undefined && !(inList && keyword === 'default'));
  const rest = Object.fromEntries(kept.map((keyword) => [keyword, node[keyword]]));
  return {
    ...(node.description === undefined ? {} : { description: node.description }),
    type: node.type,
    ...rest,
    ...(required.length === 0 ? {} : { required }),
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(Object.entries(properties).map(([name, child]) => [name, structural(child, inList)])) }),
    ...(node.items === undefined ? {} : { items: structural(node.items, true) }),
    ...(node.type === 'object' && properties === undefined && node.additionalProperties !== undefined
      ? { additionalProperties: structural(node.additionalProperties, inList) }
      : {}),
    ...(rules.length === 0 ? {} : { [RULES]: rules }),
  };
}

/** A string literal of CEL. */
export function celString(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function patternRule(node: { pattern?: string; 'x-cure'?: string }): Rule[] {
  if (node.pattern === undefined || node['x-cure'] === undefined) return [];
  return [{ rule: `self.matches(${celString(node.pattern)})`, message: node['x-cure'] }];
}

function nodeAt(schema: Structural, at: string): Structural {
  let node: Structural | undefined = schema;
  for (const part of at === '' ? [] : at.split('.')) {
    node = node?.properties?.[part.replace('[]', '')];
    if (part.endsWith('[]')) node = node?.items;
  }
  if (node === undefined) throw new Error(`not-supported-yet.ts names ${at}, which the schema does not have`);
  return node;
}
