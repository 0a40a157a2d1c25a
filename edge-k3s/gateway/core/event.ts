// What the gateway's state is made of: the same events in the same order make the same state and the same outputs, so the journal of them is enough.
// Nothing in here asks a clock or a random number.

/** A message that is taken: its sender is known, its form is right, and it never came before. */
export type Accepted = {
  kind: 'message';
  /** `<device>.<site>`. */
  device: string;
  /** `<segment>.<site>`. */
  segment: string;
  /** What follows the device in the topic, with its slashes. */
  stream: string;
  /** Value of the label by which the segment is grouped; `''` without one. */
  group: string;
  boot: number;
  seq: number;
  /** By the device's clock. */
  atMs: number;
  /** The device says that it kept the message while it had no connection. */
  backfill: boolean;
  /** By the gateway's clock, when the message came. */
  heardMs: number;
  /** Numbers in the payload; the field is their path with dots, `''` when the payload is a bare number. */
  readings: [field: string, value: number][];
  /** The message as the device sent it, in JSON; only where the policy of the segment said Raw when it came. */
  raw?: unknown;
};

/** Time goes by. `elapsedMs`: of a clock that never jumps, from any beginning. */
export type Tick = { kind: 'tick'; nowMs: number; elapsedMs: number };

export type Event = Accepted | Tick;
