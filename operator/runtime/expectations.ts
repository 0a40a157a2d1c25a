// Read your writes: a reconcile must not act on a store object that is older than what this process last wrote.
import type { Key } from '../kube/object.ts';

export interface Expectations {
  /** After a write: the object had version `from` when it was read, and has `to` now. Writes that changed nothing (from equals to) expect nothing. */
  wrote(key: Key, write: { uid: string; from: string; to: string }): void;
  /** True while the store still shows the version from before the write: end the reconcile as done, the watch event of the write will wake the key. */
  stale(key: Key, shown: { uid: string; resourceVersion: string } | undefined): boolean;
  readonly size: number;
}

/** Versions are compared for equality only (they are opaque): anything but a version from before the last writes counts as news. */
export function createExpectations(): Expectations {
  const waiting = new Map<Key, { uid: string; old: string[] }>();
  return {
    wrote(key, { uid, from, to }) {
      if (from === to) return;
      const before = waiting.get(key);
      // Two writes in one reconcile: the store may show the version between them for a moment.
      waiting.set(key, { uid, old: before?.uid === uid ? [...before.old.filter((version) => version !== to).slice(-3), from] : [from] });
    },
    stale(key, shown) {
      const expected = waiting.get(key);
      if (expected === undefined) return false;
      if (shown !== undefined && shown.uid === expected.uid && expected.old.includes(shown.resourceVersion)) return true;
      waiting.delete(key);
      return false;
    },
    get size() {
      return waiting.size;
    },
  };
}
