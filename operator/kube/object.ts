// What every object of an API server has, and how one is named inside this process.
import type { ObjectMeta } from '../api/meta.ts';

export type KubeObject = { apiVersion?: string; kind?: string; metadata: ObjectMeta };

export type ObjectRef = { name: string; namespace?: string };

/** `namespace/name`, or `name` for a cluster-scoped object. */
export type Key = string;

/** The key of an object that has a name; an object that only has a `generateName` gives `''` as its name. */
export function keyOf(object: { metadata: ObjectMeta }): Key {
  const { namespace, name } = object.metadata;
  return namespace === undefined || namespace === '' ? (name ?? '') : `${namespace}/${name ?? ''}`;
}

/** The inverse of `keyOf`. Neither a namespace nor a name may hold a slash (RFC 1123). */
export function refOf(key: Key): ObjectRef {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export function keyOfRef(ref: ObjectRef): Key {
  return ref.namespace === undefined || ref.namespace === '' ? ref.name : `${ref.namespace}/${ref.name}`;
}
