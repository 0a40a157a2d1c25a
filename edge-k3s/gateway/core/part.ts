// A part of the gateway's state: windows, detectors, tracks of replay, latest values. All parts together are what a snapshot has.

export type Part = {
  /** Of the part's lines in a snapshot; never changes. */
  name: string;
  /** Each line without a line feed. */
  snapshot(): Iterable<string>;
  /** Lines of the same version; of another, or that do not read, the part begins as empty. */
  restore(lines: Iterable<string>): void;
  /** The device is erased: nothing of it stays. */
  forget(device: string): void;
};
