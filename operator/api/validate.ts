// The schemas as ajv validators, for manifests that did not come through an API server. CEL rules across fields are the API server's alone.
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { TSchema } from 'typebox';
import type { KindDefinition } from './kind.ts';

const ajv = new Ajv({
  allErrors: true,
  verbose: true,
  strict: false,
  useDefaults: true,
  formats: { 'date-time': isTime, int32: true, int64: true },
});
const compiled = new Map<TSchema, ValidateFunction>();

/** What is wrong with a spec, one sentence each; none when it fits. Fills in defaults. A field that the kind does not have is wrong too: kubectl refuses it. */
export function specProblems(kind: KindDefinition, spec: unknown): string[] {
  return schemaProblems(kind.spec, spec, 'spec');
}

/** The same for any schema; `name` is what the sentences call the whole. */
export function schemaProblems(schema: TSchema, value: unknown, name: string): string[] {
  const validate = compiled.get(schema) ?? ajv.compile(closed(schema as Schema));
  compiled.set(schema, validate);
  if (validate(value)) return [];
  return (validate.errors ?? []).map((error) => sentence(error, name));
}

function sentence({ instancePath, keyword, params, parentSchema, message }: ErrorObject, name: string): string {
  const path = `${name}${instancePath.replaceAll(/\/(\d+)/g, '[$1]').replaceAll('/', '.')}`;
  if (keyword === 'additionalProperties')
    return `${path}.${(params as { additionalProperty: string }).additionalProperty} is no field of this kind`;
  const cure = keyword === 'pattern' ? (parentSchema?.['x-cure'] as string | undefined) : undefined;
  return `${path}: ${cure ?? message ?? 'is wrong'}`;
}

type Schema = { properties?: Record<string, Schema>; items?: Schema; additionalProperties?: Schema; [keyword: string]: unknown };

/** Only the properties that are named: the schemas themselves say nothing of others, as an API server wants it. */
function closed(schema: Schema): Schema {
  const { properties, items, additionalProperties } = schema;
  return {
    ...schema,
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(properties).map(([name, child]) => [name, closed(child)])),
          additionalProperties: false,
        }),
    ...(items === undefined ? {} : { items: closed(items) }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: closed(additionalProperties) }),
  } as Schema;
}

/** RFC 3339 with a zone, as the API server's `date-time`. */
function isTime(text: string): boolean {
  const day = /^(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.exec(text)?.[1];
  if (day === undefined) return false;
  const at = Date.parse(`${day}T00:00:00Z`);
  // 30 February would be taken for the second day of March.
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(day);
}
