// A schema of ours as a file of JSON Schema (draft 2020-12) that others can use: without what only an API server or we understand.
type Node = { [keyword: string]: unknown };

export function plainSchema(id: string, schema: object): string {
  const file = { $schema: 'https://json-schema.org/draft/2020-12/schema', $id: id, ...(plain(schema) as Node) };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** Objects are closed: what a statement does not name is refused. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value)
    .filter(([keyword]) => !keyword.startsWith('x-'))
    .map(([keyword, child]) => [keyword, plain(child)] as const);
  const node = Object.fromEntries(kept);
  return node.type === 'object' && node.properties !== undefined ? { ...node, additionalProperties: false } : node;
}
