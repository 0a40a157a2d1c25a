// What the operator remembers of the rotation: one ConfigMap in its own namespace, which people read and the EST server gives on. Everything in it can be lost.
import { CONFIG_MAPS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Phase } from './decide.ts';

/** status.json: what `kubectl hedgerow trust status` prints. */
export type TrustStatus = {
  phase: Phase | 'Stalled';
  /** A sentence: what happens, or what is waited for. */
  message: string;
  sequence: number;
  digest: string;
  share: number;
  of: number;
  confirmed: number;
  /** How many did not confirm, and the first 50 of them by name. */
  waiting: { count: number; first: string[] };
  /** The same of those that are out of touch: they count neither way. */
  leftBehind: { count: number; first: string[] };
  /** The digest for which the operator has switched the Certificate. */
  switchedFor?: string;
};

export type State = {
  uid: string;
  resourceVersion: string;
  /** The signed message as it goes out. */
  message: string;
  status: Partial<TrustStatus>;
  /** The digest of the set that a person lets the broker switch for, whoever is missing. */
  force: string;
};

export const MESSAGE_KEY = 'anchors.json';
export const STATUS_KEY = 'status.json';
export const FORCE_KEY = 'force';
const FIELD_MANAGER = 'hedgerow-trust';

type ConfigMap = KubeObject & { data?: Record<string, string> };

export function createState(client: Pick<KubeClient, 'get' | 'mergePatch'>, ref: { namespace: string; name: string }) {
  return {
    async read(signal: AbortSignal): Promise<State | undefined> {
      const object = await client.get<ConfigMap>(CONFIG_MAPS, ref, signal);
      if (object === undefined) return undefined;
      const data = object.data ?? {};
      return {
        uid: object.metadata.uid ?? '',
        resourceVersion: object.metadata.resourceVersion ?? '',
        message: data[MESSAGE_KEY] ?? '',
        status: readStatus(data[STATUS_KEY] ?? ''),
        force: data[FORCE_KEY] ?? '',
      };
    },
    /** Rejects with Conflict when it is not the state that was read: two operators would give two messages one sequence. */
    async write(
      data: Record<string, string>,
      before: Pick<State, 'resourceVersion'>,
      signal: AbortSignal,
    ): Promise<Pick<State, 'resourceVersion'>> {
      const patch = { metadata: { resourceVersion: before.resourceVersion }, data };
      const written = await client.mergePatch<ConfigMap>(CONFIG_MAPS, ref, patch, { fieldManager: FIELD_MANAGER }, signal);
      return { resourceVersion: written.metadata.resourceVersion ?? '' };
    },
  };
}

/** Whatever does not read is as good as lost. */
export function readStatus(text: string): Partial<TrustStatus> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Partial<TrustStatus>) : {};
  } catch {
    return {};
  }
}
