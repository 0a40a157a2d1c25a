// What a command of the plugin is.
import type { CommandSpec, Values } from './parse.ts';

/** Where a command writes: stdout is its answer, stderr what went wrong. */
export type Output = { out(text: string): void; err(text: string): void };

export type Command = CommandSpec & {
  /** The exit code where it could not be done; 1 where absent, 2 for commands whose answer may be no. */
  failed?: number;
  /** Gives the exit code: 0 done, 1 not done. Throws `WrongUse` for 2, and errors fit for a person otherwise. */
  run(values: Values, output: Output): Promise<number>;
};
