import { describe, expect, it } from 'vitest';
import { NETWORK_POLICIES } from '../api/resources.ts';
import type { KubeObject } from '../kube/object.ts';
import { ensureApplied, isApplied } from './apply.ts';

const MANAGER = 'hedgerow';
const PORTS = { 'k:{"port":8883,"protocol":"TCP"}': { '.': {}, 'f:port': {} } };

type Policy = KubeObject & { spec?: Record<string, unknown> };

const desired = (): Policy => ({
  apiVersion: 'example/v1',
  kind: 'Thing',
  metadata: { name: 'a', namespace: 'ns', labels: { app: 'x' } },
  spec: { list: ['one', 'two'], ports: [{ port: 8883 }], nested: { on: true } },
});

const OWNED = { 'f:metadata': { 'f:labels': { 'f:app': {} } }, 'f:spec': { 'f:list': {}, 'f:ports': PORTS, 'f:nested': { 'f:on': {} } } };

/** As the API server shows it after an apply: defaults filled in, other people's fields beside ours. */
function shown(change: (object: Policy) => void = () => undefined, fieldsV1: object = OWNED): Policy {
  const object = desired();
  object.metadata = {
    ...object.metadata,
    uid: 'u1',
    resourceVersion: '5',
    labels: { app: 'x', theirs: 'y' },
    managedFields: [
      { manager: 'kubectl', operation: 'Update', fieldsV1: { 'f:metadata': { 'f:labels': { 'f:theirs': {} } } } },
      { manager: MANAGER, operation: 'Apply', fieldsV1 },
    ],
  };
  object.spec = { ...object.spec, ports: [{ port: 8883, protocol: 'TCP' }], defaulted: 3 };
  change(object);
  return object;
}

describe('isApplied', () => {
  it.each<[string, Policy, boolean]>([
    ['an unchanged object, with defaults and other people’s fields beside ours', shown(), true],
    ['a field that somebody changed', shown((o) => Object.assign(o.spec as object, { nested: { on: false } })), false],
    ['a field that somebody removed', shown((o) => Object.assign(o.spec as object, { nested: {} })), false],
    ['a label of ours that somebody changed', shown((o) => Object.assign(o.metadata, { labels: { app: 'z' } })), false],
    ['an item that somebody added to an atomic list', shown((o) => Object.assign(o.spec as object, { list: ['one', 'two', 'x'] })), false],
    ['an atomic list in another order', shown((o) => Object.assign(o.spec as object, { list: ['two', 'one'] })), false],
    [
      'an item that somebody added to an associative list',
      shown((o) =>
        Object.assign(o.spec as object, {
          ports: [
            { port: 1, protocol: 'UDP' },
            { port: 8883, protocol: 'TCP' },
          ],
        }),
      ),
      true,
    ],
    ['our item of an associative list gone', shown((o) => Object.assign(o.spec as object, { ports: [] })), false],
    [
      'a field that we own and do not declare any more',
      shown(undefined, { ...OWNED, 'f:spec': { ...OWNED['f:spec'], 'f:old': {} } }),
      false,
    ],
    [
      'an item of a list that we own and do not declare any more',
      shown(undefined, {
        ...OWNED,
        'f:spec': { ...OWNED['f:spec'], 'f:ports': { ...PORTS, 'k:{"port":1,"protocol":"TCP"}': { '.': {} } } },
      }),
      false,
    ],
    ['an object that we never applied', shown((o) => Object.assign(o.metadata, { managedFields: [] })), false],
    ['an object without managedFields', shown((o) => Object.assign(o.metadata, { managedFields: undefined })), false],
    [
      'an object whose status alone is ours',
      shown((o) =>
        Object.assign(o.metadata, { managedFields: [{ manager: MANAGER, operation: 'Apply', subresource: 'status', fieldsV1: {} }] }),
      ),
      false,
    ],
    [
      'an object that we wrote by update, not by apply',
      shown((o) => Object.assign(o.metadata, { managedFields: [{ manager: MANAGER, operation: 'Update', fieldsV1: OWNED }] })),
      false,
    ],
  ])('%s', (_name, actual, expected) => expect(isApplied(desired(), actual, MANAGER)).toBe(expected));

  it('finds the values of a set wherever they stand, and misses one that is gone', () => {
    const wanted: Policy = { metadata: { name: 'a' }, spec: { finalizers: ['x', 'y'] } };
    const actual = (list: string[]): Policy => ({
      metadata: {
        name: 'a',
        managedFields: [{ manager: MANAGER, operation: 'Apply', fieldsV1: { 'f:spec': { 'f:finalizers': { 'v:"x"': {}, 'v:"y"': {} } } } }],
      },
      spec: { finalizers: list },
    });
    expect(isApplied(wanted, actual(['theirs', 'y', 'x']), MANAGER)).toBe(true);
    expect(isApplied(wanted, actual(['theirs', 'x']), MANAGER)).toBe(false);
  });

  it('takes managedFields that it cannot read for not applied, and does not throw', () => {
    for (const fieldsV1 of [{ 'k:{broken': {} }, { 'f:spec': { 'f:ports': { 'k:nonsense': {} } } }, { 'x:unknown': {} }])
      expect(isApplied(desired(), shown(undefined, fieldsV1), MANAGER)).toBe(false);
  });
});

describe('ensureApplied', () => {
  function server() {
    const applied: { object: object; fieldManager: string }[] = [];
    const counts: string[] = [];
    const client = {
      apply: async (_type: object, object: object, options: { fieldManager: string }) => {
        applied.push({ object, fieldManager: options.fieldManager });
        return object as never;
      },
    };
    return { client, applied, counts, metrics: { applied: (kind: string, outcome: string) => void counts.push(`${kind} ${outcome}`) } };
  }

  it('asks nothing of the API server when the object is as declared', async () => {
    const s = server();
    expect(await ensureApplied(s.client, NETWORK_POLICIES, desired(), shown(), { fieldManager: MANAGER, metrics: s.metrics })).toBe(
      'unchanged',
    );
    expect(s.applied).toEqual([]);
    expect(s.counts).toEqual(['networkpolicies skipped']);
  });

  it('applies the whole declaration, under one field manager, when there is no object or a drift', async () => {
    for (const actual of [undefined, shown((o) => Object.assign(o.spec as object, { list: [] }))]) {
      const s = server();
      expect(await ensureApplied(s.client, NETWORK_POLICIES, desired(), actual, { fieldManager: MANAGER, metrics: s.metrics })).toBe(
        'changed',
      );
      expect(s.applied).toEqual([{ object: desired(), fieldManager: MANAGER }]);
      expect(s.counts).toEqual(['networkpolicies changed']);
    }
  });

  it('does not say that it was applied when the server refused', async () => {
    const client = { apply: () => Promise.reject(new Error('refused')) };
    const counts: string[] = [];
    await expect(
      ensureApplied(client, NETWORK_POLICIES, desired(), undefined, {
        fieldManager: MANAGER,
        metrics: { applied: (kind, outcome) => void counts.push(`${kind} ${outcome}`) },
      }),
    ).rejects.toThrow('refused');
    expect(counts).toEqual([]);
  });
});
