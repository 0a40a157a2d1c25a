// Calls to an API server, as the rooms above see them. Plain JSON in, plain JSON out: unknown fields survive and timestamps stay text.
import type { ResourceType } from '../api/meta.ts';
import type { KubeObject, ObjectRef } from './object.ts';

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
