import { describe, expect, it } from 'vitest';
import { celString, crdOf, objectSchema, type Structural } from './crd.ts';
import { ERRORS } from './errors.ts';
import { KINDS } from './kinds.ts';
import { NOT_SUPPORTED_YET } from './not-supported-yet.ts';
import { SEGMENT_POLICIES } from './resources.ts';
import type { Rule } from './schema.ts';
import { MAX_TOPIC_LENGTH } from './topic.ts';

type Node = { path: string; schema: Structural };

const nodes = KINDS.flatMap((kind) => nodesOf(objectSchema(kind), kind.resource.kind));
const ours = nodes.filter(({ path }) => !/^\w+(\.(metadata|apiVersion|kind))?$/.test(path));
const rules = nodes.flatMap(({ path, schema }) =>
  ((schema['x-kubernetes-validations'] as Rule[] | undefined) ?? []).map((rule) => ({ path, ...rule })),
);

describe('the schema of every kind', () => {
  it('is walked at all', () => expect(ours.length).toBeGreaterThan(300));

  it('describes every field in a sentence', () => {
    const bare = ours.filter(({ schema }) => !/^.{7,}$/s.test(schema.description ?? '') || !schema.description?.endsWith('.'));
    expect(bare.map(({ path }) => path)).toEqual([]);
  });

  it('limits every text, list and map, or the cost of its rules could not be estimated', () => {
    const endless = ours.filter(
      ({ schema }) =>
        (schema.type === 'string' && schema.maxLength === undefined && schema.enum === undefined) ||
        (schema.type === 'array' && schema.maxItems === undefined) ||
        (schema.additionalProperties !== undefined && schema.maxProperties === undefined),
    );
    expect(endless.map(({ path }) => path)).toEqual([]);
  });

  it('says how every list merges', () => {
    for (const { path, schema } of ours.filter(({ schema }) => schema.type === 'array')) {
      const merge = schema['x-kubernetes-list-type'];
      expect(['atomic', 'set', 'map'], path).toContain(merge);
      const keys = (schema['x-kubernetes-list-map-keys'] as string[] | undefined) ?? [];
      expect(keys.length > 0, path).toBe(merge === 'map');
      // A key that may be missing would make two entries one.
      for (const key of keys) {
        const required = schema.items?.required?.includes(key) || schema.items?.properties?.[key]?.default !== undefined;
        expect(required, `${path}[].${key}`).toBe(true);
      }
    }
  });

  it('tells its defaults in the description', () => {
    const silent = ours.filter(
      ({ path, schema }) =>
        ['string', 'number', 'boolean'].includes(typeof schema.default) &&
        !schema.description?.includes('efault: ') &&
        !path.includes('.status.'),
    );
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  it('leaves the items of lists as they were written: GitOps compares a list as a whole', () => {
    expect(ours.filter(({ path, schema }) => path.includes('[]') && schema.default !== undefined).map(({ path }) => path)).toEqual([]);
  });

  it('requires nothing that has a default', () => {
    for (const { path, schema } of nodes)
      for (const name of schema.required ?? []) expect(schema.properties?.[name]?.default, `${path}.${name}`).toBeUndefined();
  });

  it('calls no field a word that YAML 1.1 reads as true or false', () => {
    const words = /^(y|n|yes|no|on|off|true|false|null)$/i;
    expect(ours.map(({ path }) => path).filter((path) => words.test(path.split(/[.[\]]+/).findLast((part) => part !== '') ?? ''))).toEqual(
      [],
    );
  });

  it('leaves no pattern to the API server, whose message would be the pattern', () => {
    expect(nodes.filter(({ schema }) => schema.pattern !== undefined || schema['x-cure'] !== undefined)).toEqual([]);
  });
});

describe('every rule', () => {
  it('begins its message with a code of the table and goes on with the cure', () => {
    for (const { path, message } of rules) {
      const code = /^(HR-API-\d{3}): .{10,}/s.exec(message)?.[1] ?? '';
      expect(Object.keys(ERRORS), `${path}: ${message}`).toContain(code);
    }
  });

  it('does not repeat the request of a device, which may hold a key', () => {
    const csr = nodes.find(({ path }) => path === 'Device.spec.identity.csr');
    expect(csr?.schema['x-kubernetes-validations']).toBeUndefined();
    expect(rules.filter(({ fieldPath }) => fieldPath === '.csr').map(({ path }) => path)).toEqual(Array(3).fill('Device.spec.identity'));
  });
});

describe('crdOf', () => {
  it.each(KINDS.map((kind) => [kind.resource.kind, kind] as const))('%s has a status of its own, a category and an age', (_name, kind) => {
    expect(crdOf(kind)).toMatchObject({
      metadata: { name: `${kind.resource.plural}.hedgerow.dev` },
      spec: {
        scope: 'Namespaced',
        names: { categories: ['hedgerow'] },
        versions: [
          {
            name: 'v1alpha1',
            subresources: { status: {} },
            additionalPrinterColumns: expect.arrayContaining([expect.objectContaining({ name: 'Age' })]),
          },
        ],
      },
    });
  });

  it('is small enough for kubectl apply, which keeps a copy of it in an annotation of at most 262144 bytes', () => {
    for (const kind of KINDS) expect(JSON.stringify(crdOf(kind)).length, kind.resource.kind).toBeLessThan(262_144 / 2);
  });

  it('shows only columns that exist', () => {
    for (const kind of KINDS)
      for (const { jsonPath } of kind.columns) {
        if (jsonPath.startsWith('.metadata.')) continue;
        const path = `${kind.resource.kind}${jsonPath.replace(/\[\?\(@\.type=="\w+"\)\]/, '[]')}`;
        expect(nodes.map((node) => node.path)).toContain(path);
      }
  });

  it('keeps topics short enough for the broker', () => {
    const topics = nodes.filter(({ path }) => path.startsWith(SEGMENT_POLICIES.kind) && path.endsWith('.topic'));
    expect(topics.length).toBeGreaterThan(2);
    for (const { schema } of topics) expect(schema.maxLength).toBe(MAX_TOPIC_LENGTH);
  });
});

it('each row of not-supported-yet is a rule with its path and cure', () => {
  const messages = rules.map(({ message }) => message);
  for (const { path, cure } of NOT_SUPPORTED_YET) expect(messages).toContain(`HR-API-001: not supported yet: ${path}; ${cure}`);
  expect(messages.filter((message) => message.startsWith('HR-API-001'))).toHaveLength(NOT_SUPPORTED_YET.length);
});

it('celString ends no string early', () => {
  expect(celString("it's")).toBe(String.raw`'it\'s'`);
  expect(celString('a\\s')).toBe(String.raw`'a\\s'`);
});

function nodesOf(schema: Structural, path: string): Node[] {
  return [
    { path, schema },
    ...Object.entries(schema.properties ?? {}).flatMap(([name, child]) => nodesOf(child, `${path}.${name}`)),
    ...(schema.items === undefined ? [] : nodesOf(schema.items, `${path}[]`)),
    ...(schema.additionalProperties === undefined ? [] : nodesOf(schema.additionalProperties, `${path}{}`)),
  ];
}
