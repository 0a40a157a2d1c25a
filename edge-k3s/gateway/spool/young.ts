// Records that whoever gave them may give again after a crash, since the state that they follow from is not on disk yet. Pure.

export type Young = {
  readonly turn: number;
  /** Of those that were added. */
  readonly bytes: number;
  has(seq: number): boolean;
  add(seq: number, turn: number, bytes: number): void;
  /** What a process before this one wrote: nobody knows of when its state is. */
  upTo(seq: number): void;
  next(): number;
  stands(turn: number): void;
};

/** With `false` no record is ever young. */
export function createYoung(isKept: boolean): Young {
  const records = new Map<number, { turn: number; bytes: number }>();
  let [now, before, sum] = [0, 0, 0];
  return {
    get turn() {
      return now;
    },
    get bytes() {
      return sum;
    },
    has: (seq) => seq <= before || records.has(seq),
    add(seq, turn, bytes) {
      if (!isKept) return;
      records.set(seq, { turn, bytes });
      sum += bytes;
    },
    upTo(seq) {
      if (isKept) before = seq;
    },
    next: () => now++,
    stands(turn) {
      before = 0;
      for (const [seq, one] of records)
        if (one.turn <= turn) {
          records.delete(seq);
          sum -= one.bytes;
        }
    },
  };
}
