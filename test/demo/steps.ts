// The long steps of setting up, each with its time, and named when it is the one that fails.
import type { Screen } from './screen.ts';
import { duration } from './text.ts';

export type Steps = {
  /** The next step begins, the one before is over. */
  say(what: string): void;
  /** The last one is over. */
  end(): void;
  /** The step that runs now. */
  current(): string | undefined;
};

export function createSteps(screen: Screen): Steps {
  let running: { what: string; since: number } | undefined;
  const end = (): void => {
    if (running === undefined) return;
    screen.text(`   ${duration(performance.now() - running.since).padStart(7)}  ${running.what}`, 12);
    running = undefined;
    screen.doing(undefined);
  };
  return {
    say(what) {
      end();
      running = { what, since: performance.now() };
      screen.doing(what);
    },
    end,
    current: () => running?.what,
  };
}
