// What the parts of the core share: the plan, the rows in their sets, and what is to be done at the next tick.
import type { Alarms } from './alarms.ts';
import type { Pace } from './pace.ts';
import type { Plan } from './plan.ts';
import type { Queue } from './queue.ts';
import type { DeviceFacts, Image, Row } from './row.ts';
import type { Sets } from './sets.ts';

export type State = {
  plan: Plan;
  sets: Sets;
  alarms: Alarms;
  queue: Queue;
  pace: Pace;
  image(device: DeviceFacts): Image | undefined;
  /** 16 random bytes in hex. */
  nonce(): string;
  toSend: Set<Row>;
  toRecord: Set<Row>;
  /** The broker is giving what it keeps: nothing new is begun before that has come. */
  isGathering: boolean;
  /** How things stood when a budget last kept everybody back who waits: as long as they stand so, nobody has to be asked. */
  heldAt: string | undefined;
  /** And it is the first time: what there is was begun by drivers before this one. */
  isFirstTime: boolean;
};
