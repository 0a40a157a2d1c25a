// The lists of serial numbers of a SegmentPolicy, read by name from the ConfigMaps that the role names, and kept for a while.
import { CONFIG_MAPS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import type { EnrollmentPolicy, ListRef } from './enrollment-policy.ts';
import { MOST_LIST_CHARS, readSerialList, type SerialCounts } from './serial-list.ts';

/** `problem`: why one of them cannot be read, and whose; then none counts. */
export type ReadLists = { lists: readonly SerialCounts[] } | { problem: string };

export interface SerialLists {
  /** As the API server had them at most `maxAgeMs` ago. Throws when it cannot say. */
  read(policy: Pick<EnrollmentPolicy, 'namespace' | 'justInTime'>, maxAgeMs: number, signal?: AbortSignal): Promise<ReadLists>;
}

type ConfigMap = KubeObject & { data?: Record<string, string> };
type Read = { serials: SerialCounts } | { problem: string };
type Known = { at: number; version: string; read: Promise<Read> };

/** Lists kept; a million serial numbers are about 100 MiB, and the oldest go first. */
const MOST_LISTS = 64;

export function createSerialLists(client: Pick<KubeClient, 'get'>, clock: Pick<Clock, 'elapsed'>): SerialLists {
  const known = new Map<string, Known>();

  async function list(namespace: string, ref: ListRef, maxAgeMs: number, signal?: AbortSignal): Promise<Read> {
    const id = `${namespace}/${ref.name}/${ref.key}`;
    const before = known.get(id);
    if (before !== undefined && clock.elapsed() - before.at < maxAgeMs) return await before.read;
    const entry: Known = {
      at: clock.elapsed(),
      version: '',
      read: fetchList(namespace, ref, before, (version) => (entry.version = version), signal),
    };
    known.delete(id);
    known.set(id, entry);
    const [oldest] = known.keys();
    if (known.size > MOST_LISTS && oldest !== undefined) known.delete(oldest);
    try {
      return await entry.read;
    } catch (error) {
      // Nobody else shall get this answer; the one before is worth no more than its age.
      if (known.get(id) === entry) known.delete(id);
      throw error;
    }
  }

  async function fetchList(
    namespace: string,
    ref: ListRef,
    before: Known | undefined,
    note: (version: string) => void,
    signal?: AbortSignal,
  ): Promise<Read> {
    const what = `ConfigMap ${ref.name}`;
    try {
      const object = await client.get<ConfigMap>(CONFIG_MAPS, { name: ref.name, namespace }, signal);
      if (object === undefined) return { problem: `${what} does not exist` };
      const version = `${object.metadata.uid} ${object.metadata.resourceVersion}`;
      note(version);
      if (before !== undefined && before.version === version) return await before.read;
      const text = object.data?.[ref.key];
      return text === undefined ? { problem: `${what} has no key ${ref.key} in its data` } : parsed(what, ref.key, text);
    } catch (error) {
      if (isForbidden(error)) return { problem: `${what} may not be read, est.serialLists of the chart does not name it` };
      throw error;
    }
  }

  return {
    async read({ namespace, justInTime }, maxAgeMs, signal) {
      const lists: SerialCounts[] = [];
      for (const ref of justInTime?.lists ?? []) {
        const one = await list(namespace, ref, maxAgeMs, signal);
        if ('problem' in one) return one;
        lists.push(one.serials);
      }
      return { lists };
    },
  };
}

function parsed(what: string, key: string, text: string): Read {
  const read = readSerialList(text);
  if (read.ok) return { serials: read.serials };
  if (read.line !== undefined) return { problem: `line ${read.line} of ${key} in ${what} is no serial number` };
  return { problem: `${key} in ${what} is larger than ${MOST_LIST_CHARS} characters` };
}
