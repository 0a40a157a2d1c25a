// Calls to an API server, as the rooms above see them. Plain JSON in, plain JSON out: unknown fields survive and timestamps stay text.
import type { ResourceType } from '../api/meta.ts';
import type { KubeConnection } from './config.ts';
import { isNotFound } from './errors.ts';
import type { KubeObject, ObjectRef } from './object.ts';
import { createTransport, type Transport, type TransportDeps } from './transport.ts';

/** A client with its own connections. Nothing is sent before the first call. */
export function connect(connection: KubeConnection, deps: TransportDeps): KubeClient & { close(): Promise<void> } {
  const transport = createTransport(connection, deps);
  return { ...clientOn(transport), close: () => transport.close() };
}

export type ListQuery = { namespace?: string; labelSelector?: string; fieldSelector?: string };

export type ListPage<T> = { items: T[]; resourceVersion: string; continueToken?: string };

export type WatchQuery = ListQuery & {
  resourceVersion?: string;
  /** Ask for the whole state as events first (WatchList, KEP-3157). */
  sendInitialEvents?: boolean;
  timeoutSeconds: number;
  /** Only `metadata` of each object (PartialObjectMetadata). */
  metadataOnly?: boolean;
};

/** Every call has a deadline, and ends early when its signal aborts. All reject with `KubeError` or with the signal's reason. */
export interface KubeClient {
  /** A 404 is `undefined`. */
  get<T extends KubeObject>(type: ResourceType, ref: ObjectRef, signal?: AbortSignal): Promise<T | undefined>;
  /** The whole list, fetched in pages of 500. For big kinds use a reflector. */
  list<T extends KubeObject>(type: ResourceType, options?: ListQuery, signal?: AbortSignal): Promise<T[]>;
  create<T extends KubeObject>(type: ResourceType, object: T, signal?: AbortSignal): Promise<T>;
  /** PUT; a `resourceVersion` in the object is a precondition (409 Conflict). */
  update<T extends KubeObject>(type: ResourceType, object: T, options?: { subresource?: string }, signal?: AbortSignal): Promise<T>;
  /** Server-side apply; `force` is true unless said otherwise. */
  apply<T extends KubeObject>(
    type: ResourceType,
    object: T,
    options: { fieldManager: string; subresource?: string; force?: boolean },
    signal?: AbortSignal,
  ): Promise<T>;
  /** RFC 7386; `null` removes a field. */
  mergePatch<T extends KubeObject>(
    type: ResourceType,
    ref: ObjectRef,
    patch: object,
    options?: { subresource?: string; fieldManager?: string },
    signal?: AbortSignal,
  ): Promise<T>;
  /** `false` when it was gone already. A precondition that does not hold rejects with Conflict. */
  delete(
    type: ResourceType,
    ref: ObjectRef,
    options?: { uid?: string; resourceVersion?: string; propagation?: 'Background' | 'Foreground' | 'Orphan' },
    signal?: AbortSignal,
  ): Promise<boolean>;
  /** Anything else (reviews, TokenRequest): the parsed JSON answer, or text when it is not JSON. */
  raw(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown>;

  /** One page; for the reflector. */
  listPage<T extends KubeObject>(
    type: ResourceType,
    query: ListQuery & { limit: number; continueToken?: string; metadataOnly?: boolean },
    signal?: AbortSignal,
  ): Promise<ListPage<T>>;
  /** The bytes of a watch, for the reflector; it has no deadline of its own. */
  watch(type: ResourceType, query: WatchQuery, signal?: AbortSignal): Promise<AsyncIterable<Buffer>>;
}

/** As big as keeps the longest stall under 100 ms with 2.5 kB objects: pages of 5,000 stall 645 ms (measured). */
export const PAGE_SIZE = 500;
const LIST_DEADLINE_MS = 60_000;
const METADATA_ONLY_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
const METADATA_ONLY_WATCH = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

export function clientOn(transport: Transport): KubeClient {
  const client: KubeClient = {
    get: (type, ref, signal) => absentAs404(() => transport.call({ method: 'GET', path: objectPath(type, ref), signal })),
    list: (type, options, signal) => listAll(client, type, options ?? {}, signal),
    create: (type, object, signal) =>
      transport.call({
        method: 'POST',
        path: collectionPath(type, object.metadata.namespace),
        body: typed(type, object),
        signal,
      }) as Promise<never>,
    update: (type, object, options, signal) =>
      transport.call({
        method: 'PUT',
        path: objectPath(type, nameOf(object), options?.subresource),
        body: typed(type, object),
        signal,
      }) as Promise<never>,
    apply: (type, object, options, signal) =>
      transport.call({
        method: 'PATCH',
        path:
          objectPath(type, nameOf(object), options.subresource) +
          query({ fieldManager: options.fieldManager, force: String(options.force ?? true) }),
        body: typed(type, object),
        // JSON is YAML; the server takes this content type since 1.16.
        contentType: 'application/apply-patch+yaml',
        signal,
      }) as Promise<never>,
    mergePatch: (type, ref, patch, options, signal) =>
      transport.call({
        method: 'PATCH',
        path: objectPath(type, ref, options?.subresource) + query({ fieldManager: options?.fieldManager }),
        body: patch,
        contentType: 'application/merge-patch+json',
        signal,
      }) as Promise<never>,
    delete: async (type, ref, options, signal) => {
      const body = deleteOptions(options ?? {});
      const answer = await absentAs404(
        async () => (await transport.call({ method: 'DELETE', path: objectPath(type, ref), body, signal })) ?? {},
      );
      return answer !== undefined;
    },
    raw: (method, path, body, signal) => transport.call({ method, path, body, signal }),
    listPage: (type, page, signal) => listPage(transport, type, page, signal),
    watch: (type, watch, signal) => openWatch(transport, type, watch, signal),
  };
  return client;
}

async function listAll<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType,
  options: ListQuery,
  signal: AbortSignal | undefined,
): Promise<T[]> {
  const items: T[] = [];
  let continueToken: string | undefined;
  do {
    const page: ListPage<T> = await client.listPage<T>(
      type,
      { ...options, limit: PAGE_SIZE, ...(continueToken === undefined ? {} : { continueToken }) },
      signal,
    );
    for (const item of page.items) items.push(item);
    continueToken = page.continueToken;
  } while (continueToken !== undefined);
  return items;
}

