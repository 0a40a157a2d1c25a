// Tells whose authorization may read differently now: the few it concerns, or all when it concerns all.
import type { Why } from './acl-compile.ts';

export type Listener = (clients: 'all' | ReadonlySet<string>) => void;
export type SegmentListener = (segments: ReadonlySet<string>) => void;
export type Picture = { everybody: string; segments: ReadonlyMap<string, string>; excluded: ReadonlyMap<string, Why>; complete: boolean };

/** `picture`: as it is at the start; asked again at each `publish`. */
export function createNotices(picture: () => Picture) {
  const listeners: Listener[] = [];
  const ofSegments: SegmentListener[] = [];
  /** Clients somebody asked about, with the segment they were asked with. */
  const asked = new Map<string, string>();
  const changed = new Set<string>();
  let before = picture();

  return {
    onChange: (listener: Listener): void => void listeners.push(listener),
    /** Told of segments that the broker's text leaves out now, or not any more. */
    onExcluded: (listener: SegmentListener): void => void ofSegments.push(listener),
    asked,
    changed: (client: string): void => void changed.add(client),
    /** Compares with the picture at the last call. */
    publish(): void {
      const now = picture();
      const all = now.everybody !== before.everybody;
      const moved = all ? new Set<string>() : movedSegments(before, now);
      const excluded = movedExclusions(before, now);
      before = now;
      if (excluded.size > 0) for (const listener of ofSegments) listener(excluded);
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
  for (const name of movedExclusions(before, now)) moved.add(name);
  return moved;
}

function movedExclusions(before: Picture, now: Picture): Set<string> {
  // Before the first pass nothing was known of any.
  if (!before.complete && now.complete) return new Set([...now.segments.keys(), ...now.excluded.keys()]);
  const names = before.excluded === now.excluded ? [] : [...before.excluded.keys(), ...now.excluded.keys()];
  return new Set(names.filter((name) => before.excluded.get(name)?.found !== now.excluded.get(name)?.found));
}
