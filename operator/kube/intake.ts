// From an object of the server to a projection in the store and a word to the listeners: all synchronous, in the order of the events.
import { type Key, type KubeObject, keyOf } from './object.ts';
import type { Log } from './ports.ts';
import type { Change, MutableStore, Projected } from './store.ts';

export interface Intake<T, P> {
  subscribe(listener: (change: Change<P>) => void): void;
  /** A new complete state begins; an unfinished one is forgotten. */
  begin(): void;
  put(object: T): void;
  remove(object: T): void;
  /** The complete state is in: whatever it did not show is gone from the server. */
  finish(): void;
}

export function createIntake<T extends KubeObject, P extends Projected>(o: {
  store: MutableStore<P>;
  project: (object: T) => P;
  log: Log;
}): Intake<T, P> {
  const listeners: ((change: Change<P>) => void)[] = [];
  let seen: Set<Key> | undefined;

  function tell(changes: Change<P>[]): void {
    for (const change of changes) {
      for (const listener of listeners) {
        try {
          listener(change);
        } catch (err) {
          o.log.error({ err, key: change.key }, 'a listener of this kind threw; the others were told');
        }
      }
    }
  }

  return {
    subscribe: (listener) => {
      listeners.push(listener);
    },
    begin() {
      seen = new Set();
    },
    put(object) {
      const key = keyOf(object);
      seen?.add(key);
      try {
        tell(o.store.put(o.project(object)));
      } catch (err) {
        // The object stays as it was last understood: one odd object must not stop the fleet.
        o.log.error({ err, key }, 'an object could not be projected and is ignored');
      }
    },
    remove(object) {
      const key = keyOf(object);
      seen?.delete(key);
      tell(o.store.remove(key));
    },
    finish() {
      if (seen !== undefined) for (const key of o.store.keys()) if (!seen.has(key)) tell(o.store.remove(key));
      seen = undefined;
      o.store.markSynced();
    },
  };
}
