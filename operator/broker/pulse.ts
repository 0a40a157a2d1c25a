// Has EMQX restarted since it was last asked? Its uptimes say so: then everything it holds is in doubt (SIGKILL loses bans and rules of the last 3 s, restart.json).
import type { Clock } from '../runtime/clock.ts';

/** Clocks of two machines drift apart, and are set right now and then. */
const TOLERANCE_MS = 100;
const DRIFT = 0.001;

export function createPulse(clock: Clock) {
  let before: { at: number; uptimes: Map<string, number> } | undefined;
  return {
    /** `asked`: when the question went out, by `clock.elapsed()`. */
    restarted(uptimes: Map<string, number>, asked: number): boolean {
      const last = before;
      before = { at: clock.elapsed(), uptimes };
      if (last === undefined) return false;
      // The old uptime was read before its answer came, the new one after this question went out: it has grown by at least what lies between.
      const passed = (asked - last.at) * (1 - DRIFT) - TOLERANCE_MS;
      return (
        [...last.uptimes.keys()].some((node) => !uptimes.has(node)) ||
        [...uptimes].some(([node, uptime]) => uptime < (last.uptimes.get(node) ?? Number.POSITIVE_INFINITY) + passed)
      );
    },
  };
}
