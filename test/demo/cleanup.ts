// What was started is ended in the opposite order, also after Ctrl-C in the middle of it.

export type Cleanup = {
  /** `work` is done when the demo ends, latest first. */
  add(what: string, work: () => Promise<unknown>): void;
  /** How much there is to do. */
  pending(): number;
  /** Does all of it once; a step that fails or takes too long is named and does not stop the others. */
  run(): Promise<string[]>;
};

const STEP_MS = 15_000;

export function createCleanup(stepMs = STEP_MS): Cleanup {
  const steps: { what: string; work: () => Promise<unknown> }[] = [];
  let running: Promise<string[]> | undefined;
  async function all(): Promise<string[]> {
    const troubles: string[] = [];
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      const { what, work } = step;
      try {
        await within(work(), stepMs);
      } catch (error) {
        troubles.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return troubles;
  }
  return {
    add: (what, work) => void steps.push({ what, work }),
    pending: () => steps.length,
    run: () => {
      running ??= all();
      return running;
    },
  };
}

function within(work: Promise<unknown>, ms: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${ms / 1000} s`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