type RawList<T> = { items?: T[] | null; metadata?: { resourceVersion?: string; continue?: string } };

async function listPage<T>(
  transport: Transport,
  type: ResourceType,
  page: ListQuery & { limit: number; continueToken?: string; metadataOnly?: boolean },
  signal: AbortSignal | undefined,
): Promise<ListPage<T>> {
  const path =
    collectionPath(type, page.namespace) + query({ ...selectors(page), limit: String(page.limit), continue: page.continueToken });
  const accept = page.metadataOnly === true ? METADATA_ONLY_LIST : 'application/json';
  const list = (await transport.call({ method: 'GET', path, accept, deadlineMs: LIST_DEADLINE_MS, signal })) as RawList<T>;
  const token = list.metadata?.continue;
  return {
    items: list.items ?? [],
    resourceVersion: list.metadata?.resourceVersion ?? '',
    ...(token === undefined || token === '' ? {} : { continueToken: token }),
  };
}

function openWatch(
  transport: Transport,
  type: ResourceType,
  watch: WatchQuery,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Buffer>> {
  const path =
    collectionPath(type, watch.namespace) +
    query({
      ...selectors(watch),
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(watch.timeoutSeconds),
      resourceVersion: watch.resourceVersion,
      ...(watch.sendInitialEvents === true ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' } : {}),
    });
  return transport.stream({ method: 'GET', path, accept: watch.metadataOnly === true ? METADATA_ONLY_WATCH : 'application/json', signal });
}

async function absentAs404<T>(call: () => Promise<unknown>): Promise<T | undefined> {
  try {
    return (await call()) as T;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function deleteOptions(options: { uid?: string; resourceVersion?: string; propagation?: string }): object {
  const { uid, resourceVersion, propagation } = options;
  const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
  return { apiVersion: 'v1', kind: 'DeleteOptions', preconditions, propagationPolicy: propagation };
}

/** `/api/v1/...` for the core group, `/apis/<group>/<version>/...` for all others. Without a namespace: the cluster, or all namespaces. */
export function collectionPath(type: ResourceType, namespace: string | undefined): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const inside = type.namespaced && namespace !== undefined && namespace !== '' ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${inside}/${type.plural}`;
}

export function objectPath(type: ResourceType, ref: ObjectRef, subresource?: string): string {
  // An empty name would make the path of the collection: a DELETE there removes everything.
  if (ref.name === '') throw new Error(`an object of ${type.plural} needs a name`);
  if (type.namespaced && (ref.namespace ?? '') === '') throw new Error(`${type.plural} "${ref.name}" needs a namespace`);
  return `${collectionPath(type, ref.namespace)}/${encodeURIComponent(ref.name)}${subresource === undefined ? '' : `/${subresource}`}`;
}

function nameOf(object: KubeObject): ObjectRef {
  const { name = '', namespace } = object.metadata;
  return namespace === undefined ? { name } : { name, namespace };
}

function typed<T extends KubeObject>(type: ResourceType, object: T): T {
  return { ...object, apiVersion: type.group === '' ? type.version : `${type.group}/${type.version}`, kind: type.kind };
}

const selectors = (options: ListQuery): Record<string, string | undefined> => ({
  labelSelector: options.labelSelector,
  fieldSelector: options.fieldSelector,
});

function query(parameters: Record<string, string | undefined>): string {
  const set = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== '') set.set(name, value);
  }
  return set.size === 0 ? '' : `?${set.toString()}`;
}
