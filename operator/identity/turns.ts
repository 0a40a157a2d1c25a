// Only so many Devices at a time have a request that is made and not yet approved; the others wait in line without holding anything.
//
// cert-manager's webhook asks the API server at most five times a second who may approve, remembers an answer for a second, and asks twice for a role with a wildcard
// (cert-manager v1.21.1, internal/webhook/webhook.go; client-go's default QPS). Its own approver tries, and is refused, every request that is not approved yet
// (docs/adr/0003). So what is made in haste waits there for seconds, and holds a connection and a place among the reconciles while it does. Measured with 500
// Devices on two cores: without a limit 9 of 31 s went by without any progress.
import type { Key } from '../kube/object.ts';

export interface Turns {
  /** False: not now; the key is woken when it may be its turn. Who was given a turn gives it back. */
  take(key: Key): boolean;
  giveBack(): void;
}

export function createTurns(most: number, wake: (key: Key) => void): Turns {
  const line = new Set<Key>();
  let taken = 0;
  return {
    take(key) {
      if (taken >= most) {
        line.add(key);
        return false;
      }
      line.delete(key);
      taken += 1;
      return true;
    },
    giveBack() {
      taken -= 1;
      const [next] = line;
      if (next === undefined) return;
      line.delete(next);
      wake(next);
    },
  };
}
