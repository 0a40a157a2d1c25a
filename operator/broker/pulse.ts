// Has EMQX restarted since it was last asked? Its uptimes say so: then everything it holds is in doubt (SIGKILL loses bans and rules of the last 3 s, restart.json).
import type { Clock } from '../runtime/clock.ts';

/** Answers are late by different times, and clocks of machines drift. */
const TOLERANCE_MS = 900;

export function createPulse(clock: Clock) {
  let before: { at: number; uptimes: Map<string, number> } | undefined;
  return {
    /** `asked`: when the question went out, by `clock.elapsed()`. */
    restarted(uptimes: Map<string, number>, asked: number): boolean {
      const last = before;
      before = { at: clock.elapsed(), uptimes };
      if (last === undefined) return false;
      const passed = asked - last.at;
      return (
        [...last.uptimes.keys()].some((node) => !uptimes.has(node)) ||
        [...uptimes].some(([node, uptime]) => uptime < (last.uptimes.get(node) ?? Number.POSITIVE_INFINITY) + passed - TOLERANCE_MS)
      );
    },
  };
}
