// Tells whose authorization may read differently now: the few it concerns, or all when it concerns all.
import type { Why } from './acl-compile.ts';

export type Listener = (clients: 'all' | ReadonlySet<string>) => void;
export type Picture = { everybody: string; segments: ReadonlyMap<string, string>; excluded: ReadonlyMap<string, Why> };

/** `picture`: as it is at the start; asked again at each `publish`. */
export function createNotices(picture: () => Picture) {
  const listeners: Listener[] = [];
  /** Clients somebody asked about, with the segment they were asked with. */
  const asked = new Map<string, string>();
  const changed = new Set<string>();
  let before = picture();

  return {
    onChange: (listener: Listener): void => void listeners.push(listener),
    asked,
    changed: (client: string): void => void changed.add(client),
    /** Compares with the picture at the last call. */
    publish(): void {
      const now = picture();
      const all = now.everybody !== before.everybody;
      const moved = all ? new Set<string>() : movedSegments(before, now);
      before = now;
      if (moved.size > 0) for (const [client, segment] of asked) if (moved.has(segment)) changed.add(client);
      if (!all && changed.size === 0) return;
      const clients = all ? 'all' : new Set(changed);
      changed.clear();
      for (const listener of listeners) listener(clients);
    },
  };
}

function movedSegments(before: Picture, now: Picture): Set<string> {
  const moved = new Set<string>();
  if (before.segments !== now.segments) {
    for (const name of before.segments.keys()) if (!now.segments.has(name)) moved.add(name);
    for (const name of now.segments.keys()) if (!before.segments.has(name)) moved.add(name);
  }
  if (before.excluded !== now.excluded) {
    for (const name of [...before.excluded.keys(), ...now.excluded.keys()])
      if (before.excluded.get(name)?.found !== now.excluded.get(name)?.found) moved.add(name);
  }
  return moved;
}
