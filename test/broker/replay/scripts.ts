/** What happened between the recorded exchanges, file by file: who connected, what was written, how long was waited. */

import type { Profile } from '../config.ts';
import type { Stage } from './stage.ts';

export type Script = {
  profile?: Profile;
  setUp?(stage: Stage): Promise<void>;
  /** Run before the entry of this name, whether it is an exchange or not. */
  before?: Record<string, (stage: Stage) => Promise<void>>;
};

export const SCRIPTS: Record<string, Script> = {};
