// May a gateway be given this JSON Schema of a payload? Whoever writes policies writes it, and each message of the segment runs through it. Pure.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { schemaProblem } from './schema-bounds.ts';

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';
const MOST_BYTES = 32_768;

const meta = new Ajv2020({ strict: false, logger: false });

/** In words and with the cure. */
export function payloadSchemaProblem(schema: unknown): string | undefined {
  const unbounded = schemaProblem(schema);
  if (unbounded !== undefined) return unbounded;
  const bytes = Buffer.byteLength(JSON.stringify(schema));
  if (bytes > MOST_BYTES) return `it has ${bytes} bytes, and ${MOST_BYTES} are the most: leave out descriptions, or split it by topic`;
  const { $schema = DRAFT } = schema as { $schema?: unknown };
  if ($schema !== DRAFT) return `its $schema is another draft: write ${DRAFT}, or leave it out`;
  if (meta.validateSchema(schema as object) === true) return undefined;
  const at = meta.errors?.[0]?.instancePath ?? '';
  return `it is no JSON Schema (draft 2020-12)${at === '' ? '' : `: see ${at}`}`;
}
