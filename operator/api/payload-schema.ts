// May a gateway be given this JSON Schema of a payload? Whoever writes policies writes it, and each message of the segment runs through it. Pure.
import { Ajv2020 } from 'ajv/dist/2020.js';

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';
const MOST_BYTES = 32_768;
const MOST_LEVELS = 32;
/** They name schemas, or find them by the way that was gone: what a message is checked by has to stand in one place. */
const NAMING = ['$id', '$anchor', '$dynamicRef', '$dynamicAnchor', '$vocabulary'];

const meta = new Ajv2020({ strict: false, logger: false });

/** In words and with the cure, without a word of the schema. */
export function payloadSchemaProblem(schema: unknown): string | undefined {
  if (levelsOf(schema) > MOST_LEVELS) return `it has more than ${MOST_LEVELS} levels: split it by topic`;
  const bytes = Buffer.byteLength(JSON.stringify(schema));
  if (bytes > MOST_BYTES) return `it has ${bytes} bytes, and ${MOST_BYTES} are the most: leave out descriptions, or split it by topic`;
  const { $schema = DRAFT } = schema as { $schema?: unknown };
  if ($schema !== DRAFT) return `its $schema is another draft: write ${DRAFT}, or leave it out`;
  if (meta.validateSchema(schema as object) !== true) {
    const at = meta.errors?.[0]?.instancePath ?? '';
    return `it is no JSON Schema (draft 2020-12)${at === '' ? '' : `: see ${at}`}`;
  }
  return referenceProblem(schema, schema);
}

function referenceProblem(node: unknown, root: unknown): string | undefined {
  if (typeof node !== 'object' || node === null) return undefined;
  for (const [name, value] of Object.entries(node)) {
    if (typeof value === 'string' && NAMING.includes(name)) return `it has ${name}: name parts by $defs and #/$defs/<name>`;
    if (name === '$ref' && typeof value === 'string' && !isThere(value, root))
      return 'a $ref of it leads to nothing that stands in it: write #/$defs/<name>';
    const found = referenceProblem(value, root);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** RFC 6901, in a fragment. */
function isThere(reference: string, root: unknown): boolean {
  if (reference === '#') return true;
  if (!reference.startsWith('#/') || reference.includes('%')) return false;
  let node: unknown = root;
  for (const part of reference.slice(2).split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, name)) return false;
    node = (node as Record<string, unknown>)[name];
  }
  return typeof node === 'object' || typeof node === 'boolean';
}

/** Of objects and lists in one another, as many as count; the API server has read it, so it ends. */
function levelsOf(value: unknown, left = MOST_LEVELS + 1): number {
  if (typeof value !== 'object' || value === null || left === 0) return 0;
  return 1 + Math.max(0, ...Object.values(value).map((child) => levelsOf(child, left - 1)));
}
