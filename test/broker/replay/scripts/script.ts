/** What happened between the recorded exchanges of a file: who connected, what was written, how long was waited. */

import type { Profile } from '../../config.ts';
import type { Entry, Exchange } from '../recording.ts';
import type { Stage } from '../stage.ts';

type Step = (stage: Stage) => Promise<unknown>;

export type Script = {
  profile?: Profile;
  setUp?: Step;
  /** Run before the entry of this name, whether it is an exchange or not. */
  before?: Record<string, Step>;
  /** Of a request that was not recorded whole. */
  complete?(exchange: Exchange, entries: readonly Entry[]): Exchange;
  /** Entries that are no exchange, observed again; undefined for those that this script does not observe. */
  observe?(stage: Stage, entry: Entry): Promise<Observed> | undefined;
};

/** The entry in its own words (without its name) as it came out now, or a list of what came out otherwise. */
export type Observed = { seen: object } | { wrong: string[] };
