// Server-side apply with a no-op check before the call: an unchanged world costs no write.
import type { ResourceType } from '../api/meta.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { equalJson, isJson } from './merge-patch.ts';
import type { Metrics } from './metrics.ts';

export type ApplyOptions = { fieldManager: string; signal?: AbortSignal; metrics?: Pick<Metrics, 'applied'> };

/**
 * Makes the object as declared. `actual` is what a store or a GET shows, with its managedFields; `undefined` when there is none.
 * Unchanged only if every declared field is there as declared and our manager owns nothing that is not declared any more.
 */
export async function ensureApplied<T extends KubeObject>(
  client: Pick<KubeClient, 'apply'>,
  type: ResourceType,
  desired: T,
  actual: KubeObject | undefined,
  options: ApplyOptions,
): Promise<'changed' | 'unchanged'> {
  if (actual !== undefined && isApplied(desired, actual, options.fieldManager)) {
    options.metrics?.applied(type.plural, 'skipped');
    return 'unchanged';
  }
  await client.apply(type, desired, { fieldManager: options.fieldManager }, options.signal);
  options.metrics?.applied(type.plural, 'changed');
  return 'changed';
}

/** Pure half of `ensureApplied`. */
export function isApplied(desired: KubeObject, actual: KubeObject, fieldManager: string): boolean {
  const owned = ownedFields(actual, fieldManager);
  if (owned === undefined) return false;
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = desired as KubeObject & Record<string, unknown>;
  const { name: _name, namespace: _namespace, ...declaredMeta } = metadata;
  const declared = { ...rest, metadata: declaredMeta };
  return holds(declared, actual, owned) && ownsOnly(owned, declared);
}

/** fieldsV1 (structured-merge-diff): `f:<field>`, `k:{keys}` for an item of an associative list, `v:<value>` for one of a set, `.` for the thing itself. */
type FieldSet = { [path: string]: FieldSet };

type ManagedFields = { manager?: unknown; operation?: unknown; subresource?: unknown; fieldsV1?: unknown };

/** What our manager has applied; `undefined` when it never has, or when the object comes without managedFields. */
function ownedFields(actual: KubeObject, fieldManager: string): FieldSet | undefined {
  for (const entry of (actual.metadata.managedFields ?? []) as ManagedFields[]) {
    if (entry.manager === fieldManager && entry.operation === 'Apply' && (entry.subresource ?? '') === '')
      return (entry.fieldsV1 ?? {}) as FieldSet;
  }
  return undefined;
}

/** Is every declared field there as declared? What the server adds beside them (defaults, other people's fields) does not count. */
function holds(declared: unknown, actual: unknown, owned: FieldSet | undefined): boolean {
  if (declared === undefined) return true;
  if (Array.isArray(declared)) return Array.isArray(actual) && holdsList(declared, actual, owned);
  if (!isJson(declared)) return equalJson(declared, actual);
  if (!isJson(actual)) return false;
  return Object.entries(declared).every(([name, value]) => holds(value, actual[name], owned?.[`f:${name}`]));
}

function holdsList(declared: unknown[], actual: unknown[], owned: FieldSet | undefined): boolean {
  const items = Object.keys(owned ?? {});
  if (items.some((path) => path.startsWith('v:'))) return declared.every((value) => actual.some((other) => equalJson(value, other)));
  const keyed = items.filter((path) => path.startsWith('k:'));
  if (keyed.length > 0) {
    return declared.every((item) => {
      const path = keyed.find((candidate) => matchesKey(candidate, item));
      return path !== undefined && actual.some((other) => matchesKey(path, other) && holds(item, other, owned?.[path]));
    });
  }
  // An atomic list belongs to one manager as a whole: a foreign item in it is a drift.
  return declared.length === actual.length && declared.every((item, i) => holds(item, actual[i], undefined));
}

/** Whether everything that our manager owns is still declared; what is not would have to be given up by another apply. */
function ownsOnly(owned: FieldSet, declared: unknown): boolean {
  return Object.entries(owned).every(([path, below]) => {
    if (path === '.') return true;
    const value = declaredAt(path, declared);
    if (value === undefined) return false;
    return Object.keys(below).length === 0 || ownsOnly(below, value);
  });
}

function declaredAt(path: string, declared: unknown): unknown {
  if (path.startsWith('f:')) return isJson(declared) ? declared[path.slice(2)] : undefined;
  if (!Array.isArray(declared)) return undefined;
  if (path.startsWith('k:')) return declared.find((item) => matchesKey(path, item));
  if (path.startsWith('v:')) return declared.find((item) => equalJson(item, parse(path)));
  return path.startsWith('i:') ? declared[Number(path.slice(2))] : undefined;
}

/** Keys that have a default (the protocol of a port) are in the path but may be missing in the item. */
function matchesKey(path: string, item: unknown): boolean {
  const keys = parse(path);
  if (!isJson(keys) || !isJson(item)) return false;
  const names = Object.keys(keys);
  return (
    names.some((name) => item[name] !== undefined) && names.every((name) => item[name] === undefined || equalJson(item[name], keys[name]))
  );
}

function parse(path: string): unknown {
  try {
    return JSON.parse(path.slice(2));
  } catch {
    return undefined;
  }
}
