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
