// What a reflector holds: small projections, never what came off the wire (3.6 kB -> 0.56 kB a Device, measured).
import type { Key } from './object.ts';

/** Every projection has at least these. */
export type Projected = { key: Key; uid: string; resourceVersion: string };

export interface Store<P> {
  get(key: Key): P | undefined;
  keys(): Iterable<Key>;
  values(): Iterable<P>;
  readonly size: number;
  /** All objects whose index function gave `value`. An index that was never declared throws. */
  by(index: string, value: string): P[];
  /** True once the first complete state of the server has been taken in. */
  readonly synced: boolean;
}

/** An update has both; a deletion only `before`; an addition only `after`. The same name with a new uid is a deletion and then an addition. */
export type Change<P> = { key: Key; before?: P; after?: P /** Part of the first complete state. */; initial: boolean };

export type Indexes<P> = Record<string, (object: P) => string[]>;

/** The side that the reflector writes. Each write gives the changes it made, oldest first. */
export interface MutableStore<P> extends Store<P> {
  put(object: P): Change<P>[];
  remove(key: Key): Change<P>[];
  markSynced(): void;
}

/** A flat map by key and the declared indexes, kept on every write. An index function must be pure: it runs again on the old object when that is replaced. */
export function createStore<P extends Projected>(indexes: Indexes<P> = {}): MutableStore<P> {
  const objects = new Map<Key, P>();
  const tables = Object.entries(indexes).map(([name, valuesOf]) => ({ name, valuesOf, table: createIndex() }));
  let synced = false;

  function swap(key: Key, before: P | undefined, after: P | undefined): void {
    for (const { valuesOf, table } of tables) {
      const now = after === undefined ? [] : valuesOf(after);
      if (before !== undefined) for (const value of valuesOf(before)) if (!now.includes(value)) table.remove(value, key);
      for (const value of now) table.add(value, key);
    }
    if (after === undefined) objects.delete(key);
    else objects.set(key, after);
  }

  return {
    get: (key) => objects.get(key),
    keys: () => objects.keys(),
    values: () => objects.values(),
    get size() {
      return objects.size;
    },
    get synced() {
      return synced;
    },
    by(name, value) {
      const index = tables.find((declared) => declared.name === name);
      if (index === undefined) throw new Error(`there is no index "${name}"`);
      const found: P[] = [];
      for (const key of index.table.keys(value)) {
        const object = objects.get(key);
        if (object !== undefined) found.push(object);
      }
      return found;
    },
    put(after) {
      const { key } = after;
      const before = objects.get(key);
      if (before !== undefined && before.uid === after.uid && before.resourceVersion === after.resourceVersion) return [];
      swap(key, before, after);
      const initial = !synced;
      if (before === undefined) return [{ key, after, initial }];
      if (before.uid === after.uid) return [{ key, before, after, initial }];
      return [
        { key, before, initial },
        { key, after, initial },
      ];
    },
    remove(key) {
      const before = objects.get(key);
      if (before === undefined) return [];
      swap(key, before, undefined);
      return [{ key, before, initial: !synced }];
    },
    markSynced() {
      synced = true;
    },
  };
}

/** value -> keys. Most values of an index such as a serial number have one key, and a Set for each would cost more than the object: so one key is kept bare. */
function createIndex() {
  const table = new Map<string, Key | Set<Key>>();
  return {
    add(value: string, key: Key): void {
      const held = table.get(value);
      if (held === undefined) table.set(value, key);
      else if (held instanceof Set) held.add(key);
      else if (held !== key) table.set(value, new Set([held, key]));
    },
    remove(value: string, key: Key): void {
      const held = table.get(value);
      if (held === key) table.delete(value);
      if (!(held instanceof Set)) return;
      held.delete(key);
      if (held.size === 0) table.delete(value);
    },
    keys(value: string): Iterable<Key> {
      const held = table.get(value);
      return held === undefined ? [] : held instanceof Set ? held : [held];
    },
  };
}
