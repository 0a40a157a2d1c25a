// Writes a status, and only when it changed: the API server is not a message bus.
import type { ResourceType } from '../api/meta.ts';
import type { KubeClient } from '../kube/client.ts';
import { isNotFound } from '../kube/errors.ts';
import { type KubeObject, keyOfRef, type ObjectRef } from '../kube/object.ts';
import type { Expectations } from './expectations.ts';
import { mergePatchFor } from './merge-patch.ts';

export type StatusTarget = {
  ref: ObjectRef;
  uid: string;
  /** What the store shows now. */
  status: object | undefined;
  /** The version that `status` was read at. The write is refused for any other: a later one, or another object of the same name. */
  resourceVersion: string;
};

export type StatusOptions = { fieldManager?: string; expectations?: Expectations; signal?: AbortSignal };

/**
 * A merge patch of /status with only what differs. `gone`: the object is no more. Throws a conflict when it is another than the store showed; the next try sees it.
 * The precondition is the version and not the uid: the API server ignores a uid in a patch of a custom resource's status, so a Device that was deleted and made again
 * would be given the certificate of the one before.
 */
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
    const body = { metadata: { resourceVersion: object.resourceVersion }, status: patch };
    const fieldManager = options.fieldManager === undefined ? {} : { fieldManager: options.fieldManager };
    const written = await client.mergePatch<KubeObject>(type, object.ref, body, { subresource: 'status', ...fieldManager }, options.signal);
    options.expectations?.wrote(keyOfRef(object.ref), {
      uid: object.uid,
      from: object.resourceVersion,
      to: written.metadata.resourceVersion ?? '',
    });
    return 'written';
  } catch (error) {
    if (isNotFound(error)) return 'gone';
    throw error;
  }
}
