// Writes a status, and only when it changed: the API server is not a message bus.
import type { ResourceType } from '../api/meta.ts';
import type { KubeClient } from '../kube/client.ts';
import { isInvalid, isNotFound, KubeError } from '../kube/errors.ts';
import { type KubeObject, keyOfRef, type ObjectRef } from '../kube/object.ts';
import type { Expectations } from './expectations.ts';
import { mergePatchFor } from './merge-patch.ts';

export type StatusTarget = {
  ref: ObjectRef;
  /** The write is refused for another object of the same name. */
  uid: string;
  /** What the store shows now. */
  status: object | undefined;
  /** The version that `status` was read at; needed for expectations. */
  resourceVersion?: string;
};

export type StatusOptions = { fieldManager?: string; expectations?: Expectations; signal?: AbortSignal };

/** A merge patch of /status with only what differs. `gone`: the object, or this incarnation of it, is no more. */
export async function writeStatus(
  client: Pick<KubeClient, 'mergePatch'>,
  type: ResourceType,
  object: StatusTarget,
  next: object,
  options: StatusOptions = {},
): Promise<'written' | 'unchanged' | 'gone'> {
  const patch = mergePatchFor(object.status ?? {}, next);
  if (patch === undefined) return 'unchanged';
  try {
    const body = { metadata: { uid: object.uid }, status: patch };
    const fieldManager = options.fieldManager === undefined ? {} : { fieldManager: options.fieldManager };
    const written = await client.mergePatch<KubeObject>(type, object.ref, body, { subresource: 'status', ...fieldManager }, options.signal);
    if (object.resourceVersion !== undefined) {
      options.expectations?.wrote(keyOfRef(object.ref), {
        uid: object.uid,
        from: object.resourceVersion,
        to: written.metadata.resourceVersion ?? '',
      });
    }
    return 'written';
  } catch (error) {
    if (isNotFound(error) || isAnotherIncarnation(error)) return 'gone';
    throw error;
  }
}

/** `metadata.uid` in a patch is a precondition: the server answers 409, or 422 from the check that a uid never changes. */
function isAnotherIncarnation(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  return (isInvalid(error) && /metadata\.uid/.test(error.message)) || (error.status === 409 && /uid/i.test(error.message));
}
